"""What a screen may conclude from a stored row; "no fracture found" must be hard to reach."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.answers import BAD_RECORD, ScreenState, answer, summary
from device_app.store.models import JobState
from device_app.store.records import ExaminationRecord, ImageRecord
from runtime.findings import Box, Findings, OperatingPoints, Provenance, Refusal, RefusalCode, Verdict

SHA = "ab" * 32
POINTS = OperatingPoints(0.2, 0.7)
KEYS = ("verdict", "probability", "operating_points", "boxes", "provenance", "warnings", "width_px")


def record(findings=None, state=JobState.DONE, **changes):
    text = None if findings is None else json.dumps(findings.to_json())
    verdict = None if findings is None else str(findings.verdict)
    values = {"id": 1, "sha256": SHA, "file_name": "a.png", "size_bytes": 1, "failure": "", "detail": ""}
    return ImageRecord(
        **{**values, "state": state, "ahead": 0, "verdict": verdict, "findings_json": text, **changes}
    )


def findings(probability):
    verdict = POINTS.decide(probability)
    boxes = () if verdict is Verdict.NONE else (Box(1, 2, 3, 4, probability),)
    provenance = Provenance(SHA, "cd" * 32, "b", "1")
    return Findings(verdict, provenance, 10, 20, probability, POINTS, boxes)


@pytest.mark.parametrize(
    ("probability", "state"),
    [(0.1, ScreenState.NONE), (0.2, ScreenState.DOUBT), (0.7, ScreenState.FRACTURE)],
)
def test_a_sound_result_is_shown_as_it_is(probability, state):
    shown = answer(record(findings(probability)))
    assert (shown.state, shown.probability, shown.points) == (state, probability, POINTS)
    assert len(shown.boxes) == (state is not ScreenState.NONE)


def test_a_refusal_is_cannot_read_with_its_reason():
    refusal = Refusal(RefusalCode.TOO_SMALL, "too small", "larger")
    refused = Findings(Verdict.UNREADABLE, Provenance(SHA, "", "b", "1"), refusal=refusal)
    shown = answer(record(refused))
    assert (shown.state, shown.reason, shown.advice) == (ScreenState.UNREADABLE, "too_small", "larger")


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.WORKING])
def test_an_unfinished_picture_is_still_working(state):
    assert answer(record(state=state, ahead=3)).state is ScreenState.WORKING


def test_a_failed_picture_is_cannot_read_and_may_be_tried_again():
    shown = answer(record(state=JobState.FAILED, failure="died"))
    assert (shown.state, shown.reason, shown.can_retry) == (ScreenState.UNREADABLE, "died", True)


def test_a_finished_picture_without_result_is_no_result():
    assert answer(record()).reason == BAD_RECORD


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, "none", -1, [1], {"x": 1}, float("nan")])
def test_a_damaged_result_never_reads_as_no_fracture(key, value):
    """Every key of a fracture's record, replaced by something wrong."""
    sound = findings(0.9)
    broken = {**sound.to_json(), key: value}
    shown = answer(record(sound, findings_json=json.dumps(broken)))
    assert shown.state in (ScreenState.UNREADABLE, ScreenState.FRACTURE)


@pytest.mark.parametrize("key", KEYS)
def test_a_result_with_a_missing_key_is_not_shown(key):
    broken = findings(0.1).to_json()
    del broken[key]
    assert answer(record(findings(0.1), findings_json=json.dumps(broken))).reason == BAD_RECORD


def test_the_row_the_record_and_the_picture_must_agree():
    sound = findings(0.1)
    assert answer(record(sound, verdict="fracture")).reason == BAD_RECORD
    assert answer(record(sound, sha256="ef" * 32)).reason == BAD_RECORD
    turned = {**findings(0.9).to_json(), "verdict": "none"}
    assert answer(record(verdict="none", findings_json=json.dumps(turned))).reason == BAD_RECORD


@given(st.text(max_size=60) | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_arbitrary_text_is_never_a_result(text):
    assert answer(record(verdict="none", findings_json=text)).state is ScreenState.UNREADABLE


def test_a_view_without_a_finding_never_hides_another():
    views = [findings(0.1), findings(0.5), findings(0.9)]
    for count, expected in ((1, ScreenState.NONE), (2, ScreenState.DOUBT), (3, ScreenState.FRACTURE)):
        images = tuple(record(view) for view in views[:count])
        shown = summary(ExaminationRecord("x", datetime(2026, 1, 1), "", images))
        assert shown.state is expected
    waiting = (record(views[0]), record(state=JobState.QUEUED))
    assert summary(ExaminationRecord("x", datetime(2026, 1, 1), "", waiting)).state is ScreenState.WORKING
