"""A picture of a dataset: some images of each body part, fractured beside not fractured, boxes drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from compress.datasets.base import Case, Dataset
from runtime import lettering
from runtime.errors import InputError, StepError
from runtime.lettering import Canvas, Colour, Style
from runtime.overlay import to_gray8

_BACKGROUND: Colour = (24, 22, 20)  # blue, green, red
_CELL: Colour = (40, 36, 34)
_BOX: Colour = (64, 140, 255)
_TITLE = Style(26, (255, 255, 255), bold=True)
_HEADING = Style(20, (240, 236, 232), bold=True)
_QUIET = Style(15, (178, 172, 168))
_MARGIN_PX, _GAP_PX, _GUTTER_PX, _HEAD_PX, _TITLE_PX = 24, 6, 36, 40, 84
_BOX_PX = 2
_WORDS = {1: "label 1 (fractured)", 0: "label 0"}


@dataclass(frozen=True)
class SheetOptions:
    """cell_px: side of the square that an image is fitted into. columns: images of each label in a row.

    max_body_parts: rows; the most frequent body parts are shown.
    """

    cell_px: int = 176
    columns: int = 6
    max_body_parts: int = 12


DEFAULT_OPTIONS = SheetOptions()


def draw_sheet(dataset: Dataset, cases: Sequence[Case], options: SheetOptions = DEFAULT_OPTIONS) -> bytes:
    """PNG bytes. `cases`: those that can be read. The same cases give the same picture.

    Raises StepError where there is no case to show.
    """
    parts = _parts(cases)
    shown = parts[: options.max_body_parts]
    if not shown:
        raise StepError("there is no image for a contact sheet", "see the list of unreadable files")
    blocks_px = options.columns * (options.cell_px + _GAP_PX) - _GAP_PX
    width_px = 2 * _MARGIN_PX + 2 * blocks_px + _GUTTER_PX
    row_px = _HEAD_PX + options.cell_px + _GUTTER_PX
    canvas = np.full((_TITLE_PX + len(shown) * row_px, width_px, 3), _BACKGROUND, np.uint8)
    _draw_title(canvas, dataset, cases, len(parts) - len(shown))
    for number, (name, own) in enumerate(shown):
        top_px = _TITLE_PX + number * row_px
        _draw_heading(canvas, name, own, top_px)
        for label, left_px in ((1, _MARGIN_PX), (0, _MARGIN_PX + blocks_px + _GUTTER_PX)):
            chosen = choose([case for case in own if case.label == label], options.columns)
            _draw_block(canvas, dataset, chosen, (left_px, top_px + _HEAD_PX), options)
    done, encoded = cv2.imencode(".png", canvas)
    if not done:
        raise StepError(f"OpenCV could not encode a picture of {canvas.shape[1]} x {canvas.shape[0]} pixels")
    return bytes(encoded.tobytes())


def choose(cases: Iterable[Case], count: int) -> list[Case]:
    """At most `count` cases, of as many patients as possible, the same ones every time.

    The order is that of a digest of the ids: neither the first of a series nor the same examination.
    """
    order = sorted(cases, key=lambda case: hashlib.sha256(case.case_id.encode()).digest())
    patients: dict[str, int] = {}
    ranks = []
    for case in order:
        ranks.append(patients.get(case.patient_id, 0))
        patients[case.patient_id] = ranks[-1] + 1
    by_rank = sorted(range(len(order)), key=lambda number: (ranks[number], number))
    return [order[number] for number in by_rank[:count]]


def _parts(cases: Iterable[Case]) -> list[tuple[str, list[Case]]]:
    """(body part, its cases), the most frequent first."""
    members: dict[str, list[Case]] = {}
    for case in cases:
        members.setdefault(case.body_part, []).append(case)
    return sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))


def _draw_title(canvas: Canvas, dataset: Dataset, cases: Sequence[Case], hidden: int) -> None:
    font = lettering.outline_font()
    lettering.draw(canvas, dataset.name, (_MARGIN_PX, 40), _TITLE, font)
    boxes = sum(len(case.boxes) for case in cases)
    facts = f"{len(cases)} images, {sum(case.label for case in cases)} labelled 1, {boxes} boxes"
    more = f"; {hidden} rarer body parts are not shown" if hidden else ""
    lettering.draw(canvas, f"{facts}{more}", (_MARGIN_PX, 66), _QUIET, font)


def _draw_heading(canvas: Canvas, name: str, cases: Sequence[Case], top_px: int) -> None:
    font = lettering.outline_font()
    fractured = sum(case.label for case in cases)
    middle = (canvas.shape[1] + _GUTTER_PX) // 2
    lettering.draw(canvas, name, (_MARGIN_PX, top_px + 26), _HEADING, font)
    beside = _MARGIN_PX + lettering.width_px(name, _HEADING, font) + 14
    counts = {1: fractured, 0: len(cases) - fractured}
    for label, left_px in ((1, beside), (0, middle)):
        words = f"{_WORDS[label]}: {counts[label]} {'image' if counts[label] == 1 else 'images'}"
        lettering.draw(canvas, words, (left_px, top_px + 26), _QUIET, font)


def _draw_block(
    canvas: Canvas,
    dataset: Dataset,
    cases: Sequence[Case],
    corner_px: tuple[int, int],
    options: SheetOptions,
) -> None:
    side = options.cell_px
    for column in range(options.columns):
        left, top = corner_px[0] + column * (side + _GAP_PX), corner_px[1]
        cell = canvas[top : top + side, left : left + side]
        if column >= len(cases):
            continue
        cell[:] = _CELL
        try:
            _fit(cell, dataset, cases[column])
        except InputError:  # counted among the unreadable files
            cv2.line(cell, (0, 0), (side - 1, side - 1), _BOX, 1, cv2.LINE_AA)


def _fit(cell: Canvas, dataset: Dataset, case: Case) -> None:
    """The image in the middle of the cell, its boxes on it."""
    radiograph = dataset.load(case)
    scale = cell.shape[0] / max(radiograph.height_px, radiograph.width_px)
    width, height = (max(1, round(side * scale)) for side in (radiograph.width_px, radiograph.height_px))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    gray = np.asarray(cv2.resize(to_gray8(radiograph), (width, height), interpolation=kind))
    top, left = (cell.shape[0] - height) // 2, (cell.shape[1] - width) // 2
    cell[top : top + height, left : left + width] = gray[:, :, None]
    for x0, y0, x1, y1 in case.boxes:
        first = (left + round(x0 * width) - _BOX_PX, top + round(y0 * height) - _BOX_PX)
        second = (left + round(x1 * width) + _BOX_PX, top + round(y1 * height) + _BOX_PX)
        picture = np.ascontiguousarray(cell)
        cv2.rectangle(picture, first, second, _BOX, _BOX_PX, cv2.LINE_AA)
        cell[:] = picture
