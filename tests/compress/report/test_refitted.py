"""Thresholds of a step's own on report and card, and the reason where there are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compress.record import NodeRecord, RunRecord
from compress.report import render
from compress.report.card import render_card
from compress.report.refitted import refit_words
from tests.compress.report.runs import finished_run

LOCKED = {"high_sensitivity": 0.25, "high_specificity": 0.5}
OWN = {"high_sensitivity": 0.375, "high_specificity": 0.625}
NAME = "onnxruntime/int8/compile"


def used(**more: Any) -> dict[str, Any]:
    """As a verdict holds it."""
    counts = {"fractured": 41, "healthy": 52}
    table = {"refitted": True, "reason": "", "reference": LOCKED, "candidate": OWN}
    return {**table, "selection_patients": counts, **more}


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return finished_run()


def with_points(record: RunRecord, seen: dict[str, Any]) -> RunRecord:
    """The same run, whose ONNX Runtime INT8 engine was judged so."""
    nodes = tuple(
        replace(node, verdict={**node.verdict, "operating_points": seen}) if node.name == NAME else node
        for node in record.nodes
    )
    return replace(record, nodes=nodes)


def node(record: RunRecord) -> NodeRecord:
    return next(item for item in record.nodes if item.name == NAME)


def test_report_and_card_name_both_thresholds_and_the_patients(record: RunRecord) -> None:
    moved = with_points(record, used())
    words = (
        "its own, re-fitted on 41 fractured and 52 healthy selection patients: "
        "high-sensitivity point 0.3750 in place of 0.2500, high-specificity point 0.6250 in place of 0.5000"
    )
    assert refit_words(node(moved)) == words
    page = render(moved)
    assert words in page and f"re-fitted for {NAME}; see each step" in page
    assert f"- {NAME}: {words}" in render_card(moved)


def test_those_of_examinations_are_named_beside(record: RunRecord) -> None:
    whole = {"reference": {**LOCKED, "high_sensitivity": 0.125}, "candidate": OWN}
    words = refit_words(node(with_points(record, used(examinations=whole))))
    assert words.endswith(
        "for examinations of several views high-sensitivity point 0.3750 in place of 0.1250, "
        "high-specificity point 0.6250 in place of 0.5000"
    )


def test_why_the_locked_ones_were_kept_is_said(record: RunRecord) -> None:
    kept = with_points(record, used(refitted=False, reason="too few selection patients", candidate=LOCKED))
    page = render(kept)
    assert "the locked ones, not re-fitted: too few selection patients" in page
    assert "re-fitted for" not in page and "re-fitted" not in render_card(kept)


def test_where_none_are_allowed_nothing_is_said_of_them(record: RunRecord) -> None:
    assert "re-fitted" not in render(record) and "re-fitted" not in render_card(record)
    assert refit_words(node(record)) == ""
