"""What one tool did with one fault: read off what it said and handed over. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

CAUGHT, REPAIRED, WARNED, SILENT = "caught", "repaired", "warned", "silent"
CRASHED = "crashed"
OUTSIDE, NOT_INSTALLED = "\u2013", "not installed"
MAX_DROP = 0.01
"""Of the AUROC: the limit that the tools' own documentation shows."""
_QUOTED = 3
_CRASHES = ("AttributeError:", "ImportError:", "ModuleNotFoundError:", "NameError:", "TypeError:")
"""Of a program that is wrong, or wrongly called: no tool refuses a model like that, and it proves nothing."""
_BAR = re.compile(r"[━█╸]|\d+%\||it/s")
_VARIES = re.compile(r"0x[0-9a-f]+|/\S+|\b[0-9a-f]{8,}\b|[-+]?\d+(?:[.:e,+-]+\d+)*", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """How a tool ended.

    error: of the tool itself, "" without one. handed_over: whether there is a model at the end. noticed: what
    shows that it was not taken in, "" where nothing does. unusable: why the model that was handed over cannot
    be run, "" where it can. quantizers: in the model, 0 where nobody counts.
    auroc, sensitivity: of the model on the validation images, None for one that gives other than numbers.
    spoken: its lines.
    """

    error: str = ""
    handed_over: bool = False
    noticed: str = ""
    unusable: str = ""
    quantizers: int = 0
    auroc: float | None = None
    sensitivity: float | None = None
    spoken: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Cell:
    """verdict: as above. where: how the fault was put in, or why it was not. words: the tool's own."""

    verdict: str
    where: str
    words: tuple[str, ...] = ()
    auroc: float | None = None
    sensitivity: float | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"words": list(self.words)}


def judge(answer: Answer, clean: Answer, where: str) -> Cell:
    """clean: the same tool without the fault. What it said there too names no trouble."""
    verdict, words = _verdict(answer, clean)
    return Cell(verdict, where, tuple(words), answer.auroc, answer.sensitivity, answer.seconds)


def _verdict(answer: Answer, clean: Answer) -> tuple[str, Sequence[str]]:
    new = news(answer.spoken, clean.spoken)
    if answer.error:
        return CRASHED if answer.error.startswith(_CRASHES) else CAUGHT, [answer.error]
    if not answer.handed_over:
        return CAUGHT, new[:_QUOTED] or ["no model was handed over"]
    if answer.noticed:
        return CAUGHT, [answer.noticed]
    if answer.unusable:
        return SILENT, [f"the model that it hands over cannot be run: {answer.unusable}"]
    if _put_right(answer, clean):
        return REPAIRED, new[-_QUOTED:]
    return (WARNED, new[:_QUOTED]) if new else (SILENT, [])


def _put_right(answer: Answer, clean: Answer) -> bool:
    """Layers went back to float, and the metric is then within the limit of the clean model's."""
    if answer.auroc is None or clean.auroc is None or answer.quantizers >= clean.quantizers:
        return False
    return clean.auroc - answer.auroc <= MAX_DROP


def news(spoken: Sequence[str], clean: Sequence[str]) -> list[str]:
    """Lines that were not said without the fault, whatever numbers and paths they hold; each once."""
    known = {_pattern(line) for line in clean}
    found: dict[str, str] = {}
    for line in spoken:
        if line.strip() and not _BAR.search(line) and _pattern(line) not in known:
            found.setdefault(_pattern(line), line.strip())
    return list(found.values())


def _pattern(line: str) -> str:
    return _VARIES.sub("#", line.strip())
