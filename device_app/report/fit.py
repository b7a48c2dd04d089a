"""A sheet that fits on one page: what gives way for want of room, in which order, and that it is said. Pure.

The room is what A4 and Letter have in common. How high a sheet becomes is estimated here, with letters taken
wider than they are, because a browser prints it too; the PDF's maker measures and takes the next step of the
ladder where the estimate was wrong. Answers, reasons, steps, the outcome and the notice never give way.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from device_app.language import gettext
from device_app.report.sheet import Fit, Sheet, Spoken, View

WIDTH_MM, HEIGHT_MM = 186.0, 258.0
"""Of the printed area: width and margins as in static/report.css, within which Letter is 259 mm high."""
LADDER = (
    Fit(11, 130, lines=6),
    Fit(11, 110, lines=4),
    Fit(10, 90, lines=3),
    Fit(10, 75),
    Fit(10, 60),
    Fit(9, 60),
    Fit(9, 50),
    Fit(8, 50),
    Fit(8, 50, note_chars=140),
    Fit(8, 40, note_chars=140, readings=4),
    Fit(8, 40, note_chars=140, readings=4, warnings=4),
    Fit(8, 40, note_chars=100, readings=3, warnings=4),
    Fit(7, 40, note_chars=100, readings=3, warnings=3, warning_chars=160),
    Fit(7, 30, note_chars=60, readings=1, warnings=2, warning_chars=120),
    Fit(6, 30, note_chars=60, readings=1, warnings=2, warning_chars=120),
)
"""Smaller pictures, then smaller letters, then shorter remarks, fewer readings, fewer warnings."""
_MM_A_POINT = 25.4 / 72
_LINE_EM = 1.32
_GAP_MM = 3.0
_LINE_MM = 7.5
"""One to write on; it is the same at every size of letters."""


def fitting(sheet: Sheet) -> list[Sheet]:
    """The sheet as it is taken, and after it what is taken should it be too high all the same."""
    steps = [fitted(sheet, fit) for fit in LADDER]
    first = next((place for place, one in enumerate(steps) if height_mm(one) <= HEIGHT_MM), len(steps) - 1)
    return steps[first:]


def fitted(sheet: Sheet, fit: Fit) -> Sheet:
    """With no more than that; what is not there any more is named in `left_out`."""
    said, warnings = _kept(sheet.said, fit.readings), sheet.warnings[: fit.warnings]
    short = tuple(replace(one, note=cut(one.note, fit.note_chars)) for one in said)
    brief = tuple(cut(text, fit.warning_chars) for text in warnings)
    fewer, older = len(sheet.warnings) - len(warnings), len(sheet.said) - len(said)
    left_out = (
        gettext("Warnings: %(count)s more", count=fewer) if fewer else "",
        gettext("The ends of long warnings") if brief != warnings else "",
        gettext("Readings of people: %(count)s older ones", count=older) if older else "",
        gettext("The ends of long remarks") if short != said else "",
    )
    named = (*sheet.left_out, *filter(None, left_out))
    return replace(sheet, fit=fit, said=short, warnings=brief, left_out=named)


def cut(text: str, chars: int) -> str:
    """At most so many characters; one that was cut ends in an ellipsis."""
    return text if len(text) <= chars else text[: chars - 1].rstrip() + "…"


def height_mm(sheet: Sheet) -> float:
    """How high it becomes on paper, rather too much than too little."""
    return (
        _head(sheet)
        + _views(sheet)
        + _below(sheet)
        + max(2, sheet.fit.lines) * _LINE_MM
        + _Text(sheet.fit, 0.82).height(
            [" · ".join(f"{row.name}: {row.value}" for row in sheet.technical), sheet.printed], WIDTH_MM
        )
        + _Text(sheet.fit).height([" · ".join(sheet.left_out), "-"], WIDTH_MM)
        + 2 * _GAP_MM
    )


def _kept(said: tuple[Spoken, ...], most: int) -> tuple[Spoken, ...]:
    """The last ones, and what it was in the end."""
    others = [one for one in said if not one.final]
    last = others[max(0, len(others) - most) :]
    return tuple(one for one in said if one.final or any(one is kept for kept in last))


class _Text:
    """Letters of one size, as a share of the sheet's."""

    def __init__(self, fit: Fit, share: float = 1.0) -> None:
        self._em_mm = fit.text_pt * _MM_A_POINT * share

    def height(self, texts: Iterable[str], width_mm: float) -> float:
        """Of paragraphs below each other."""
        lines = sum(math.ceil(_width_em(text) * self._em_mm / width_mm) for text in texts if text)
        return lines * _LINE_EM * self._em_mm


def _width_em(text: str) -> float:
    """Wide as letters of DejaVu Sans are, the widest font that is common; words do not fill their lines."""
    return 1.08 * sum(map(_letter_em, text)) + 2


def _letter_em(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    if letter in "WMwm@—%":
        return 0.95
    return 0.7 if letter.isupper() or letter.isdigit() else 0.58


def _head(sheet: Sheet) -> float:
    plain, clinic, name = _Text(sheet.fit), _Text(sheet.fit, 1.3), _Text(sheet.fit, 1.8)
    facts = "   ".join(f"{row.name}: {row.value}" for row in sheet.facts)
    return (
        clinic.height([sheet.clinic, "-"], WIDTH_MM * 0.6)
        + clinic.height([f"-------- {sheet.patient}"], WIDTH_MM)
        + plain.height([facts], WIDTH_MM)
        + name.height([sheet.headline], WIDTH_MM - 22)
        + plain.height([*sheet.meaning, sheet.stored], WIDTH_MM - 22)
        + 4 * _GAP_MM
    )


def _views(sheet: Sheet) -> float:
    text, half = _Text(sheet.fit), WIDTH_MM / 2 - 4
    steps = text.height([f"-- {step}" for step in sheet.steps], half - 6)
    sure = text.height(sheet.sure, half)
    titles = 2 * text.height(["-"], half)
    if len(sheet.views) == 1:
        return max(_view(sheet.views[0], sheet.fit, half), steps + sure + 2 * titles) + _GAP_MM
    width = WIDTH_MM / max(1, len(sheet.views)) - 5
    row = max((_view(view, sheet.fit, width) for view in sheet.views), default=0.0)
    return row + max(steps, sure) + titles + text.height(sheet.more, WIDTH_MM) + 2 * _GAP_MM


def _view(view: View, fit: Fit, width_mm: float) -> float:
    caption = [f"-- 9: {view.headline}", view.about, *view.remarks]
    return _plate(view, fit, width_mm) + _Text(fit).height(caption, width_mm) + 2


def _plate(view: View, fit: Fit, width_mm: float) -> float:
    if view.picture is None:
        return _Text(fit).height([view.instead], width_mm) + 12
    return min(fit.picture_mm, width_mm * view.picture.height_px / view.picture.width_px)


def _below(sheet: Sheet) -> float:
    text = _Text(sheet.fit)
    said = [f"{one.what} {one.who} {one.note}" for one in sheet.said]
    blocks = [block for block in (sheet.warnings, said) if block]
    legend = text.height(["-"], WIDTH_MM) if sheet.has_solid or sheet.has_dotted else 0
    return legend + sum(text.height(["-", *block], WIDTH_MM - 6) + _GAP_MM for block in blocks)
