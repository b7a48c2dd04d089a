"""The record of a search: search.json, and what people read of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compress.search.choice import Chosen
from compress.search.outcome import Outcome
from compress.search.plan import SearchPlan
from compress.search.tables import to_markdown

RECORD, MARKDOWN = "search.json", "search.md"


@dataclass(frozen=True)
class SearchRecord:
    """outcomes: of all trials, by number. verdicts: of the gates for the trials that no other beats; they
    have chosen nothing. seconds: of this call.
    """

    plan: SearchPlan
    data: dict[str, Any]
    machine: dict[str, Any]
    seconds: float
    outcomes: tuple[Outcome, ...]
    chosen: Chosen
    verdicts: dict[int, dict[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": 1,
            "name": self.plan.name,
            "base": self.plan.base,
            "space": {key: asdict(one) for key, one in self.plan.space.items()},
            "search": asdict(self.plan.options),
            "choice": {**asdict(self.plan.choice), **asdict(self.chosen)},
            "chosen_on": "calibration patients",
            "data": self.data,
            "machine": self.machine,
            "seconds": self.seconds,
            "trials": [outcome.to_json() for outcome in self.outcomes],
            "gate": {str(number): verdict for number, verdict in self.verdicts.items()},
        }


def write(record: SearchRecord, folder: Path) -> None:
    """search.json and search.md, each whole or not at all."""
    texts = {
        RECORD: json.dumps(record.to_json(), indent=1, allow_nan=False),
        MARKDOWN: to_markdown(record.plan, record.outcomes, record.chosen, record.verdicts),
    }
    for name, text in texts.items():
        partial = folder / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)
