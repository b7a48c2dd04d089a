"""The places and the views of the test patients on the model card."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compress.metrics import HIT, MISSED, NOT_ASKED, PEAK_TITLE, PLACE_TITLES, measure
from compress.predictions import Predictions
from compress.record import RunRecord
from compress.report import render
from compress.report.card import FEW_FRACTURES, render_card
from compress.report.figures import interval, interval_text
from runtime.findings import OperatingPoints
from tests.compress.cohort import CohortOptions, cohort

from .runs import finished_run


def _with_test(record: RunRecord, seen: Predictions) -> RunRecord:
    table = measure(seen, OperatingPoints(**record.operating_points)).to_json()
    return replace(record, test={"engine": "onnxruntime-int8", **table})


@pytest.fixture(scope="module")
def record() -> RunRecord:
    """A run that measured boxes and knows two views, of which few lateral ones are fractured."""
    run, drawn = finished_run(), cohort(np.random.default_rng(3), CohortOptions(patients=80))
    ill, count = drawn.labels == 1, np.arange(len(drawn))
    seen = replace(
        drawn,
        located=np.where(ill, np.where(count % 4 < 3, HIT, MISSED), NOT_ASKED),
        boxed=np.where(ill, np.where(count % 4 < 2, HIT, MISSED), NOT_ASKED),
        ious=np.where(ill, 0.25, np.nan),
        boxes_shown=np.where(count % 4 < 2, 2, 0),
        views=np.where(ill & (np.cumsum(ill) > FEW_FRACTURES - 1), "frontal", "lateral"),
    )
    return _with_test(run, seen)


def test_peak_and_box_are_two_figures_with_names_of_their_own(record: RunRecord) -> None:
    card = render_card(record)
    figures = {
        PEAK_TITLE: ("localisation",),
        **{title: ("places", name) for name, title in PLACE_TITLES.items()},
    }
    assert record.test["localisation"]["value"] != record.test["places"]["box"]["value"]
    for title, path in figures.items():
        assert f"| {title} | {interval_text(interval(record.test, *path))} |" in card
    assert "The box is the strongest one shown" in card


def test_the_report_shows_the_boxes_of_the_test_patients_too(record: RunRecord) -> None:
    page = render(record).split('id="test"', 1)[1].split("</section>", 1)[0]
    assert all(title in page for title in PLACE_TITLES.values())


def test_a_record_from_before_boxes_were_measured_still_has_a_card_and_a_page(record: RunRecord) -> None:
    old = {name: value for name, value in record.test.items() if name not in ("places", "by_view")}
    peak = record.test["localisation"]
    none = {"value": None, "low": None, "high": None, "n": 0, "reason": "suspected places were not compared"}
    for places in ({}, {"places": dict.fromkeys(("peak", "box", "iou", "false_boxes"), none)}):
        before = replace(record, test={**old, **places})
        card = render_card(before)
        assert f"| {PEAK_TITLE} | {peak['value']:.3f} [" in card
        assert not any(f"| {title} |" in card for title in PLACE_TITLES.values())
        assert "strongest one shown" not in card and "### By view" not in card
        assert PLACE_TITLES["box"] not in render(before)


def test_views_are_a_table_of_their_own_and_a_thin_one_is_a_limit(record: RunRecord) -> None:
    card = render_card(record)
    table = card.split("### By view", 1)[1].split("###", 1)[0]
    thin = record.test["by_view"]["lateral"]
    assert thin["fractured"] == FEW_FRACTURES - 1
    assert f"| lateral (**few**) | {thin['images']} | {FEW_FRACTURES - 1} |" in table
    assert f"| frontal | {record.test['by_view']['frontal']['images']} |" in table
    assert f"- lateral: {FEW_FRACTURES - 1} fractured test images" in card.split("## Limits", 1)[1]


def test_images_whose_view_nobody_says_are_a_row_that_says_so(record: RunRecord) -> None:
    views = {"": record.test["by_view"]["frontal"], "lateral": record.test["by_view"]["lateral"]}
    card = render_card(replace(record, test={**record.test, "by_view": views}))
    assert "| not said | " in card
