"""Shares over the limits that may be chosen, as numbers; the template draws them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device_app.agreement import Share
from device_app.monitoring.charts import HEIGHT, WIDTH
from device_app.site_points.limits import CHOICES, STEPS, widened

_STEP = WIDTH / (CHOICES - 1)


@dataclass(frozen=True)
class Dot:
    """One limit: its share and the ends of its interval, downwards from the top; low is the higher number."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """line, band: points as SVG has them, "" where nothing was counted."""

    dots: tuple[Dot, ...]
    line: str
    band: str


def curve(shares: Sequence[Share]) -> Curve:
    """One share for each limit that may be chosen, lowest limit first; intervals hold for all together."""
    dots = tuple(_dot(number, share) for number, share in enumerate(shares) if share.total)
    there, back = [(dot.x, dot.high) for dot in dots], [(dot.x, dot.low) for dot in reversed(dots)]
    return Curve(dots, _text([(dot.x, dot.y) for dot in dots]), _text(there + back))


def place_of(step: int) -> float:
    """Where a limit lies on the axis."""
    return (step + STEPS) * _STEP


def _dot(number: int, share: Share) -> Dot:
    low, high = widened(share)
    ys = (HEIGHT * (1 - each) for each in (share.value or 0.0, low, high))
    return Dot(number * _STEP, *ys)


def _text(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
