from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.agreement import RENEWED_AFTER, Share, figures, of_many
from device_app.readings import Judgement, Kind, Said

NOON = datetime(2026, 1, 1, 12)
F, D, N, U = Judgement.FRACTURE, Judgement.DOUBT, Judgement.NONE, Judgement.UNREADABLE


def said(examination: str, kind: Kind, judgement: Judgement, box: str = "", actor: str = "p1") -> Said:
    return Said(examination, actor, kind, judgement, NOON, box)


def own(examination: str, judgement: Judgement, box: str, actor: str = "p1") -> Said:
    return said(examination, Kind.OWN, judgement, box, actor)


def second(examination: str, judgement: Judgement, box: str, actor: str = "p1") -> Said:
    return said(examination, Kind.SECOND, judgement, box, actor)


def end(examination: str, judgement: Judgement, box: str) -> Said:
    return said(examination, Kind.OUTCOME, judgement, box)


def test_agreement_counts_own_readings_that_say_what_the_box_says() -> None:
    readings = [
        own("a", F, "fracture"),
        own("b", N, "fracture"),
        own("b", F, "fracture", "p2"),
        own("c", N, "none"),
    ]
    assert figures(readings).agreement == Share(3, 4)


def test_a_reading_before_the_box_was_done_agrees_with_nothing_yet() -> None:
    assert figures([own("a", F, "")]).agreement == Share(0, 0)


def test_a_changed_mind_is_counted_with_where_it_went() -> None:
    readings = [
        own("a", N, "fracture"),
        second("a", F, "fracture"),
        own("b", N, "none"),
        second("b", D, "none"),
        own("c", F, "fracture"),
        second("c", F, "fracture"),
        own("d", F, "fracture"),
    ]
    found = figures(readings)
    assert (found.changed, found.towards_box) == (Share(2, 4), Share(1, 2))


def test_of_what_somebody_said_twice_the_last_counts_and_others_do_not_count_for_them() -> None:
    readings = [
        own("a", N, "none"),
        second("a", F, "none"),
        second("a", N, "none"),
        second("a", F, "none", "p2"),
    ]
    assert figures(readings).changed == Share(0, 1)


def test_sensitivity_and_specificity_are_of_own_readings_of_confirmed_examinations_alone() -> None:
    readings = [
        own("a", N, "fracture"),
        own("a", D, "fracture", "p2"),
        end("a", F, "fracture"),
        end("b", F, "doubt"),
        own("c", F, "none"),
        second("c", N, "none"),
        own("d", U, "none"),
        end("d", N, "none"),
        own("e", N, "none"),
        end("e", N, "none"),
        own("g", F, "fracture"),
    ]
    found = figures(readings)
    assert (found.sensitivity, found.specificity) == (Share(1, 2), Share(1, 2))


def test_an_outcome_that_was_corrected_counts_as_corrected() -> None:
    readings = [own("a", N, "none"), end("a", F, "none"), end("a", N, "none")]
    assert (figures(readings).sensitivity, figures(readings).specificity) == (Share(0, 0), Share(1, 1))


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (8, 10, 0.4902, 0.9433), (81, 263, 0.2553, 0.3662)],
)
def test_intervals_are_wilsons(count: int, total: int, low: float, high: float) -> None:
    assert Share(count, total).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_an_interval_holds_its_share_and_lies_within_0_and_1(counts: tuple[int, int]) -> None:
    share = Share(*counts)
    low, high = share.interval
    assert share.value is not None
    assert 0 <= low <= share.value + 1e-12 and share.value - 1e-12 <= high <= 1 and low < high


def test_nothing_counted_is_no_share_and_every_share_is_possible() -> None:
    assert Share(0, 0).value is None and Share(0, 0).interval == (0.0, 1.0)
    assert figures([]).sensitivity == Share(0, 0)


def test_where_people_read_first_figures_change_after_whole_twenties_of_own_readings_only() -> None:
    said = [one for name in map(str, range(2 * RENEWED_AFTER + 5)) for one in _both(name)]
    assert len(of_many(said[: 2 * RENEWED_AFTER - 2])) == 0
    first = of_many(said[: 2 * RENEWED_AFTER])
    assert figures(first).agreement == Share(RENEWED_AFTER, RENEWED_AFTER)
    assert all(of_many(said[:end]) == first for end in range(2 * RENEWED_AFTER, 4 * RENEWED_AFTER - 2))
    assert figures(of_many(said)).agreement.total == 2 * RENEWED_AFTER


def _both(name: str) -> list[Said]:
    return [own(name, N, "none"), second(name, N, "none")]
