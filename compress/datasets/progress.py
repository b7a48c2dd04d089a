"""How long-running work on many images says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called as progress(done, total), also once at the start with what was already there."""


def silent(done: int, total: int) -> None:
    """Say nothing."""
