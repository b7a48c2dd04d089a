from __future__ import annotations

from datetime import datetime

import pytest

from device_app.agreement import Share
from device_app.monitoring.tally import FAILED, Tally
from device_app.monitoring.weeks import BINS, Disagreement, Spread, WeekCount, WeekName, disagreement, spread

ENGINE = "onnxruntime-fp32"


def answered(verdict: str, probability: float, infer_ms: float = 40.0, **more: tuple[str, ...]) -> Tally:
    return Tally(verdict, "", probability, ENGINE, more.get("warnings", ()), {"infer": infer_ms})


def week(*tallies: tuple[int, Tally]) -> WeekCount:
    count = WeekCount(WeekName(2026, 5))
    for examination, said in tallies:
        count.add(examination, said)
    return count


WHOLE = week(
    (1, answered("none", 0.01, 30)),
    (1, answered("fracture", 0.999, 50, warnings=("It is noisy",))),
    (2, Tally("unreadable", "unfamiliar", None, "", ("It is noisy",))),
    (3, answered("doubt", 0.05, 40)),
    (4, Tally(FAILED, "timeout")),
    (5, answered("none", 1.0)),
)


def test_a_week_is_counted() -> None:
    found = WHOLE.figures()
    assert (found.pictures, found.failed) == (6, 1)
    assert (found.refused, found.fracture, found.doubt) == (Share(1, 5), Share(1, 4), Share(1, 4))
    assert found.reasons == {"unfamiliar": 1} and found.failures == {"timeout": 1}
    assert found.warnings == {"It is noisy": 2} and found.engines == {ENGINE: 4}
    assert found.stages[(ENGINE, "infer")].median_ms == 40


def test_every_probability_lies_in_one_bin_of_the_histogram() -> None:
    histogram = WHOLE.figures().histogram
    assert len(histogram) == BINS and sum(histogram) == 4
    assert (histogram[0], histogram[1], histogram[-1]) == (1, 1, 2)


def test_figures_change_when_something_comes() -> None:
    count = week((1, answered("none", 0.1)))
    assert count.figures().pictures == 1
    count.add(1, answered("none", 0.1))
    assert count.figures().pictures == 2


def test_a_picture_that_is_no_answer_and_no_refusal_is_neither() -> None:
    """A stored answer that nobody understands must not look like one that was."""
    found = week((1, Tally("")), (1, answered("none", 0.1))).figures()
    assert (found.refused, found.fracture.total) == (Share(0, 2), 1)


def test_the_watch_gets_shares_of_examinations_and_quiet_scores() -> None:
    found = WHOLE.answers()
    assert found.refused.tolist() == [0, 1, 0, 0] == found.unfamiliar.tolist()
    assert found.quiet_of.tolist() == [0, 3] and found.quiet_logits[0] == pytest.approx(-4.595, abs=1e-3)
    assert found.quiet_logits[1] < 30  # a probability of 1 is a number too


def test_of_two_views_one_refused_is_half() -> None:
    found = week((7, answered("none", 0.1)), (7, Tally("unreadable", "damaged"))).answers()
    assert found.refused.tolist() == [0.5] and found.unfamiliar.tolist() == [0.0]


def test_a_photograph_without_a_film_is_counted_and_does_not_move_the_watch() -> None:
    found = week((7, Tally("unreadable", "film_blurred")), (8, answered("none", 0.1)))
    assert found.figures().refused == Share(1, 2) and found.figures().reasons == {"film_blurred": 1}
    assert found.answers().refused.tolist() == [0.0]


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (datetime(1970, 1, 1), "1970-W01"),
        (datetime(2027, 1, 1), "2026-W53"),
        (datetime(2024, 12, 30), "2025-W01"),
        (datetime(9999, 12, 31), "9999-W52"),
        (datetime(1, 1, 1), "1-W01"),
    ],
)
def test_a_week_is_an_iso_week_whatever_the_clock_says(at: datetime, name: str) -> None:
    assert str(WeekName.of(at)) == name


def test_weeks_are_in_order() -> None:
    assert WeekName(2025, 52) < WeekName(2026, 1) < WeekName(2026, 2)


def test_a_spread_is_median_and_95th_percentile() -> None:
    assert spread([float(ms) for ms in range(101)]) == Spread(101, 50, 95)


def test_people_disagree_with_what_the_box_says_and_the_box_with_what_it_was() -> None:
    found = disagreement(
        [
            ("own", "none", "fracture"),
            ("own", "fracture", "fracture"),
            ("second", "none", "fracture"),
            ("outcome", "fracture", "doubt"),
            ("outcome", "fracture", "none"),
            ("outcome", "none", "unreadable"),
            ("outcome", "none", "none"),
        ]
    )
    assert found == Disagreement(own=Share(1, 2), outcome=Share(2, 4))
