"""What the registry knows of a source: how its folders are told apart, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compress.datasets.reading import Reading
from runtime.errors import StepError


@dataclass(frozen=True)
class Layout:
    """One way to lay out a dataset.

    marker: what `recognises` looks for, in words. read: called with the path and the rule.
    rule: what the word after the colon of "NAME:RULE" means, "" where the layout takes none.
    """

    name: str
    marker: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, str], Reading]
    rule: str = ""


def without_rule(read: Callable[[Path], Reading]) -> Callable[[Path, str], Reading]:
    """For a source that takes no rule: one that is given is refused (StepError)."""

    def refusing(path: Path, rule: str) -> Reading:
        if rule:
            raise StepError(f"this layout takes no rule, got {rule!r}", "give its name alone")
        return read(path)

    return refusing
