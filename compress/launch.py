"""How this process was started."""

from __future__ import annotations

import os

from runtime.errors import RecipeError


def require_one_process(what: str) -> None:
    """Raise RecipeError where torchrun started several: each would do all of it, in the same folder."""
    count = int(os.environ.get("WORLD_SIZE", "1"))  # as torchrun says it
    if count > 1:
        raise RecipeError(
            f"{what} is one process, torchrun started {count}",
            "start it without torchrun; `ulna train` can take several, and `ulna run` goes on from there",
        )
