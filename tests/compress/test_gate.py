import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress.bootstrap import BootstrapOptions
from compress.gate import (
    FAIL,
    INCONCLUSIVE,
    NOTED,
    PASS,
    Rules,
    Verdict,
    floors,
    gate,
    joined,
    parity,
    require_pass,
    write_verdict,
)
from compress.metrics import Predictions, measure
from compress.options.gate import NO_DRIFT_LIMITS, DriftLimits, Floors, Margins
from runtime.errors import GateError
from runtime.findings import OperatingPoints
from tests.compress.cohort import CohortOptions, cohort, perturbed, shared_noise, with_logits

_POINTS = OperatingPoints(0.3, 0.7)
_MARGINS = Margins(auroc=0.03, sensitivity=0.05, specificity=0.05)
_MANY = CohortOptions(patients=400, views=2)
_QUICK = Rules(draws=BootstrapOptions(draws=100))


def _worse(rng: np.random.Generator, predictions: Predictions, share: float) -> Predictions:
    """The share of patients whose score becomes noise."""
    patients = np.unique(predictions.patient_ids)
    lost = np.isin(predictions.patient_ids, patients[rng.random(len(patients)) < share])
    return with_logits(predictions, np.where(lost, rng.normal(size=len(predictions)) * 2, predictions.logits))


def test_an_exact_copy_passes_when_there_are_enough_patients() -> None:
    drawn = cohort(np.random.default_rng(1), _MANY)
    verdict = gate(drawn, drawn, _POINTS, _MARGINS)
    assert verdict.outcome == PASS
    assert verdict.passed
    assert not verdict.flips
    assert len(verdict.checks) == 5
    assert {check.difference for check in verdict.checks} == {0.0}


@pytest.mark.parametrize("separation", [2.4, 60.0])
def test_an_exact_copy_on_few_patients_is_inconclusive_however_many_images_they_have(
    separation: float,
) -> None:
    options = CohortOptions(patients=20, views=20, separation=separation)
    drawn = cohort(np.random.default_rng(2), options)
    verdict = gate(drawn, drawn, _POINTS, _MARGINS)
    assert verdict.outcome == INCONCLUSIVE
    assert all(check.lower_bound is not None and check.lower_bound < 0 for check in verdict.checks)


def test_a_clear_loss_fails_and_names_what_was_lost() -> None:
    rng = np.random.default_rng(3)
    drawn = cohort(rng, _MANY)
    verdict = gate(drawn, _worse(rng, drawn, 0.5), _POINTS, _MARGINS)
    assert verdict.outcome == FAIL
    failed = [check for check in verdict.checks if check.outcome == FAIL]
    assert "auroc" in {check.metric for check in failed}
    assert all("is shown" in check.reason for check in failed)


def test_a_shifted_threshold_that_keeps_the_ranking_fails_on_specificity_alone() -> None:
    drawn = cohort(np.random.default_rng(4), _MANY)
    verdict = gate(drawn, with_logits(drawn, drawn.logits + 1.5), _POINTS, _MARGINS)
    failed = {check.metric for check in verdict.checks if check.outcome == FAIL}
    assert failed == {"specificity"}
    assert all(flip.to == "positive" for flip in verdict.flips)


def test_a_gain_passes() -> None:
    rng = np.random.default_rng(5)
    better = cohort(rng, CohortOptions(patients=400, separation=4))
    assert gate(perturbed(rng, better, 1.5), better, _POINTS, _MARGINS).outcome == PASS


def test_every_changed_decision_is_listed_once_per_point() -> None:
    rng = np.random.default_rng(6)
    drawn = cohort(rng)
    other = perturbed(rng, drawn, 0.5)
    verdict = gate(drawn, other, _POINTS, _MARGINS)
    for point, threshold in (("high_sensitivity", 0.3), ("high_specificity", 0.7)):
        changed = (drawn.probabilities >= threshold) != (other.probabilities >= threshold)
        listed = [flip for flip in verdict.flips if flip.point == point]
        assert [flip.case_id for flip in listed] == drawn.case_ids[changed].tolist()
        for flip in listed:
            rises = flip.candidate_probability > flip.reference_probability
            assert flip.to == ("positive" if rises else "negative")
            assert flip.harmful == (rises != (flip.label == 1))


def test_a_body_part_that_loses_fails_the_gate_though_the_whole_does_not() -> None:
    rng = np.random.default_rng(7)
    parts = ("hand",) * 19 + ("hip",)
    drawn = cohort(rng, CohortOptions(patients=1600, body_parts=parts, separation=5))
    hip = drawn.body_parts == "hip"
    other = with_logits(drawn, np.where(hip & (drawn.labels == 1), -3.0, drawn.logits))
    verdict = gate(drawn, other, _POINTS, Margins(auroc=0.1, sensitivity=0.1, specificity=0.1))
    whole = [check for check in verdict.checks if not check.body_part]
    assert {check.outcome for check in whole} == {PASS}
    assert verdict.outcome == FAIL
    assert {check.body_part for check in verdict.checks if check.outcome == FAIL} == {"hip"}


def test_a_small_body_part_without_a_loss_does_not_hold_the_gate_up() -> None:
    drawn = cohort(
        np.random.default_rng(8), CohortOptions(patients=400, body_parts=("hand",) * 39 + ("hip",))
    )
    verdict = gate(drawn, drawn, _POINTS, _MARGINS)
    assert verdict.outcome == PASS
    assert INCONCLUSIVE in {check.outcome for check in verdict.body_parts}


def test_a_body_part_of_healthy_images_only_is_left_out() -> None:
    drawn = cohort(np.random.default_rng(9), CohortOptions(patients=400, body_parts=("hand", "hip")))
    keep = (drawn.body_parts == "hand") | (drawn.labels == 0)
    part = drawn.subset(keep)
    verdict = gate(part, part, _POINTS, Margins(0.1, 0.1, 0.1))
    assert verdict.passed
    assert {c.metric for c in verdict.body_parts if c.body_part == "hip"} == {"specificity"}


@pytest.mark.parametrize("label", [0, 1])
def test_a_metric_that_cannot_be_measured_fails_with_its_reason(label: int) -> None:
    drawn = cohort(np.random.default_rng(10))
    part = drawn.subset(drawn.labels == label)
    verdict = gate(part, part, _POINTS, _MARGINS)
    assert verdict.outcome == FAIL
    missing = [check for check in verdict.checks if check.difference is None]
    assert missing
    assert all(check.outcome == FAIL and check.reason for check in missing)


def test_other_cases_other_labels_and_other_order_fail_with_a_reason() -> None:
    drawn = cohort(np.random.default_rng(11), _MANY)
    fewer = drawn.subset(np.arange(len(drawn)) != 5)
    turned = drawn.subset(np.arange(len(drawn)) >= 0)
    order = np.arange(len(drawn))[::-1]
    backwards = Predictions(
        drawn.case_ids[order],
        drawn.patient_ids[order],
        drawn.body_parts[order],
        drawn.labels[order],
        drawn.logits[order],
    )
    relabelled = Predictions(
        drawn.case_ids, drawn.patient_ids, drawn.body_parts, 1 - drawn.labels, drawn.logits
    )
    assert gate(drawn, turned, _POINTS, _MARGINS).passed
    for candidate, word in ((fewer, "case-5"), (backwards, "order"), (relabelled, "labels")):
        verdict = gate(drawn, candidate, _POINTS, _MARGINS)
        assert verdict.outcome == FAIL
        assert word in verdict.checks[0].reason


@pytest.mark.parametrize("who", ["reference", "candidate"])
def test_a_case_without_an_answer_fails_and_is_named(who: str) -> None:
    drawn = cohort(np.random.default_rng(12), _MANY)
    silent = Predictions(
        drawn.case_ids, drawn.patient_ids, drawn.body_parts, drawn.labels, drawn.logits, None, ("lost-case",)
    )
    pair = (silent, drawn) if who == "reference" else (drawn, silent)
    verdict = gate(*pair, _POINTS, _MARGINS)
    assert verdict.outcome == FAIL
    assert "lost-case" in verdict.checks[0].reason
    assert who in verdict.checks[0].reason


def test_no_case_at_all_is_no_pass() -> None:
    drawn = cohort(np.random.default_rng(13))
    none = drawn.subset(np.zeros(len(drawn), bool))
    assert gate(none, none, _POINTS, _MARGINS).outcome == FAIL


def test_the_verdict_file_holds_every_value_and_every_flip(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    drawn = cohort(rng, CohortOptions(body_parts=("hand", "hip")))
    verdict = gate(drawn, perturbed(rng, drawn, 0.4), _POINTS, _MARGINS)
    write_verdict(verdict, tmp_path / "gate" / "verdict.json")
    table = json.loads((tmp_path / "gate" / "verdict.json").read_text())
    assert table["outcome"] == verdict.outcome
    assert [row["lower_bound"] for row in table["checks"]] == [c.lower_bound for c in verdict.checks]
    assert len(table["body_parts"]) == 10
    assert len(table["flips"]) == len(verdict.flips) > 0
    assert {"case_id", "from", "to", "point", "harmful"} <= set(table["flips"][0])
    assert [path.name for path in (tmp_path / "gate").iterdir()] == ["verdict.json"]


def test_only_a_pass_is_let_through_and_inconclusive_only_when_allowed() -> None:
    rng = np.random.default_rng(15)
    many, few = cohort(rng, _MANY), cohort(rng, CohortOptions(patients=20))
    require_pass(gate(many, many, _POINTS, _MARGINS), "export")
    open_ = gate(few, few, _POINTS, _MARGINS)
    with pytest.raises(GateError, match="gate after export: inconclusive: AUROC") as raised:
        require_pass(open_, "export")
    assert raised.value.verdict is open_
    assert "more gate patients" in raised.value.hint
    require_pass(open_, "export", allow_inconclusive=True)
    with pytest.raises(GateError, match="fail"):
        require_pass(gate(many, _worse(rng, many, 0.5), _POINTS, _MARGINS), "int8", allow_inconclusive=True)


@pytest.mark.parametrize(("floor", "outcome"), [(0.5, PASS), (0.955, INCONCLUSIVE), (0.99, FAIL)])
def test_the_checkpoint_must_be_shown_to_reach_its_floor(floor: float, outcome: str) -> None:
    report = measure(cohort(np.random.default_rng(16), _MANY), _POINTS)
    verdict = floors(report, Floors(auroc=floor))
    assert verdict.outcome == outcome
    assert (verdict.checks[0].reason == "") == (outcome == PASS)


def test_a_checkpoint_without_an_auroc_fails_its_floor() -> None:
    drawn = cohort(np.random.default_rng(17))
    assert floors(measure(drawn.subset(drawn.labels == 1), _POINTS), Floors()).outcome == FAIL


def test_parity_looks_at_the_worst_logit() -> None:
    before = np.linspace(-3, 3, 50)
    after = before.copy()
    after[7] += 0.02
    verdict = parity(before, after, limit=0.01)
    assert verdict.outcome == FAIL
    assert verdict.worst == pytest.approx(0.02)
    assert parity(before, after, limit=0.03).passed


@pytest.mark.parametrize("after", [[1.0], [1.0, np.nan], [1.0, np.inf], []])
def test_parity_fails_where_nothing_can_be_compared(after: list[float]) -> None:
    verdict = parity([1.0, 2.0] if after else [], after, limit=1e9)
    assert verdict.outcome == FAIL
    assert verdict.reason
    json.dumps(verdict.to_json(), allow_nan=False)


def _rate_limit(rate: float, runs: int) -> float:
    """Three standard deviations of a binomial share above `rate`."""
    return rate + 3 * float(np.sqrt(rate * (1 - rate) / runs))


def test_candidates_that_truly_lose_the_margin_rarely_pass() -> None:
    """AUROC: 0.921 falls by exactly 0.03 when noise widens both classes; correlated within patients."""
    rng, runs, passed = np.random.default_rng(18), 200, 0
    # Phi(2 / sqrt(2)) = 0.9214; Phi(2 / sqrt(2 (1 + s^2))) = 0.8914 for s = 0.564.
    options = CohortOptions(patients=150, separation=2.0, icc=0.6)
    wide = Margins(auroc=0.03, sensitivity=1.0, specificity=1.0)
    for _ in range(runs):
        drawn = cohort(rng, options)
        _, patient = np.unique(drawn.patient_ids, return_inverse=True)
        other = with_logits(drawn, drawn.logits + 0.564 * shared_noise(rng, patient, 0.6))
        passed += gate(drawn, other, _POINTS, wide, rules=_QUICK).passed
    assert passed / runs <= _rate_limit(0.05, runs)


def test_candidates_that_truly_lose_five_points_of_sensitivity_rarely_pass() -> None:
    rng, runs, passed = np.random.default_rng(19), 200, 0
    for _ in range(runs):
        drawn = cohort(rng, CohortOptions(patients=150, icc=0.6))
        seen = with_logits(drawn, np.where(drawn.logits > 0, 3.0, -3.0))
        found = (seen.logits > 0) & (seen.labels == 1)
        # 0.8849 of the fractured are found: losing 0.0565 of those is five points.
        _, patient = np.unique(drawn.patient_ids, return_inverse=True)
        lost = found & (rng.random(drawn.patients)[patient] < 0.05 / 0.88493)
        other = with_logits(seen, np.where(lost, -3.0, seen.logits))
        passed += gate(seen, other, _POINTS, Margins(1.0, 0.05, 1.0), rules=_QUICK).passed
    assert passed / runs <= _rate_limit(0.05, runs)


def test_equally_good_candidates_are_rarely_called_worse_and_mostly_pass() -> None:
    rng, runs, outcomes = np.random.default_rng(20), 150, []
    for _ in range(runs):
        drawn = cohort(rng, CohortOptions(patients=300, body_parts=("hand", "hip", "leg")))
        pair = perturbed(rng, drawn, 0.1), perturbed(rng, drawn, 0.1)
        outcomes.append(gate(*pair, _POINTS, _MARGINS, rules=_QUICK).outcome)
    assert outcomes.count(FAIL) / runs <= _rate_limit(0.01, runs)
    assert outcomes.count(PASS) / runs > 0.9


def test_a_joined_verdict_fails_with_either_and_says_what_each_check_compares_with() -> None:
    rng = np.random.default_rng(3)
    drawn = cohort(rng, _MANY)
    good, bad = (gate(drawn, other, _POINTS, _MARGINS) for other in (drawn, _worse(rng, drawn, 0.5)))
    both = joined(good, bad, "an older model")
    assert (good.outcome, both.outcome) == (PASS, FAIL)
    assert [check.against for check in both.checks] == [""] * 5 + ["an older model"] * len(bad.checks)
    assert both.checks[5].title == "AUROC, against an older model"
    assert [replace(flip, against="") for flip in both.flips] == list(bad.flips)
    assert {flip.against for flip in both.flips} == {"an older model"}
    assert joined(bad, good, "an older model").flips == bad.flips
    twice = joined(bad, bad, "an older model")
    assert twice.flips == (*bad.flips, *both.flips)
    assert twice.to_json()["flips"][-1]["against"] == "an older model"


def _seen_from_two_sides(predictions: Predictions) -> Predictions:
    """Images in turn from the front and from the side."""
    return replace(predictions, views=np.where(np.arange(len(predictions)) % 2 == 0, "frontal", "lateral"))


def test_a_share_of_the_references_own_figure_is_as_strict_as_the_difference_that_it_makes() -> None:
    rng = np.random.default_rng(30)
    drawn = cohort(rng, _MANY)
    other = perturbed(rng, drawn, 0.4)
    shared = gate(drawn, other, _POINTS, Margins(auroc="3%", sensitivity="5%", specificity=0.05))
    by_metric = {(check.metric, check.point): check for check in shared.checks}
    area = by_metric["auroc", ""]
    assert area.reference is not None and area.margin is not None
    assert area.margin == pytest.approx(0.03 * area.reference)
    assert (area.margin_kind, area.margin_share) == ("relative", 0.03)
    plain = by_metric["specificity", "high_sensitivity"]
    assert (plain.margin, plain.margin_kind, plain.margin_share) == (0.05, "absolute", None)
    absolute = gate(drawn, other, _POINTS, Margins(auroc=area.margin)).checks[0]
    assert (absolute.outcome, absolute.p_value) == (area.outcome, area.p_value)


def test_a_relative_margin_fails_without_a_number_where_the_reference_has_no_figure() -> None:
    drawn = cohort(np.random.default_rng(31), _MANY)
    ill = drawn.subset(drawn.labels == 1)
    check = gate(ill, ill, _POINTS, Margins(auroc="3%")).checks[0]
    assert (check.outcome, check.margin, check.margin_share) == (FAIL, None, 0.03)
    json.dumps(check.to_json(), allow_nan=False)


@pytest.mark.parametrize("seed", range(6))
def test_a_p_value_lies_below_five_percent_exactly_where_the_upper_bound_shows_the_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = _seen_from_two_sides(cohort(rng, CohortOptions(patients=60, body_parts=("hand", "hip"))))
    other = _worse(rng, drawn, 0.1 + 0.1 * seed)
    for margin in (-0.02, 0.01, 0.05, 0.1, 0.2):
        rules = Rules(DriftLimits(0.05, 0.05, 0.05), BootstrapOptions(draws=10))
        verdict = gate(drawn, other, _POINTS, Margins(margin, margin, margin), rules=rules)
        for check in (*verdict.whole, *verdict.body_parts, *verdict.views):
            assert check.p_value is not None and check.upper_bound is not None
            assert (check.p_value < 0.05) == (check.upper_bound < -margin), check


def test_a_view_that_loses_fails_the_gate_though_the_whole_does_not() -> None:
    rng = np.random.default_rng(32)
    drawn = cohort(rng, CohortOptions(patients=1600, separation=5))
    views = np.where(np.arange(len(drawn)) % 40 == 0, "oblique", "frontal")
    drawn = replace(drawn, views=views)
    lost = (views == "oblique") & (drawn.labels == 1)
    verdict = gate(
        drawn, with_logits(drawn, np.where(lost, -3.0, drawn.logits)), _POINTS, Margins(0.1, 0.1, 0.1)
    )
    assert {check.outcome for check in verdict.whole} == {PASS}
    assert {check.view for check in verdict.checks if check.outcome == FAIL} == {"oblique"}
    assert "oblique view" in next(check.title for check in verdict.checks if check.view)


def test_views_of_the_reference_count_where_kept_answers_of_a_candidate_name_none() -> None:
    drawn = _seen_from_two_sides(cohort(np.random.default_rng(33), _MANY))
    verdict = gate(drawn, replace(drawn, views=None), _POINTS, _MARGINS)
    assert {check.view for check in verdict.views} == {"frontal", "lateral"}
    swapped = replace(drawn, views=np.where(drawn.views == "frontal", "lateral", "frontal"))
    assert "views are not" in gate(drawn, swapped, _POINTS, _MARGINS).checks[0].reason


def test_images_whose_view_nobody_stated_are_no_group() -> None:
    drawn = cohort(np.random.default_rng(34), _MANY)
    views = np.array(["", "frontal", "lateral", ""] * (len(drawn) // 4))
    verdict = gate(*(2 * (replace(drawn, views=views),)), _POINTS, _MARGINS)
    assert {check.view for check in verdict.views} == {"frontal", "lateral"}


def _one_of_many(parts: int) -> Verdict:
    """One of many parts with a loss that a test of this part alone would call shown."""
    rng = np.random.default_rng(35)
    options = CohortOptions(
        patients=60 * parts, views=1, body_parts=tuple(f"part {i:02d}" for i in range(parts))
    )
    drawn = cohort(rng, replace(options, separation=9.0))
    ill = np.flatnonzero((drawn.body_parts == "part 00") & (drawn.labels == 1))
    logits = drawn.logits.copy()
    logits[ill[: round(0.35 * len(ill))]] = -9.0
    return gate(drawn, with_logits(drawn, logits), _POINTS, Margins(1.0, 0.1, 0.1), rules=_QUICK)


def test_a_loss_that_one_of_many_parts_may_show_by_chance_is_adjusted_for_and_says_so() -> None:
    verdict = _one_of_many(12)
    withdrawn = [check for check in verdict.body_parts if check.p_value is not None and check.p_value < 0.05]
    assert {check.body_part for check in withdrawn} == {"part 00"}
    for check in withdrawn:
        assert check.outcome == INCONCLUSIVE and "subgroup checks: p = " in check.reason
        assert check.p_adjusted is not None and check.p_adjusted > 0.05
    assert verdict.passed


def test_the_same_loss_fails_where_few_parts_are_looked_at() -> None:
    verdict = _one_of_many(2)
    assert {check.body_part for check in verdict.checks if check.is_subgroup} == {"part 00"}


def test_a_part_of_fewer_than_five_patients_is_shown_and_not_judged() -> None:
    drawn = cohort(np.random.default_rng(36), CohortOptions(patients=400, separation=9.0))
    few = np.isin(drawn.patient_ids, np.unique(drawn.patient_ids[drawn.labels == 1])[:4])
    drawn = replace(drawn, body_parts=np.where(few, "hip", "hand"))
    other = with_logits(drawn, np.where(few, -9.0, drawn.logits))
    verdict = gate(drawn, other, _POINTS, Margins(0.1, 0.1, 0.1))
    hip = [check for check in verdict.body_parts if check.body_part == "hip"]
    assert verdict.passed and hip
    for check in hip:
        assert (check.outcome, check.p_adjusted) == (INCONCLUSIVE, None)
        assert "4 patients, too few to be judged apart" in check.reason


def test_harmless_candidates_rarely_fail_in_any_of_many_subgroups() -> None:
    """The true loss of every subgroup is the margin itself, where chance is worst."""
    rng, runs, failed = np.random.default_rng(37), 150, 0
    for _ in range(runs):
        drawn = cohort(
            rng, CohortOptions(patients=400, views=1, body_parts=("a", "b", "c", "d", "e", "f", "g", "h"))
        )
        seen = with_logits(drawn, np.where(drawn.labels == 1, 3.0, -3.0))
        lost = (seen.labels == 1) & (rng.random(len(seen)) < 0.1)
        other = with_logits(seen, np.where(lost, -3.0, seen.logits))
        rules = Rules(draws=BootstrapOptions(draws=10))
        verdict = gate(seen, other, _POINTS, Margins(1.0, 0.1, 1.0), rules=rules)
        failed += any(check.is_subgroup for check in verdict.checks)
    assert failed / runs <= _rate_limit(0.05, runs)


def test_every_figure_over_all_images_has_a_second_bound_that_no_seed_of_its_own_moves() -> None:
    rng = np.random.default_rng(38)
    drawn = cohort(rng, _MANY)
    other = perturbed(rng, drawn, 0.3)
    first, second = (gate(drawn, other, _POINTS, _MARGINS) for _ in range(2))
    for check in first.whole:
        assert check.bootstrap_lower is not None and check.lower_bound is not None
        assert check.bootstrap_lower < check.difference  # type: ignore[operator]
        assert check.bootstrap_lower == pytest.approx(check.lower_bound, abs=0.03)
    assert first.to_json() == second.to_json()


def test_a_pass_that_drawing_patients_anew_does_not_support_is_inconclusive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(39)
    drawn = cohort(rng, _MANY)
    other = perturbed(rng, drawn, 0.1)
    assert gate(drawn, other, _POINTS, _MARGINS).passed
    monkeypatch.setattr(
        "compress.gate.lower_bounds", lambda statistics, *_: [-0.04] + [0.0] * (len(statistics) - 1)
    )
    verdict = gate(drawn, other, _POINTS, _MARGINS)
    assert verdict.outcome == INCONCLUSIVE
    doubted = [check for check in verdict.checks if check.outcome == INCONCLUSIVE]
    assert [check.metric for check in doubted] == ["auroc"]
    assert "drawing patients anew does not (lower bound -0.040)" in doubted[0].reason


def test_without_any_changed_image_drawing_patients_decides_nothing() -> None:
    rng = np.random.default_rng(40)
    many, few = cohort(rng, _MANY), cohort(rng, CohortOptions(patients=20))
    for drawn, outcome in ((many, PASS), (few, INCONCLUSIVE)):
        verdict = gate(drawn, drawn, _POINTS, _MARGINS)
        assert verdict.outcome == outcome
        assert {check.bootstrap_lower for check in verdict.whole} == {0.0}


def _gate_with_drift(drawn: Predictions, other: Predictions, limits: DriftLimits = DriftLimits()) -> Verdict:
    return gate(
        drawn, other, _POINTS, Margins(1.0, 1.0, 1.0), rules=Rules(limits, BootstrapOptions(draws=10))
    )


def test_drift_within_its_limits_is_noted_with_its_figures_and_holds_nothing_up() -> None:
    rng = np.random.default_rng(41)
    drawn = _seen_from_two_sides(cohort(rng, CohortOptions(patients=300, body_parts=("hand", "hip"))))
    drawn = replace(drawn, located=np.where(drawn.labels == 1, 1, -1))
    verdict = _gate_with_drift(drawn, perturbed(rng, drawn, 0.1))
    assert verdict.passed
    assert {check.outcome for check in verdict.drift} == {NOTED}
    groups = [(check.body_part, check.view) for check in verdict.drift if check.metric == "located"]
    assert groups == [("", ""), ("hand", ""), ("hip", ""), ("", "frontal"), ("", "lateral")]
    rows = verdict.to_json()["drift"]
    assert all(row["reference"] is not None and row["p_value"] > 0.05 and row["reason"] for row in rows)


def test_a_candidate_that_is_too_sure_of_itself_fails_by_its_calibration_alone() -> None:
    drawn = cohort(np.random.default_rng(42), CohortOptions(patients=400, separation=1.0))
    verdict = _gate_with_drift(drawn, with_logits(drawn, 5 * drawn.logits))
    assert verdict.outcome == FAIL
    assert {check.metric for check in verdict.checks if check.outcome == FAIL} == {"ece"}


@pytest.mark.parametrize("shift", [-1.5, 1.5])
def test_probabilities_that_move_up_or_down_fail(shift: float) -> None:
    drawn = cohort(np.random.default_rng(43), _MANY)
    verdict = _gate_with_drift(drawn, with_logits(drawn, drawn.logits + shift))
    assert "probability" in {check.metric for check in verdict.checks if check.outcome == FAIL}
    assert _gate_with_drift(drawn, with_logits(drawn, drawn.logits + shift), NO_DRIFT_LIMITS).passed


def test_a_map_that_no_longer_peaks_on_the_fracture_of_one_body_part_fails() -> None:
    drawn = cohort(
        np.random.default_rng(44), CohortOptions(patients=600, body_parts=("hand",) * 11 + ("hip",))
    )
    drawn = replace(drawn, located=np.where(drawn.labels == 1, 1, -1))
    lost = (drawn.labels == 1) & (drawn.body_parts == "hip")
    verdict = _gate_with_drift(drawn, replace(drawn, located=np.where(lost, 0, drawn.located)))
    failed = [check for check in verdict.checks if check.outcome == FAIL]
    assert [(check.metric, check.body_part) for check in failed] == [("located", "hip")]
    assert "hip" in failed[0].title and "peak of the evidence" in failed[0].title
    assert failed[0] in verdict.drift


def test_the_gate_of_six_hundred_images_takes_less_than_a_second() -> None:
    rng = np.random.default_rng(45)
    drawn = cohort(rng, CohortOptions(patients=300))
    other = perturbed(rng, drawn, 0.2)
    started = time.process_time()
    gate(drawn, other, _POINTS, _MARGINS)
    assert time.process_time() - started < 1.0
