"""Which examinations a site's figures rest on."""

from __future__ import annotations

from device_app.agreement import Share
from device_app.site_points.cases import Source, figures_at
from device_app.store import Store
from device_app.store.models import Examination
from device_app.store.site_cases import Scale, cases_of
from runtime.findings import OperatingPoints, Verdict
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
    assert len(evidence.answered) == 1 and 0.1 < evidence.cases[0].answered.probability < 0.9


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
