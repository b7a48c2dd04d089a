"""Which limits a site may choose, and how sure it can be of one that it has chosen. Pure.

A limit moves in equal steps of the logit, at most as far as the two of the bundle lie apart. So no picture
that the bundle calls a fracture can become "no fracture found" here, and none the other way round: a site
moves an answer by one step. Because the steps are set before anybody looks at the site's examinations, an
interval that is widened for all of them together (Dunn, "Multiple comparisons among means", JASA 56, 1961)
holds for whichever is chosen, however it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from device_app.agreement import Share
from runtime.errors import InputError
from runtime.examination import logit_of
from runtime.expected import ExpectedAnswers
from runtime.findings import GivenPoints, OperatingPoints
from runtime.postprocess import probability

STEPS = 8
"""In either direction."""
CHOICES = 2 * STEPS + 1
CONFIDENCE = 0.95
WIDENED_Z = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * CHOICES))
WIDEST = 0.2
"""An interval that is wider tells no nine of ten from eight of ten; nothing is proposed from it."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Steps:
    """How far both limits lie from the bundle's own; 0 is there, above 0 is higher."""

    sensitive: int = 0
    specific: int = 0


@dataclass(frozen=True)
class Promise:
    """What the maker saw on the gate patients, in the words of device_app.site_points.cases.Figures.

    per_picture: patients for one picture: the former are the unit of an interval.
    """

    sensitivity: Share
    specificity: Share
    unsuspected: Share
    per_picture: float

    def interval(self, share: Share) -> tuple[float, float]:
        """Of one of them."""
        return share.interval_of(share.total * self.per_picture)


def promise_of(expected: ExpectedAnswers | None) -> Promise | None:
    """None for a bundle that says nothing, or nothing of one of the two classes."""
    if expected is None or not expected.fractured.total or not expected.healthy.total:
        return None
    broken, healthy = expected.fractured, expected.healthy
    return Promise(
        Share(broken.fracture + broken.doubt, broken.total),
        Share(healthy.none, healthy.total),
        Share(healthy.none + healthy.doubt, healthy.total),
        expected.patients / expected.pictures,
    )


def sensitive_at(base: OperatingPoints, step: int) -> float:
    """The limit between "none" and "doubt", `step` steps from the bundle's."""
    return base.high_specificity if step == STEPS else _moved(base.high_sensitivity, base, step)


def specific_at(base: OperatingPoints, step: int) -> float:
    """The limit between "doubt" and "fracture", `step` steps from the bundle's."""
    return base.high_sensitivity if step == -STEPS else _moved(base.high_specificity, base, step)


def can_move(base: OperatingPoints) -> bool:
    """Not where a bundle has one limit only: there is no step of an answer to move by."""
    return base.high_sensitivity < base.high_specificity


def points_at(base: OperatingPoints, steps: Steps) -> OperatingPoints:
    """Raises InputError beyond the bounds, and for limits that cross."""
    if not (abs(steps.sensitive) <= STEPS and abs(steps.specific) <= STEPS and can_move(base)):
        raise InputError(f"a limit moves by at most {STEPS} steps, got {steps}", "choose one of those listed")
    low, high = sensitive_at(base, steps.sensitive), specific_at(base, steps.specific)
    if low > high:
        raise InputError("the limits cross", "“doubt” must begin below “fracture suspected”")
    return OperatingPoints(low, high)


def steps_of(base: OperatingPoints, points: OperatingPoints) -> Steps:
    """Where the limits lie; of those between two steps, the nearer one."""
    wide = logit_of(base.high_specificity) - logit_of(base.high_sensitivity)
    if wide <= 0:
        return Steps()
    moved = (
        logit_of(points.high_sensitivity) - logit_of(base.high_sensitivity),
        logit_of(points.high_specificity) - logit_of(base.high_specificity),
    )
    return Steps(*(round(STEPS * by / wide) for by in moved))


def require_within(given: GivenPoints) -> None:
    """Raises InputError for limits that are further from those they stand in for than may be."""
    base, points = given.instead_of, given.points
    bounds = (
        (points.high_sensitivity, sensitive_at(base, -STEPS), base.high_specificity),
        (points.high_specificity, base.high_sensitivity, specific_at(base, STEPS)),
    )
    for value, low, high in bounds:
        if not low - _ROUNDING <= value <= high + _ROUNDING:
            raise InputError(
                f"a limit must lie within {low:.4f} and {high:.4f}, got {value:.4f}", "choose a nearer one"
            )


def widened(share: Share) -> tuple[float, float]:
    """Where the true share lies with 95%, though the limit was chosen by looking at the very same cases."""
    return share.interval_at(WIDENED_Z)


def needed(promised: float) -> int:
    """Cases from which on the widened interval around a share as promised is no wider than WIDEST."""
    count = 1
    while _width(promised, count) > WIDEST:
        count += 1
    return count


def _width(share: float, count: int) -> float:
    low, high = Share(round(share * count), count).interval_at(WIDENED_Z)
    return high - low


def _moved(value: float, base: OperatingPoints, step: int) -> float:
    if step == 0:
        return value  # to the last digit
    wide = logit_of(base.high_specificity) - logit_of(base.high_sensitivity)
    return float(probability(logit_of(value) + step / STEPS * wide))
