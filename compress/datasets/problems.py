"""Many faults, one error: whoever mends a data set wants the whole list at once."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.errors import StepError

SHOWN = 20


def refuse(what: str, problems: Sequence[str], hint: str) -> None:
    """Raise a StepError that counts all problems and lists the first ones; do nothing when there are none."""
    if not problems:
        return
    noun = "problem" if len(problems) == 1 else "problems"
    listed = "; ".join(problems[:SHOWN])
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    raise StepError(f"{what}: {len(problems)} {noun}: {listed}{more}", hint)
