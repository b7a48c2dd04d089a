"""Many faults, one error: whoever mends a data set wants the whole list at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import StepError

SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One fault of a data set.

    case_id: the image without which the fault would be gone, "" where leaving an image out mends nothing.
    """

    text: str
    case_id: str = ""

    def __str__(self) -> str:
        return self.text


def refuse(what: str, problems: Sequence[str | Problem], hint: str) -> None:
    """Raise a StepError that counts all problems and lists the first ones; do nothing when there are none."""
    if not problems:
        return
    noun = "problem" if len(problems) == 1 else "problems"
    listed = "; ".join(str(problem) for problem in problems[:SHOWN])
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    raise StepError(f"{what}: {len(problems)} {noun}: {listed}{more}", hint)
