"""Plain charts as numbers: where each bar, point and interval lies. The template draws them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from device_app.agreement import Share
from device_app.monitoring.book import Expectation
from device_app.monitoring.weeks import BINS, WeekFigures, WeekName
from runtime.expected import cumulative_at

WIDTH, HEIGHT = 600.0, 150.0
"""Of the area in which things are drawn, in units of the picture."""
_TOPS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class Bar:
    """One bin. height: of what was seen. expected: height of the reference, None without one."""

    x: float
    width: float
    height: float
    expected: float | None


@dataclass(frozen=True)
class Histogram:
    """top: share that the full height stands for. seen, expected: shares of each bin; () where unknown."""

    bars: tuple[Bar, ...]
    top: float
    seen: tuple[float, ...]
    expected: tuple[float, ...]


@dataclass(frozen=True)
class Point:
    """One week: its share and the ends of its interval, downwards from the top."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Course:
    """top: share that the full height stands for. points: of weeks in which there was something to count.

    changed: where weeks lie in which something else was decided by, across.
    """

    points: tuple[Point, ...]
    top: float
    changed: tuple[float, ...] = ()


def histogram(seen: Sequence[int], expected: Sequence[float] = ()) -> Histogram | None:
    """Shares of bins beside those of a reference; None where nothing was counted."""
    shares, others = _shares(seen), _shares(expected)
    if not shares:
        return None
    top, width = _top(max([*shares, *others])), WIDTH / len(shares)
    bars = tuple(
        Bar(
            number * width,
            width,
            HEIGHT * share / top,
            HEIGHT * others[number] / top if others else None,
        )
        for number, share in enumerate(shares)
    )
    return Histogram(bars, top, tuple(shares), tuple(others))


def weeks_of(moments_utc: Sequence[datetime], weeks: Sequence[WeekFigures]) -> frozenset[int]:
    """In which of some weeks, as they came, moments lie: where theirs has no picture, the next that has.

    Of several weeks of one name any may be meant, so all are.
    """
    names = [week.name for week in weeks]
    found = (WeekName.of(moment) for moment in moments_utc)
    within = (name for name in found if names and names[0] <= name <= max(names))
    meant = {min(one for one in names if one >= name) for name in within}
    return frozenset(number for number, one in enumerate(names) if one in meant)


def course(shares: Sequence[Share], changed: Collection[int] = ()) -> Course:
    """One share a week, oldest first. changed: numbers of the weeks in which limits were changed."""
    counted = [(number, share) for number, share in enumerate(shares) if share.total]
    top = _top(max((min(1.0, 1.15 * share.interval[1]) for _, share in counted), default=0.0))
    step = WIDTH / max(1, len(shares))
    points = tuple(
        Point(
            (number + 0.5) * step,
            *(HEIGHT * (1 - each / top) for each in (share.value or 0.0, *share.interval)),
        )
        for number, share in counted
    )
    return Course(points, top, tuple((number + 0.5) * step for number in sorted(changed)))


def added(weeks: Sequence[WeekFigures]) -> tuple[int, ...]:
    """The histograms of several weeks together."""
    return tuple(np.sum([week.histogram for week in weeks], axis=0).tolist()) if weeks else ()


def expected_bins(expectation: Expectation) -> tuple[float, ...]:
    """The maker's counts in bins of probability, in the mix of the gate patients; () where there are none."""
    if expectation.answers is None:
        return ()
    both = np.add(expectation.answers.healthy.logits, expectation.answers.fractured.logits)
    edges = np.linspace(0, 1, BINS + 1)[1:-1]
    below = cumulative_at(both.tolist(), np.log(edges / (1 - edges)))
    return tuple(np.diff(below, prepend=0, append=both.sum()).tolist())


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts] if total else []


def _top(highest: float) -> float:
    return next((top for top in _TOPS if top >= highest), 1.0)
