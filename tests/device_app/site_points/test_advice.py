"""What a clinic is advised. Simulations have fixed seeds: they give the same numbers each time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest

from device_app.agreement import Share
from device_app.site_points.advice import Advice, Judgement, judge, needs_confirmation
from device_app.site_points.cases import Case, figures_at
from device_app.site_points.limits import CHOICES, STEPS, Steps, points_at, sensitive_at, widened
from tests.device_app.site_points.made import BASE, PROMISE, cases, chances, evidence_of

_CLINICS = 300
_LOGITS = NormalDist(0.0, 2.2)
"""Of fractures at a made clinic: by BASE the box finds 89 in 100 of them."""


def clinic(
    mean: float = 1.3, healthy: float = -4.6, fractures: int = 120, others: int = 260, seed: int = 0
) -> tuple[Case, ...]:
    return cases(
        chances(seed, fractures, mean, 2.2).tolist(), chances(seed + 1, others, healthy, 1.6).tolist()
    )


def judged(known: Sequence[Case], more: Sequence[float] = ()) -> Judgement:
    return judge(evidence_of(known, more), BASE, BASE, PROMISE)


def test_a_box_that_does_what_was_promised_is_left_alone() -> None:
    found = judged(clinic())
    assert found.advice is Advice.KEEP and found.proposal is None


def test_nothing_is_proposed_without_a_promise_or_from_few() -> None:
    assert judge(evidence_of(clinic()), BASE, BASE, None).advice is Advice.NO_PROMISE
    for few in (clinic(mean=-2.0, fractures=40), clinic(mean=-2.0, others=40)):
        found = judged(few)
        assert found.advice is Advice.FEW and found.proposal is None
        assert found.needed_fractures > 40 < found.needed_others


def test_where_mostly_alarms_were_followed_up_no_limit_is_raised() -> None:
    loud = clinic(healthy=-2.6)
    assert judged(loud).advice is Advice.FALSE_ALARMS
    assert judged(loud, more=[0.01] * 400).advice is Advice.LOPSIDED


def test_where_fractures_are_missed_a_lower_limit_is_proposed_that_keeps_the_promise_on_these_cases() -> None:
    found = judged(clinic(mean=-1.2))
    assert found.advice is Advice.MISSES and found.proposal is not None
    proposal = found.proposal
    assert proposal.steps.sensitive < 0 == proposal.steps.specific
    assert (proposal.counted.sensitivity.value or 0) >= 0.9
    above = points_at(BASE, Steps(proposal.steps.sensitive + 1))
    assert (figures_at(clinic(mean=-1.2), above).sensitivity.value or 0) < 0.9


def test_a_site_that_follows_up_no_more_than_alarms_still_learns_that_it_misses_too_many() -> None:
    assert judged(clinic(mean=-1.2), more=[0.01] * 500).advice is Advice.MISSES


def test_where_no_limit_keeps_the_promise_none_is_proposed() -> None:
    found = judged(clinic(mean=-7.0))
    assert found.advice is Advice.MISSES and found.proposal is None


def test_a_limit_is_raised_only_where_the_fractures_are_found_for_certain() -> None:
    sure = judged(clinic(mean=5.0, healthy=-2.6, fractures=300))
    assert sure.advice is Advice.FALSE_ALARMS and sure.proposal is not None
    assert sure.proposal.steps.sensitive > 0
    assert widened(sure.proposal.counted.sensitivity)[0] >= 0.9
    assert judged(clinic(mean=1.6, healthy=-2.6)).proposal is None


def test_too_many_suspicions_raise_the_upper_limit_alone() -> None:
    others = [0.01] * 210 + [0.5] * 50
    found = judged(cases([0.9] * 200, others))
    assert found.advice is Advice.FALSE_SUSPICIONS and found.proposal is not None
    assert found.proposal.steps.sensitive == 0 < found.proposal.steps.specific


def test_express_confirmation_is_asked_for_as_long_as_the_promise_is_not_shown() -> None:
    assert needs_confirmation((), BASE, PROMISE)
    assert needs_confirmation(cases([0.9] * 40, []), BASE, PROMISE)
    assert not needs_confirmation(cases([0.9] * 200, []), BASE, PROMISE)
    assert needs_confirmation(cases([0.9] * 200, []), BASE, None)


def test_the_naive_share_of_a_chosen_limit_flatters_and_the_corrected_one_does_not() -> None:
    naive, corrected = [], []
    for seed in range(_CLINICS):
        logits = _LOGITS.mean + _LOGITS.stdev * np.random.default_rng(seed).standard_normal(100)
        known = cases((1 / (1 + np.exp(-(logits - 1.8)))).tolist(), [0.01] * 200)
        proposal = judged(known).proposal
        if proposal is None:
            continue
        limit = proposal.points.high_sensitivity
        true = 1 - _LOGITS.cdf(math.log(limit / (1 - limit)) + 1.8)
        naive.append((proposal.counted.sensitivity.value or 0) - true)
        corrected.append(proposal.sensitivity - true)
    excess, error = np.mean(naive), np.std(naive) / math.sqrt(len(naive))
    assert len(naive) > 250 and excess > 4 * error
    assert abs(np.mean(corrected)) < excess / 2
    # As docs/adr/0034 tells it, in points of a hundred.
    assert (100 * excess, 100 * np.mean(corrected)) == pytest.approx((1.1, 0.3), abs=0.15)


def test_the_widened_interval_holds_whichever_limit_is_chosen_and_the_plain_one_does_not() -> None:
    limits = [sensitive_at(BASE, step) for step in range(-STEPS, STEPS + 1)]
    cuts = np.log(np.array(limits) / (1 - np.array(limits)))
    true = np.array([1 - _LOGITS.cdf(float(cut)) for cut in cuts])
    plain = wide = 0
    for seed in range(2000):
        logits = np.sort(_LOGITS.stdev * np.random.default_rng(seed).standard_normal(100))
        counts = 100 - np.searchsorted(logits, cuts)
        shares = [Share(int(count), 100) for count in counts]
        worst = int(np.argmax(np.abs(counts / 100 - true) / np.sqrt(true * (1 - true))))  # the worst choice
        plain += shares[worst].interval[0] <= true[worst] <= shares[worst].interval[1]
        wide += widened(shares[worst])[0] <= true[worst] <= widened(shares[worst])[1]
    assert len(limits) == CHOICES
    assert plain / 2000 < 0.9 and wide / 2000 >= 0.95
    assert (plain / 20, wide / 20) == pytest.approx((73.1, 96.2), abs=0.2)


@pytest.mark.parametrize("others", [0, 1])
def test_whatever_is_known_something_can_be_said(others: int) -> None:
    assert judged(cases([], [0.01] * others)).advice is Advice.FEW
