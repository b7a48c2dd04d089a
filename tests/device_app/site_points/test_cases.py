from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.agreement import Share
from device_app.readings import Judgement, Kind, Said
from device_app.site_points.cases import Answered, Source, Truth, figures_at, truth
from runtime.findings import OperatingPoints, Verdict
from tests.device_app.site_points.made import BASE, cases, evidence_of

CHANCES = st.floats(0, 1)
LISTS = st.lists(CHANCES, max_size=30)


def said(kind: Kind, judgement: Judgement, actor: str = "p1") -> Said:
    return Said("a", actor, kind, judgement, datetime(2026, 1, 1))


OWN, SECOND, END = Kind.OWN, Kind.SECOND, Kind.OUTCOME
F, D, N = Judgement.FRACTURE, Judgement.DOUBT, Judgement.NONE


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([said(OWN, F)], None),
        ([said(OWN, F), said(SECOND, N)], Truth(False, Source.SECOND)),
        ([said(SECOND, N), said(SECOND, F, "p2")], Truth(True, Source.SECOND)),
        ([said(SECOND, F), said(SECOND, D)], None),
        ([said(END, N), said(SECOND, F)], Truth(False, Source.OUTCOME)),
        ([said(END, N), said(END, F)], Truth(True, Source.OUTCOME)),
        ([], None),
    ],
)
def test_the_outcome_counts_then_the_last_sure_second_reading_never_an_own_one(
    readings: list[Said], expected: Truth | None
) -> None:
    assert truth(readings) == expected


def test_one_view_that_suspects_a_fracture_makes_a_doubt_of_the_whole() -> None:
    whole = Answered("a", 0.02, 0.6, Verdict.DOUBT)
    assert whole.at(BASE) is Verdict.DOUBT
    assert whole.at(OperatingPoints(0.06, 0.61)) is Verdict.NONE


@given(LISTS, LISTS, st.floats(0.01, 0.5), st.floats(0.01, 0.49))
def test_a_higher_limit_finds_fewer_fractures_and_leaves_more_others_alone(
    broken: list[float], whole: list[float], low: float, more: float
) -> None:
    high = 0.995
    known = cases(broken, whole)
    first = figures_at(known, OperatingPoints(low, high))
    second = figures_at(known, OperatingPoints(low + more, high))
    assert second.sensitivity.count <= first.sensitivity.count
    assert second.specificity.count >= first.specificity.count
    assert second.suspected == first.suspected and second.unsuspected == first.unsuspected


def test_what_was_followed_up_is_counted_by_what_the_box_had_said() -> None:
    evidence = evidence_of(cases([0.9, 0.2], [0.01]), more=[0.9, 0.01, 0.02, 0.03])
    assert evidence.followed_up(Verdict.NONE) == Share(1, 4)
    assert evidence.followed_up(Verdict.FRACTURE, Verdict.DOUBT) == Share(2, 3)
