"""Which groups do the harm: how much of the logit's error goes when a group alone goes back to float."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.datasets.progress import Progress, silent
from compress.predictions import Predictions


@dataclass(frozen=True)
class Damage:
    """error: mean squared error of the logit that is left with this group alone in float; infinite where
    that graph gives no sound answer to some image. damage: by how much that is less than the plain INT8's.
    """

    group: str
    error: float
    damage: float

    @property
    def helps(self) -> bool:
        """Whether the group in float is any better: noise may well make it worse."""
        return self.damage > 0


@dataclass(frozen=True)
class Ranking:
    """damages: worst group first, equal ones in the order of the graph. plain_error: of the plain INT8.

    images: of selection patients that it was measured on.
    """

    damages: tuple[Damage, ...]
    plain_error: float
    images: int

    @property
    def helpful(self) -> tuple[str, ...]:
        """Names of the groups worth putting back, worst first."""
        return tuple(item.group for item in self.damages if item.helps)

    def to_json(self) -> dict[str, Any]:
        """JSON-safe; None for infinite."""
        groups = [
            {"group": item.group, "error": _finite(item.error), "damage": _finite(item.damage)}
            for item in self.damages
        ]
        return {"images": self.images, "plain_error": _finite(self.plain_error), "groups": groups}

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Ranking:
        """The one that `to_json` wrote."""
        plain = _number(table["plain_error"])
        errors = {item["group"]: _number(item["error"]) for item in table["groups"]}
        return ranked(plain, errors, table["images"])


def measure_ranking(
    groups: Sequence[str],
    error_with: Callable[[tuple[str, ...]], float],
    images: int,
    progress: Progress = silent,
) -> Ranking:
    """error_with: the error of the graph with these groups in float, () for the plain INT8."""
    plain = error_with(())
    errors = {}
    for number, name in enumerate(groups, 1):
        errors[name] = error_with((name,))
        progress(number, len(groups))
    return ranked(plain, errors, images)


def ranked(plain_error: float, errors: Mapping[str, float], images: int) -> Ranking:
    """errors: by group, in the order of the graph."""
    found = [Damage(name, error, _fall(plain_error, error)) for name, error in errors.items()]
    return Ranking(tuple(sorted(found, key=lambda item: item.error)), plain_error, images)


def logit_error(reference: Predictions, candidate: Predictions) -> float:
    """Mean squared difference of the logits; infinite where the candidate did not answer every case."""
    if candidate.refused or len(candidate) != len(reference):
        return math.inf
    return float(np.mean((candidate.logits - reference.logits) ** 2))


def _fall(before: float, after: float) -> float:
    return 0.0 if before == after else before - after


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.inf if value is None else float(value)
