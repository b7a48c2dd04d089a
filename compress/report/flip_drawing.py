"""The probabilities of one changed case beside the thresholds, close up below the whole scale."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from markupsafe import Markup

from compress.report.figures import POINTS
from compress.report.flip_cases import Change, ChangedCase
from compress.report.svg import Scale, element, line, marker, picture, text

_WIDTH_PX, _EDGE_PX = 460, 14
_WHOLE_PX = 30
_ROW_PX, _LINE_PX = 34, 14
_LINE_LETTERS = 58
"""As many as a wide typeface has room for; the picture cuts off what is longer."""
_CAPTION_PX = 36
_ROOM = 0.15
_WIDE = 0.6
"""A close-up of more than this says no more than the whole scale."""
_SHORT = {"high_sensitivity": "sensitive", "high_specificity": "specific"}


@dataclass(frozen=True)
class _Row:
    """Nodes that give the same answer, to three decimals. own: thresholds of their own that were crossed."""

    names: tuple[str, ...]
    against: str
    before: float
    after: float
    own: tuple[float, ...] = ()

    @property
    def label(self) -> list[str]:
        """Its lines."""
        words = ", ".join(self.names) + (f" against {self.against}" if self.against else "")
        return textwrap.wrap(words, _LINE_LETTERS, break_on_hyphens=False)

    @property
    def height_px(self) -> int:
        """Of the label and what is drawn below it."""
        return _ROW_PX + _LINE_PX * (len(self.label) - 1)


def draw_chances(case: ChangedCase, points: dict[str, float]) -> Markup:
    """One row a group of nodes: a circle for what it is compared with, a diamond for what it says."""
    rows = _rows(case)
    concerned = {change.point for change in case.changes}
    x = _close_up([value for row in rows for value in (row.before, row.after, *row.own)], points, concerned)
    top = _WHOLE_PX + _CAPTION_PX if x.high - x.low < 1 else _CAPTION_PX
    *tops, bottom = accumulate((row.height_px for row in rows), initial=top)
    parts = [_whole(x, points)] if x.high - x.low < 1 else []
    parts += [_threshold(x, name, value, (top - 4, bottom)) for name, value in points.items()]
    parts += [_row(row, x, row_top) for row, row_top in zip(rows, tops, strict=True)]
    parts.append(line(x.start_px, bottom, x.end_px, bottom, "axis"))
    for tick in x.ticks(6):
        parts.append(line(x(tick), bottom, x(tick), bottom + 4, "axis"))
        parts.append(text(x(tick), bottom + 17, f"{tick:g}", "tick", "middle"))
    return picture(_WIDTH_PX, bottom + 24, _words(rows, points), *parts)


def _rows(case: ChangedCase) -> list[_Row]:
    found: dict[tuple[str, str, str], list[Change]] = {}
    for change in case.changes:
        key = change.against, f"{change.before:.3f}", f"{change.after:.3f}"
        found.setdefault(key, []).append(change)
    return [_of_same(changes) for changes in found.values()]


def _of_same(changes: Sequence[Change]) -> _Row:
    first = changes[0]
    names = tuple(dict.fromkeys(change.node for change in changes))
    own = sorted({change.threshold for change in changes if change.threshold is not None})
    return _Row(names, first.against, first.before, first.after, tuple(own))


def _close_up(values: Sequence[float], points: dict[str, float], concerned: set[str]) -> Scale:
    """From the lowest to the highest of the values and the thresholds crossed, with some room."""
    shown = [*values, *(value for name, value in points.items() if name in concerned)]
    low, high = min(shown), max(shown)
    room = max(_ROOM * (high - low), 1e-3)
    low, high = max(0.0, low - room), min(1.0, high + room)
    low, high = (0.0, 1.0) if high - low > _WIDE else (low, high)
    return Scale(low, high, _EDGE_PX, _WIDTH_PX - _EDGE_PX)


def _whole(x: Scale, points: dict[str, float]) -> Markup:
    """The scale from 0 to 1, and lines that lead from the part shown below to its ends."""
    whole, y = Scale(0, 1, _EDGE_PX, _WIDTH_PX - _EDGE_PX), 8
    parts = [
        line(whole.start_px, y, whole.end_px, y, "track"),
        line(whole(x.low), y, whole(x.high), y, "window"),
        *(line(whole(value), y - 6, whole(value), y + 6, "limit") for value in points.values()),
        line(whole(x.low), y + 4, x.start_px, _WHOLE_PX + 2, "lead"),
        line(whole(x.high), y + 4, x.end_px, _WHOLE_PX + 2, "lead"),
        text(whole.start_px, y + 18, "0", "tick", "middle"),
        text(whole.end_px, y + 18, "1", "tick", "middle"),
    ]
    return element("g", *parts)


def _threshold(x: Scale, name: str, value: float, span: tuple[float, float]) -> Markup:
    if not x.low <= value <= x.high:
        return Markup("")
    # Near an edge the words would leave the picture.
    anchor = "start" if x(value) < 90 else "end" if x(value) > _WIDTH_PX - 90 else "middle"
    words = f"{_SHORT.get(name, name)} {value:.3f}"
    # The two may lie close together; their words must not.
    lift = 14 if name == "high_specificity" else 0
    return element(
        "g",
        line(x(value), span[0] - lift, x(value), span[1], "limit"),
        text(x(value), span[0] - 3 - lift, words, "tick halo", anchor),
    )


def _row(row: _Row, x: Scale, top: float) -> Markup:
    y = top + row.height_px - 10
    return element(
        "g",
        *(
            text(x.start_px, top + 12 + _LINE_PX * n, words, "label halo")
            for n, words in enumerate(row.label)
        ),
        *(line(x(value), y - 8, x(value), y + 8, "limit") for value in row.own),
        line(x(row.before), y, x(row.after), y, "move"),
        marker("circle", x(row.before), y, 5, "before"),
        marker("diamond", x(row.after), y, 5, "after"),
    )


def _words(rows: Sequence[_Row], points: dict[str, float]) -> str:
    """The same for those who hear the page."""
    said = [
        f"{', '.join(row.names)} {row.after:.3f}, {row.against or 'original checkpoint'} {row.before:.3f}"
        + "".join(f", own threshold {value:.3f}" for value in row.own)
        for row in rows
    ]
    limits = [f"{POINTS.get(name, name)} at {value:.3f}" for name, value in points.items()]
    return f"Probabilities. {'; '.join(said)}. Thresholds: {', '.join(limits)}."
