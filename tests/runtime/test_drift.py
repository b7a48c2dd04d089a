from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from runtime.drift import Alarm, BundleReference, DriftOptions, OwnReference, Watched, WeekOfAnswers, watch
from runtime.expected import ExpectedAnswers, count_answers
from runtime.findings import OperatingPoints

POINTS = OperatingPoints(0.06, 0.45)
CUT = float(np.log(0.06 / 0.94))
OPTIONS = DriftOptions()


def logits(rng: np.random.Generator, count: int, prevalence: float) -> tuple[np.ndarray, np.ndarray]:
    broken = rng.random(count) < prevalence
    return np.where(broken, rng.normal(1.6, 2.5, count), rng.gamma(2.4, 0.85, count) - 5.2), broken


def week(
    seed: int, count: int = 100, shift: float = 0.0, prevalence: float = 0.12, refused: float = 0.04
) -> WeekOfAnswers:
    """One picture an examination."""
    rng = np.random.default_rng(seed)
    found = logits(rng, count, prevalence)[0] + shift
    out = rng.random(count) < refused
    quiet = np.flatnonzero(~out & (found < CUT))
    return WeekOfAnswers(out.astype(float), out.astype(float), found[quiet], quiet)


def bundle(prevalence: float = 0.3, seed: int = 77) -> BundleReference:
    found, broken = logits(np.random.default_rng(seed), 600, prevalence)
    healthy, fractured = (count_answers(found[broken == truth], POINTS) for truth in (False, True))
    return BundleReference(ExpectedAnswers(200, 20, healthy, fractured), POINTS, OPTIONS)


def weeks(number: int, first: int = 0, **of_each: float) -> list[WeekOfAnswers]:
    return [week(first + one, **of_each) for one in range(number)]  # type: ignore[arg-type]


def told(alarms: Sequence[Alarm]) -> set[Watched]:
    return {alarm.watched for alarm in alarms}


def test_a_site_that_stays_as_it_is_raises_no_alarm_and_gets_references_of_its_own() -> None:
    found = watch(weeks(40), bundle())
    assert found.alarms == () and found.references == (8, 16, 32)
    assert (found.weeks, found.examinations) == (40, 4000)


@pytest.mark.parametrize(("shift", "expected"), [(0.7, Watched.SCORES_UP), (-0.7, Watched.SCORES_DOWN)])
def test_scores_that_move_are_told_with_their_direction(shift: float, expected: Watched) -> None:
    found = watch([*weeks(20), *weeks(6, first=100, shift=shift)], bundle())
    assert told(found.alarms) == {expected}
    assert all(alarm.week >= 20 and alarm.weeks in (8, 16) for alarm in found.alarms)


def test_three_times_as_many_refusals_are_told() -> None:
    found = watch([*weeks(20), *weeks(8, first=100, refused=0.12)])
    assert told(found.alarms) == {Watched.REFUSALS}


def test_twice_as_many_fractures_are_not_a_change_of_the_box() -> None:
    found = watch([*weeks(20), *weeks(30, first=100, prevalence=0.24)], bundle())
    assert found.alarms == ()


def test_before_there_is_a_reference_of_its_own_the_bundles_is_compared_with() -> None:
    found = watch(weeks(7, shift=1.0), bundle())
    assert told(found.alarms) == {Watched.SCORES_UP} and {alarm.weeks for alarm in found.alarms} == {0}
    assert watch(weeks(7, shift=1.0)).alarms == ()


def test_another_prevalence_than_the_gate_patients_is_no_difference() -> None:
    for prevalence in (0.02, 0.5):
        assert watch(weeks(8, prevalence=prevalence), bundle(prevalence=0.17)).alarms == ()


def test_of_refusals_only_strangeness_is_compared_with_the_bundle() -> None:
    some = week(1)
    blurred = WeekOfAnswers(np.ones(100), np.zeros(100), some.quiet_logits, some.quiet_of)
    strange = WeekOfAnswers(np.ones(100), np.ones(100), some.quiet_logits, some.quiet_of)
    assert watch([blurred] * 5, bundle()).alarms == ()
    assert told(watch([strange] * 5, bundle()).alarms) == {Watched.REFUSALS}


def test_after_an_alarm_nothing_more_is_taken_as_normal() -> None:
    found = watch([*weeks(10), *weeks(40, first=100, shift=1.0)])
    assert found.alarms and found.references == (8,)


def test_few_examinations_make_a_longer_first_reference() -> None:
    found = watch(weeks(45, count=5))  # type: ignore[arg-type]
    assert found.references == (20, 40)


def test_an_alarm_is_raised_once_and_stays() -> None:
    changed = [*weeks(20), *weeks(6, first=100, shift=0.7)]
    at = watch(changed).alarms
    later = watch([*changed, *weeks(20, first=200)]).alarms
    assert later[: len(at)] == at and len(set(later)) == len(later)


def test_weeks_without_a_picture_and_without_a_quiet_one_are_weeks_too() -> None:
    nothing = WeekOfAnswers(np.array([]), np.array([]), np.array([]), np.array([], np.int64))
    loud = WeekOfAnswers(np.zeros(30), np.zeros(30), np.array([]), np.array([], np.int64))
    found = watch([nothing, loud] * 10, bundle())
    assert found.alarms == () and found.weeks == 20 and found.references == (8, 16)


def test_equal_scores_share_their_rank() -> None:
    same = WeekOfAnswers(np.zeros(4), np.zeros(4), np.array([-3.0, -3.0, -4.0, -3.5]), np.arange(4))
    assert OwnReference([same], OPTIONS).ranks(np.array([-3.0, -9.0, 0.0])).tolist() == [0.75, 0.0, 1.0]


def test_the_pictures_of_an_examination_count_once_together() -> None:
    """Twenty views of one patient with a low score are one surprise, not twenty."""
    usual = weeks(8)
    rng = np.random.default_rng(3)
    crowd = WeekOfAnswers(np.zeros(1), np.zeros(1), np.full(2000, -5.1), np.zeros(2000, np.int64))
    apart = WeekOfAnswers(np.zeros(2000), np.zeros(2000), rng.normal(-5.1, 0.01, 2000), np.arange(2000))
    assert watch([*usual, crowd]).alarms == ()
    assert told(watch([*usual, apart]).alarms) == {Watched.SCORES_DOWN}


def test_more_is_known_of_a_larger_reference() -> None:
    small, large = OwnReference(weeks(8), OPTIONS), OwnReference(weeks(32), OPTIONS)
    assert 0.5 < large.most_rank < small.most_rank and large.most_refused < small.most_refused
