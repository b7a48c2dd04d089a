"""Which examinations a site's figures rest on."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from device_app.agreement import Share
from device_app.readings import Draft, Judgement, Kind
from device_app.site_points.cases import Source, figures_at
from device_app.store import Store
from device_app.store.models import Examination, Result
from device_app.store.records import Upload
from device_app.store.site_cases import Scale, cases_of
from runtime.findings import OperatingPoints, Verdict
from tests.device_app import sample
from tests.device_app.site_points.made import BASE, Seen, fill

BUNDLE = "ab" * 32
SCALE = Scale(BUNDLE, BASE)
LOWER = OperatingPoints(0.03, 0.45)


def test_an_examination_counts_once_with_what_was_said_of_it(store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9, 0.6), "outcome", True), Seen((0.01,), "second"), Seen((0.5,))])
    evidence = cases_of(store.database).evidence(SCALE)
    assert len(evidence.answered) == 3 and len(evidence.cases) == 2 and evidence.other == 0
    assert evidence.known_from(Source.OUTCOME) == evidence.known_from(Source.SECOND) == 1
    assert 0.6 < evidence.answered[0].probability < 0.9 == evidence.answered[0].highest


def test_answers_by_the_sites_limits_count_on_the_scale_of_the_engine(store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.04,), "outcome", True, used=LOWER), Seen((0.04,), "outcome", True)])
    evidence = cases_of(store.database).evidence(SCALE)
    assert [one.verdict for one in evidence.answered] == [Verdict.DOUBT, Verdict.NONE]
    assert figures_at(evidence.cases, BASE).sensitivity == Share(0, 2)
    assert figures_at(evidence.cases, LOWER).sensitivity == Share(2, 2)


def test_other_models_other_scales_and_limits_for_several_views_are_left_out_and_counted(
    store: Store,
) -> None:
    several = Seen((0.9, 0.9), "outcome", True, examination=OperatingPoints(0.1, 0.5))
    fill(store, BUNDLE, BASE, [several, Seen((0.9,), "outcome", True)])
    known = cases_of(store.database)
    assert (len(known.evidence(SCALE).cases), known.evidence(SCALE).other) == (1, 1)
    assert known.evidence(Scale("cd" * 32, BASE)).other == 2
    assert known.evidence(Scale(BUNDLE, LOWER)).cases == ()


def test_without_what_nobody_followed_up_the_figures_are_the_same(store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9,), "outcome", True), Seen((0.9,), "own", True), Seen((0.01,))])
    known = cases_of(store.database)
    few, every = known.evidence(SCALE, followed_up_only=True), known.evidence(SCALE)
    assert (len(few.answered), len(every.answered)) == (1, 3) and few.cases == every.cases


def test_an_examination_that_gets_another_view_is_looked_at_again(store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9,), "outcome", True), Seen((0.1,))])
    known = cases_of(store.database)
    assert known.evidence(SCALE).cases[0].answered.probability == 0.9
    with store.database.write() as session:
        first, second = session.query(Examination).order_by(Examination.id)
        second.images[0].examination = first
    evidence = known.evidence(SCALE)
    assert len(evidence.answered) == 1 and 0.1 < evidence.answered[0].probability < 0.9


def test_what_was_said_of_other_views_is_no_truth_of_these(store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.01, 0.9), "outcome", True), Seen((0.9,), "outcome", True)])
    known = cases_of(store.database)
    assert len(known.evidence(SCALE).cases) == 2
    image = store.records.examination("made-0").images[1].id
    alone = store.grouping.part("made-0", image, "kiosk")
    evidence = known.evidence(SCALE)
    assert [case.answered.examination for case in evidence.cases] == ["made-1"]
    assert len(evidence.answered) == 3 and evidence.other == 1
    store.grouping.join(alone, "made-0", "kiosk")
    assert len(known.evidence(SCALE).cases) == 2


def test_as_many_other_views_are_not_those_that_were_judged(store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9,)), Seen((0.01,)), Seen((0.02,), "outcome", False)])
    store.readings.add("made-0", Draft(Kind.OUTCOME, Judgement.FRACTURE), "p1", lambda _record: "fracture")
    known = cases_of(store.database)
    assert len(known.evidence(SCALE).cases) == 2
    store.grouping.join("made-1", "made-0", "kiosk")
    store.grouping.part("made-0", store.records.examination("made-0").images[0].id, "kiosk")
    assert [case.answered.examination for case in known.evidence(SCALE).cases] == ["made-2"]


def test_a_corrected_view_is_looked_at_again_though_its_answer_has_the_old_number(
    store: Store, work_off: Callable[[], int]
) -> None:
    receipt = store.records.receive(io.BytesIO(sample.picture(sample.NONE)), Upload("a.png"))
    work_off()
    image, answers = store.records.examination(receipt.public_id).images[0], _results(store)
    with store.database.write() as session:
        session.query(Result).one().verdict = "unreadable"
        session.query(Result).one().findings_json = json.dumps({**_refused(image.findings_json)})
    known = cases_of(store.database)
    scale = Scale(answers[0].bundle_sha256, _points(image.findings_json))
    assert known.evidence(scale).answered == ()
    assert store.queue.correct(image.id, "")
    work_off()
    assert [one.id for one in _results(store)] == [one.id for one in answers]
    assert [one.verdict for one in known.evidence(scale).answered] == [Verdict.NONE]


def _results(store: Store) -> list[Result]:
    with store.database.read() as session:
        return [*session.query(Result)]


def _points(findings_json: str | None) -> OperatingPoints:
    return OperatingPoints(**json.loads(findings_json or "")["operating_points"])


def _refused(findings_json: str | None) -> dict[str, Any]:
    refusal = {"code": "body_part", "message": "m", "advice": "a"}
    none = {"probability": None, "operating_points": None, "boxes": []}
    return {**json.loads(findings_json or ""), **none, "verdict": "unreadable", "refusal": refusal}


def test_the_known_picture_that_comes_with_a_model_is_nobodys_case(store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9,), "outcome", True), Seen((0.8,), "outcome", True)])
    with store.database.write() as session:
        session.query(Examination).first().source = "test"
    assert len(cases_of(store.database).evidence(SCALE).answered) == 1


def test_a_picture_that_waits_or_was_not_read_says_nothing(store: Store) -> None:
    fill(store, BUNDLE, BASE, [Seen((0.9, 0.2), "outcome", True)])
    with store.database.write() as session:
        session.query(Examination).one().images[1].job.state = "failed"
    evidence = cases_of(store.database).evidence(SCALE)
    assert evidence.answered == () and evidence.other == 1
