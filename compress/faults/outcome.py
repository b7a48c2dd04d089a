"""What became of one fault, or of a clean run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.faults.catch import Catch

CAUGHT, MISSED, NOT_PUT_IN = "caught", "missed", "not put in"
CLEAN, ALARM = "clean", "false alarm"


@dataclass(frozen=True)
class Outcome:
    """name, title, seen: of the fault; of a clean run its seed.

    status: caught | missed | not put in | clean | false alarm. catches: what stopped something. shipped:
    engines that were released with the fault in them. reason: why it was not put in. seconds: of the run.
    """

    name: str
    title: str
    seen: str
    status: str
    catches: tuple[Catch, ...] = ()
    shipped: tuple[str, ...] = ()
    reason: str = ""
    seconds: float = 0.0

    @property
    def wrong(self) -> bool:
        """Whether it speaks against the toolchain."""
        return self.status in (MISSED, ALARM)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **{key: value for key, value in vars(self).items() if key not in ("catches", "shipped")},
            "catches": [catch.to_json() for catch in self.catches],
            "shipped": list(self.shipped),
        }


def from_json(table: Mapping[str, Any]) -> Outcome:
    """What `to_json` gave. Raises KeyError or TypeError for anything else."""
    catches = tuple(Catch(**item) for item in table["catches"])
    return Outcome(**{**table, "catches": catches, "shipped": tuple(table["shipped"])})


def load_outcome(path: Path, key: str) -> Outcome | None:
    """The outcome kept there of this very key; None for anything else."""
    try:
        kept = json.loads(path.read_bytes())
        return from_json(kept["outcome"]) if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_outcome(outcome: Outcome, path: Path, key: str) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"key": key, "outcome": outcome.to_json()}, indent=1), encoding="utf-8")
    partial.replace(path)
