"""Helps, harms or neither: seeds and patients both count."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from compress.patches.judge import (
    HARMS,
    HELPS,
    NO_DIFFERENCE,
    Pair,
    compare_auroc,
    compare_peaks,
)
from compress.predictions import HIT, MISSED, NOT_ASKED, Predictions
from runtime.errors import StepError


def answers(gain: float, seed: int, patients: int = 300, hit_rate: float = 0.5) -> Predictions:
    """Two images a patient; fractured ones score higher by `gain`."""
    crowd, own = np.random.default_rng(0), np.random.default_rng(seed)
    labels = np.repeat(np.arange(patients) % 2, 2)
    shared = crowd.standard_normal(2 * patients)
    logits = shared + gain * labels + 0.1 * own.standard_normal(2 * patients)
    hits = np.where(crowd.uniform(size=2 * patients) < hit_rate, HIT, MISSED)
    return Predictions(
        case_ids=np.array([f"c{number}" for number in range(2 * patients)]),
        patient_ids=np.array([f"p{number // 2}" for number in range(2 * patients)]),
        body_parts=np.full(2 * patients, "hand"),
        labels=labels,
        logits=logits,
        located=np.where(labels == 1, hits, NOT_ASKED),
    )


def pairs(without: float, made: float, seeds: int = 3, **more: float) -> list[Pair]:
    return [
        Pair(seed, answers(without, seed), answers(made, seed + 50, **more))  # type: ignore[arg-type]
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    ("without", "made", "verdict"), [(1.0, 2.0, HELPS), (2.0, 1.0, HARMS), (1.5, 1.5, NO_DIFFERENCE)]
)
def test_the_verdict_follows_a_true_difference(without: float, made: float, verdict: str) -> None:
    found = compare_auroc(pairs(without, made), 0.95)
    assert found.verdict == verdict
    assert found.low <= found.difference <= found.high
    assert found.difference == pytest.approx(np.mean(np.subtract(found.made, found.without)))


def test_seeds_that_disagree_widen_the_interval() -> None:
    agreeing = compare_auroc(pairs(1.0, 1.6), 0.95)
    wild = [
        replace(pair, made=answers(gain, pair.seed + 50))
        for pair, gain in zip(pairs(1.0, 1.6), (0.4, 1.6, 3.5), strict=True)
    ]
    apart = compare_auroc(wild, 0.95)
    assert apart.high - apart.low > 2 * (agreeing.high - agreeing.low)
    assert apart.verdict == NO_DIFFERENCE


def test_peaks_are_compared_where_there_are_boxes() -> None:
    found = compare_peaks(pairs(1.0, 1.0, hit_rate=0.9), 0.95)
    assert found is not None
    assert found.images == 300
    assert found.verdict == HELPS
    blind = [
        replace(pair, without=replace(pair.without, located=None), made=replace(pair.made, located=None))
        for pair in pairs(1.0, 1.0)
    ]
    assert compare_peaks(blind, 0.95) is None


def test_equal_answers_show_no_difference_and_rule_out_only_so_much() -> None:
    same = [Pair(seed, answers(1.0, 1), answers(1.0, 1)) for seed in range(2)]
    found = compare_auroc(same, 0.95)
    assert (found.difference, found.verdict) == (0, NO_DIFFERENCE)
    assert found.low < 0 < found.high


def alone(part: Predictions) -> Predictions:
    """Every fracture is of one patient, and one image of it has a box."""
    located = np.full(len(part), NOT_ASKED)
    located[np.flatnonzero(part.labels)[0]] = HIT if part.logits[0] > 0 else MISSED
    patients = np.where(part.labels == 1, "q", part.patient_ids)
    return replace(part, patient_ids=patients, located=located)


def test_one_patient_alone_rules_out_nothing_and_the_figures_can_be_written() -> None:
    lonely = [Pair(pair.seed, alone(pair.without), alone(pair.made)) for pair in pairs(1.0, 1.6)]
    for found in (compare_auroc(lonely, 0.95), compare_peaks(lonely, 0.95)):
        assert found is not None
        assert (found.low, found.high, found.verdict) == (-1, 1, NO_DIFFERENCE)
        json.dumps(found.to_json(), allow_nan=False)


def test_one_seed_and_different_cases_are_refused() -> None:
    with pytest.raises(StepError, match="seeds"):
        compare_auroc(pairs(1.0, 1.0, seeds=1), 0.95)
    uneven = [*pairs(1.0, 1.0), Pair(9, answers(1.0, 1), answers(1.0, 1, patients=200))]
    with pytest.raises(StepError, match="different cases"):
        compare_auroc(uneven, 0.95)
