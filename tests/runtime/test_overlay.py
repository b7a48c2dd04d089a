"""The picture with the answer on it: right places, shapes that differ without colour, words that say it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from runtime import lettering
from runtime.findings import Box, Findings, OperatingPoints, Provenance, Refusal, RefusalCode, Verdict
from runtime.lettering import Style
from runtime.overlay import OverlayOptions, render, to_gray8
from runtime.radiograph import AcquisitionFacts, Radiograph
from tests.bundles import radiograph_pixels

POINTS = OperatingPoints(0.3, 0.7)
MADE_BY = Provenance("a" * 64, "b" * 64, "bundle", "1.0")
CHANCES = {Verdict.FRACTURE: 0.9, Verdict.DOUBT: 0.5, Verdict.NONE: 0.1}
PLATE = Radiograph(radiograph_pixels(True), 12, "a" * 64)
BOX = Box(64, 80, 192, 200, 0.9)
SIDE = 640  # drawn at twice the plate's 320 rows
DRAWN = (128, 160, 384, 400)  # x0, y0, x1, y1 of BOX there
EDGE_OFFSET = (640 - 512) // 2  # a picture narrower than the panel is centred


def answer(verdict: Verdict, **changes: Any) -> Findings:
    evidence = np.zeros((32, 24), np.float32)
    evidence[8:16, 8:16] = 1
    values: dict[str, Any] = {
        "boxes": () if verdict is Verdict.NONE else (BOX,),
        "evidence": evidence,
    } | changes
    return Findings(verdict, MADE_BY, 256, 320, CHANCES[verdict], POINTS, **values)


def refused() -> Findings:
    refusal = Refusal(RefusalCode.DAMAGED, "The file is damaged.", "Copy it again.")
    return Findings(Verdict.UNREADABLE, MADE_BY, refusal=refusal)


def drawn(radiograph: Radiograph | None, findings: Findings, heat: bool = False) -> np.ndarray:
    data = render(radiograph, findings, OverlayOptions(heat=heat, long_side_px=SIDE))
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def coloured_along_top_edge(picture: np.ndarray) -> np.ndarray:
    """Where the upper edge of the drawn box is coloured, left of its number's tag excluded."""
    x0, y0, x1, _ = DRAWN
    row = picture[y0, x0 + EDGE_OFFSET + 4 : x1 + EDGE_OFFSET - 4].astype(int)
    return row.max(axis=1) - row.min(axis=1) > 60


def test_a_fracture_has_a_solid_frame_and_a_doubt_a_dotted_one() -> None:
    solid = coloured_along_top_edge(drawn(PLATE, answer(Verdict.FRACTURE)))
    dotted = coloured_along_top_edge(drawn(PLATE, answer(Verdict.DOUBT)))

    assert solid.all()
    assert np.count_nonzero(np.diff(dotted.astype(int)) == 1) > 10


def test_no_fracture_leaves_the_picture_as_it_is() -> None:
    picture = drawn(PLATE, answer(Verdict.NONE))[:SIDE, EDGE_OFFSET:-EDGE_OFFSET]

    assert np.ptp(picture.astype(int), axis=2).max() == 0


def test_heat_tints_only_where_there_is_evidence() -> None:
    picture = drawn(PLATE, answer(Verdict.NONE), heat=True)[:SIDE, EDGE_OFFSET:-EDGE_OFFSET].astype(int)

    assert np.ptp(picture[200:300, 200:300], axis=2).max() > 30
    assert np.ptp(picture[500:, :100], axis=2).max() == 0


@pytest.mark.parametrize("radiograph", [PLATE, None], ids=["refused plate", "no picture at all"])
def test_unreadable_is_written_across_and_darkened(radiograph: Radiograph | None) -> None:
    picture = drawn(radiograph, refused())
    shown = picture[: SIDE if radiograph else 200]
    band = shown[len(shown) // 2 - 15 : len(shown) // 2 + 15]

    assert (band.max(axis=2) > 200).any()
    assert np.median(shown) < 128


@pytest.mark.parametrize("verdict", list(CHANCES))
def test_each_verdict_has_a_panel_of_its_own_even_in_gray(verdict: Verdict) -> None:
    def panel(which: Verdict) -> np.ndarray:
        picture = drawn(PLATE, answer(which))[SIDE:]
        return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[20:60]

    for other in set(CHANCES) - {verdict}:
        assert np.abs(panel(verdict).astype(int) - panel(other)).max() > 80


def test_a_long_warning_makes_the_panel_higher_and_not_wider() -> None:
    short, long = (
        drawn(PLATE, answer(Verdict.NONE, warnings=(text,)))
        for text in ("Brief.", "A very long warning. " * 20)
    )

    assert long.shape[1] == short.shape[1]
    assert long.shape[0] > short.shape[0]


@pytest.mark.parametrize("box", [Box(0, 0, 256, 320, 1), Box(0, 0, 3, 3, 0.1), Box(250, 315, 256, 320, 0.2)])
def test_boxes_at_the_very_edge_are_drawn(box: Box) -> None:
    assert np.ptp(drawn(PLATE, answer(Verdict.FRACTURE, boxes=(box,)))[:SIDE].astype(int), axis=2).max() > 60


def test_the_files_window_is_used_unless_it_misses_the_picture() -> None:
    ramp = np.tile(np.arange(0, 4096, 16, dtype=np.uint16), (200, 1))

    def shown(window: tuple[float, float] | None) -> np.ndarray:
        return to_gray8(Radiograph(ramp, 12, "0" * 64, facts=AcquisitionFacts(window=window)))[0]

    assert (np.diff(np.flatnonzero((shown((2048, 512)) > 0) & (shown((2048, 512)) < 255))) == 1).all()
    assert np.count_nonzero((shown((2048, 512)) > 0) & (shown((2048, 512)) < 255)) == pytest.approx(32, abs=2)
    assert np.array_equal(shown((90_000, 100)), shown(None))


@pytest.mark.parametrize("font", [lettering.outline_font(), None], ids=["this OpenCV's font", "stroke font"])
def test_text_is_drawn_as_wide_as_it_is_said_to_be(font: object) -> None:
    style = Style(20, (255, 255, 255), bold=True)
    canvas = np.zeros((60, 600, 3), np.uint8)
    lettering.draw(canvas, "Fracture suspected", (10, 40), style, font)
    columns = np.flatnonzero(canvas.max(axis=(0, 2)))

    assert columns[-1] - columns[0] == pytest.approx(
        lettering.width_px("Fracture suspected", style, font), abs=8
    )


def test_wrapped_lines_fit_and_lose_no_word() -> None:
    style, font = Style(16, (0, 0, 0)), lettering.outline_font()
    text = "Immobilise the limb and have a clinician look at the marked place. " * 3
    lines = lettering.wrap(text, style, font, 300)

    assert " ".join(lines).split() == text.split()
    assert all(lettering.width_px(line, style, font) <= 300 for line in lines)
