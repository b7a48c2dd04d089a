"""Which images a quantizer learns its ranges from: fit patients, every body part by its share.

Not the calibration patients: they choose thresholds and, where a gate did not pass, what goes back to float;
nor the gate's, who judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from compress.datasets.base import Case
from compress.metadata import vectors
from compress.steps.calibration import CalibrationData
from compress.workbench import Workbench
from runtime.errors import StepError

_NOTABLE_SHARE = 0.02
"""Of the gate images: a body part that is rarer there is asked of nobody."""


def calibration_of(bench: Workbench, count: int) -> CalibrationData:
    """`count` images of the fit patients, or all where there are fewer, as a network takes them.

    Raises StepError for images that no quantizer should learn from (compress.steps.calibration), and where
    they show no image of a body part that the gate asks for.
    """
    cases = choose_cases(bench.splits.fit, count)
    require_every_part(cases, bench.splits.gate)
    facts = None if bench.metadata is None else vectors(bench.metadata, cases)
    ids, parts = tuple(case.case_id for case in cases), tuple(case.body_part for case in cases)
    return CalibrationData(bench.tensors.stack(cases), ids, facts, parts)


def choose_cases(cases: Sequence[Case], count: int) -> tuple[Case, ...]:
    """At most `count`, in their order: of every body part its share and at least one, evenly spread."""
    if count >= len(cases):
        return tuple(cases)
    places: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        places.setdefault(case.body_part, []).append(place)
    quotas = _quotas({part: len(own) for part, own in places.items()}, count)
    chosen: set[int] = set()
    for part, own in places.items():
        rows = np.linspace(0, len(own) - 1, quotas[part]).round().astype(int) if quotas[part] > 1 else [0]
        chosen |= {own[row] for row in rows}
    return tuple(cases[place] for place in sorted(chosen))


def require_every_part(cases: Sequence[Case], judged: Sequence[Case]) -> None:
    """Raise StepError that names each body part of the judged images which no calibration image shows."""
    seen = {case.body_part for case in cases}
    asked = Counter(case.body_part for case in judged)
    missing = [
        f"{part or 'not stated'} ({number} of {len(judged)} gate images)"
        for part, number in sorted(asked.items())
        if part not in seen and number >= _NOTABLE_SHARE * len(judged)
    ]
    if missing:
        raise StepError(
            f"no calibration image of the fit patients shows {', '.join(missing)}",
            "ranges learned without it would cut its values off: divide the patients anew, or bring some",
        )


def _quotas(sizes: dict[str, int], count: int) -> dict[str, int]:
    """How many of each part: one, and then always one more of the part that is furthest below its share."""
    share = {part: size * count / sum(sizes.values()) for part, size in sizes.items()}
    quotas = dict.fromkeys(sizes, 1)
    while sum(quotas.values()) < count:
        open_parts = [part for part, size in sizes.items() if quotas[part] < size]
        furthest = max(open_parts, key=lambda part: share[part] - quotas[part])
        quotas[furthest] += 1
    return quotas
