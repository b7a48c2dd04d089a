"""What a screen may conclude from a stored row; "no fracture found" must be hard to reach."""

import json
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.answers import BAD_RECORD, ScreenState, answer, summary
from device_app.store.models import JobState
from device_app.store.records import ExaminationRecord, ImageRecord
from runtime.examination import ExaminationSpec, combine
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


def together(*images):
    return summary(ExaminationRecord("x", datetime(2026, 1, 1), "", images))


REFUSED = Findings(
    Verdict.UNREADABLE,
    Provenance(SHA, "cd" * 32, "b", "1"),
    refusal=Refusal(RefusalCode.TOO_SMALL, "too small", "larger"),
)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=8))
def test_an_examination_gets_the_answer_of_the_rule(probabilities):
    views = [findings(probability) for probability in probabilities]
    whole = combine(views, ExaminationSpec())
    shown = together(*map(record, views))
    assert (shown.state, shown.probability, shown.views) == (
        str(whole.verdict),
        whole.probability,
        len(views),
    )


def test_a_view_that_suspects_a_fracture_is_never_averaged_away():
    shown = together(*(record(findings(probability)) for probability in (0.75, 0.01, 0.01)))
    assert (shown.state, shown.gravest) == (ScreenState.DOUBT, ScreenState.FRACTURE)


@pytest.mark.parametrize("unread", [record(REFUSED), record(state=JobState.FAILED, failure="died"), record()])
def test_a_view_that_was_not_read_is_never_hidden_by_one_without_a_finding(unread):
    for order in ((record(findings(0.1)), unread), (unread, record(findings(0.1)))):
        shown = together(*order)
        assert shown.state is ScreenState.UNREADABLE and shown.reason and shown.probability is None
    assert together(record(findings(0.9)), unread).state is ScreenState.FRACTURE


def test_a_view_that_is_awaited_is_never_hidden_by_one_without_a_finding():
    waiting = record(state=JobState.QUEUED)
    assert together(record(findings(0.1)), waiting).state is ScreenState.WORKING
    assert together(record(findings(0.9)), waiting).state is ScreenState.FRACTURE


def test_views_that_were_judged_in_different_ways_are_not_averaged():
    other = replace(findings(0.9), operating_points=OperatingPoints(0.3, 0.8))
    assert together(record(findings(0.01)), record(other)).state is ScreenState.FRACTURE


def test_thresholds_of_examinations_are_those_that_stand_beside_the_answer():
    rule = {"rule": "mean_logit", "operating_points": {"high_sensitivity": 0.05, "high_specificity": 0.7}}
    texts = [json.dumps({**findings(0.1).to_json(), "examination": rule})] * 2
    views = [record(verdict="none", findings_json=text) for text in texts]
    assert together(views[0]).state is ScreenState.NONE
    assert together(*views).state is ScreenState.DOUBT


def spoilt(before, after):
    text = json.dumps(findings(0.1).to_json())
    assert before in text
    return record(findings(0.1), findings_json=text.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"width_px": 10', '"width_px": 1e999'),
        ('"bundle_name": "b"', '"bundle_name": "\\ud800"'),
        ('"warnings": []', f'"warnings": {"[" * 100_000}'),
        (f'"bundle_sha256": "{"cd" * 32}"', '"bundle": 1'),
        (f'"bundle_sha256": "{"cd" * 32}"', '"bundle_sha256": []'),
    ],
)
def test_one_spoilt_row_is_cannot_read_by_itself_and_beside_others(before, after):
    row = spoilt(before, after)
    assert answer(row).reason == BAD_RECORD
    assert together(record(findings(0.1)), row).state is ScreenState.UNREADABLE
    assert together(record(findings(0.9)), row).state is ScreenState.FRACTURE


def test_what_one_view_says_beyond_the_whole_is_known_and_nothing_that_it_says_less():
    assert together(*(record(findings(one)) for one in (0.3, 0.01, 0.01))).graver is ScreenState.DOUBT
    assert together(*(record(findings(one)) for one in (0.75, 0.01))).graver is ScreenState.FRACTURE
    assert together(*(record(findings(one)) for one in (0.9, 0.9))).graver is None
    assert together(record(findings(0.1)), record(REFUSED)).graver is None
    assert together(record(findings(0.9))).graver is None
