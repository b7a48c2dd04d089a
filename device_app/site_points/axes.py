"""Every limit that may be chosen, with what it does on what was followed up. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from device_app.agreement import Share
from device_app.site_points import chart
from device_app.site_points.advice import Proposal
from device_app.site_points.cases import Case, figures_at
from device_app.site_points.chart import Curve
from device_app.site_points.limits import STEPS, can_move, sensitive_at, specific_at, steps_of
from runtime.findings import OperatingPoints

_Count = Callable[[float], tuple[Share, Share]]


@dataclass(frozen=True)
class Row:
    """One limit that may be chosen. first: of the fractures, second: of the others, see Axis."""

    step: int
    value: float
    first: Share
    second: Share


@dataclass(frozen=True)
class Axis:
    """One of the two limits, the other as it is in force.

    rows: every place for it, lowest first. first, second: curves of their shares. own, today, proposed: where
    these lie on the axis, `proposed` None for none; steps beside them.
    """

    rows: tuple[Row, ...]
    first: Curve
    second: Curve
    own: float
    today: float
    today_step: int
    proposed: float | None
    proposed_step: int | None


def axes(
    cases: Sequence[Case], base: OperatingPoints, points: OperatingPoints, proposal: Proposal | None
) -> tuple[Axis, ...]:
    """Of "doubt" (found, called none) and of "fracture" (suspected, not suspected); () where none moves."""
    if not can_move(base):
        return ()

    def sensitive(value: float) -> tuple[Share, Share]:
        found = figures_at(cases, OperatingPoints(value, max(value, points.high_specificity)))
        return found.sensitivity, found.specificity

    def specific(value: float) -> tuple[Share, Share]:
        found = figures_at(cases, OperatingPoints(min(value, points.high_sensitivity), value))
        return found.suspected, found.unsuspected

    today, wanted = steps_of(base, points), proposal.steps if proposal else None
    return (
        _axis(base, sensitive_at, sensitive, today.sensitive, wanted.sensitive if wanted else None),
        _axis(base, specific_at, specific, today.specific, wanted.specific if wanted else None),
    )


def _axis(
    base: OperatingPoints,
    value_at: Callable[[OperatingPoints, int], float],
    count: _Count,
    today: int,
    proposed: int | None,
) -> Axis:
    steps = range(-STEPS, STEPS + 1)
    rows = tuple(Row(step, value_at(base, step), *count(value_at(base, step))) for step in steps)
    other = None if proposed == today else proposed
    return Axis(
        rows,
        chart.curve([row.first for row in rows]),
        chart.curve([row.second for row in rows]),
        chart.place_of(0),
        chart.place_of(today),
        today,
        None if other is None else chart.place_of(other),
        other,
    )
