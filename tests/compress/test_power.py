"""What is foretold is what the gate then does."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress import auroc
from compress.bootstrap import BootstrapOptions
from compress.gate import FAIL, INCONCLUSIVE, PASS, Rules, gate
from compress.options.gate import GateOptions, Margins
from compress.options.operating_points import OperatingPointOptions
from compress.power import (
    AUROC,
    MOST_PATIENTS,
    SENSITIVITY,
    SIDES,
    SPECIFICITY,
    Assumptions,
    Layout,
    best_loss,
    power,
    power_of_cases,
    typical_loss,
)
from compress.power_tables import power_lines
from compress.predictions import Predictions
from compress.recipe import Recipe
from runtime.errors import StepError
from runtime.findings import OperatingPoints
from tests.compress.datasets.folders import case as a_case

POINTS = OperatingPoints(0.3, 0.7)
QUICK = Assumptions(draws=20)
FEW_DRAWS = Rules(draws=BootstrapOptions(draws=200))
LAYOUTS = (
    Layout.of_numbers(30, 30, 60),
    Layout.of_numbers(90, 400, 200),
    Layout((1, 2, 3, 4) * 20, (1,) * 150),
)
NAMES = ["few", "many images", "uneven"]


def predicted(layout: Layout, logits: np.ndarray | None = None, seed: int = 1) -> Predictions:
    """Binormal scores of the layout's images, or the given ones."""
    sizes = (*layout.fractured, *layout.healthy)
    patients = np.repeat(np.arange(len(sizes)), sizes)
    labels = (patients < len(layout.fractured)).astype(np.int64)
    if logits is None:
        logits = np.random.default_rng(seed).normal(size=len(labels)) + 2.4 * (labels - 0.5)
    ids = np.arange(len(labels)).astype(str)
    return Predictions(ids, patients.astype(str), np.full(len(ids), "hand"), labels, logits)


def margins(figure: str, value: float) -> Margins:
    """That margin for one figure; nothing is asked of the others."""
    return replace(Margins(1.0, 1.0, 1.0), **{figure: value})


def outcome(reference: Predictions, candidate: Predictions, figure: str, margin: float) -> str:
    """Of the gate, which looks at that figure alone."""
    return gate(reference, candidate, POINTS, margins(figure, margin), rules=FEW_DRAWS).outcome


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("figure", SIDES)
def test_two_models_that_agree_pass_a_margin_above_the_best_and_none_below(
    layout: Layout, figure: str
) -> None:
    drawn = predicted(layout)
    best = best_loss(figure, layout, Assumptions(area=auroc.value(drawn)))
    assert outcome(drawn, drawn, figure, best * 1.001) == PASS
    assert outcome(drawn, drawn, figure, best * 0.999) == INCONCLUSIVE


@pytest.mark.parametrize("figure", SIDES)
@pytest.mark.parametrize("margin", [0.02, 0.05])
def test_the_patients_needed_at_best_are_the_fewest_that_pass(figure: str, margin: float) -> None:
    # Scores that rank every case right: the AUROC is 1, which the assumption may only come near.
    given_area = Assumptions(area=math.nextafter(1.0, 0.0), draws=1)
    found = power(LAYOUTS[0], Margins(margin, margin, margin), 0.5, given_area)
    needed = next(item.needed_at_best for item in found.figures if item.figure == figure)
    assert needed is not None
    for patients, expected in ((needed, PASS), (needed - 1, INCONCLUSIVE)):
        layout = Layout((1,) * patients, (1,) * patients)
        drawn = predicted(layout, np.where(np.arange(2 * patients) < patients, 3.0, -3.0))
        assert outcome(drawn, drawn, figure, margin) == expected


def test_one_patient_on_a_side_bounds_no_auroc() -> None:
    layout = Layout((2,), (1,) * 9)
    drawn = predicted(layout)
    assert outcome(drawn, drawn, AUROC, 0.9) == INCONCLUSIVE
    area, *_ = power(layout, margins(AUROC, 0.9), assumptions=QUICK).figures
    assert not area.possible and area.needed_at_best == 2


def changed_decisions(drawn: Predictions, share: float, rng: np.random.Generator) -> Predictions:
    """Either point's decision turns round in that share of the images."""
    turned = rng.random(len(drawn)) < share
    return replace(drawn, logits=np.where(turned, -drawn.logits, drawn.logits))


@pytest.mark.parametrize("figure", [SENSITIVITY, SPECIFICITY])
def test_equal_models_with_some_changed_decisions_pass_as_often_as_foretold(figure: str) -> None:
    layout, rng, runs = Layout.of_numbers(160, 160, 200), np.random.default_rng(11), 40
    typical = typical_loss(figure, layout, Assumptions())
    half = np.where(rng.random((runs, 320)) < 0.5, 4.0, -4.0)
    pairs = [(drawn := predicted(layout, row), changed_decisions(drawn, 0.02, rng)) for row in half]
    wide, narrow = (
        np.mean([outcome(*pair, figure, typical * factor) == PASS for pair in pairs])
        for factor in (1.01, 0.6)
    )
    assert wide >= 0.8 - 3 * math.sqrt(0.16 / runs)
    assert narrow < 0.6


def test_equal_models_with_correlated_scores_pass_the_auroc_as_often_as_foretold() -> None:
    layout, rng, runs = Layout.of_numbers(160, 160, 200), np.random.default_rng(12), 40
    given_agreement = Assumptions()
    typical = typical_loss(AUROC, layout, given_agreement)
    separation = math.sqrt(2) * 1.4758  # AUROC 0.93
    pairs = []
    for _ in range(runs):
        common, own = rng.normal(size=320), rng.normal(size=320)
        reference = predicted(layout, common)
        apart = separation * reference.labels
        reference = replace(reference, logits=common + apart)
        pairs.append(
            (reference, replace(reference, logits=0.98 * common + math.sqrt(1 - 0.98**2) * own + apart))
        )
    wide, narrow = (
        np.mean([outcome(*pair, AUROC, typical * factor) == PASS for pair in pairs]) for factor in (1.01, 0.6)
    )
    assert wide >= 0.8 - 3 * math.sqrt(0.16 / runs)
    assert narrow < 0.6


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
def test_the_patients_needed_show_the_margin_and_a_fifth_fewer_do_not(layout: Layout) -> None:
    wanted = 0.03
    found = power(layout, Margins(wanted, wanted, wanted), wanted)
    for item in found.figures:
        assert item.needed is not None
        if item.needed > item.patients:
            assert typical_loss(item.figure, layout.with_at_least(item.needed), found.assumptions) < wanted
            fewer = layout.with_at_least(int(0.8 * item.needed))
            assert typical_loss(item.figure, fewer, found.assumptions) >= wanted
        else:
            assert item.likely
    assert found.need.fractured == max(item.needed or 0 for item in found.figures[:2])
    assert found.need.healthy == max(found.figures[0].needed or 0, found.figures[2].needed or 0)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_numbers_give_every_image_a_patient_on_its_side(
    fractured: int, healthy: int, data: st.DataObject
) -> None:
    patients = data.draw(st.integers(2, fractured + healthy))
    layout = Layout.of_numbers(fractured, healthy, patients)
    assert (sum(layout.fractured), sum(layout.healthy)) == (fractured, healthy)
    assert len(layout.fractured) + len(layout.healthy) == patients
    for sizes in vars(layout).values():
        assert max(sizes) - min(sizes) <= 1


@settings(deadline=None)
@given(st.integers(2, 200), st.integers(1, 200), st.sampled_from(tuple(SIDES)))
def test_more_patients_never_show_less_at_best(patients: int, more: int, figure: str) -> None:
    few, many = (Layout((1,) * count, (1,) * count) for count in (patients, patients + more))
    assert best_loss(figure, many, Assumptions()) < best_loss(figure, few, Assumptions())


def test_impossible_numbers_are_all_named() -> None:
    with pytest.raises(ValueError, match=r"fractured.*got 0.*healthy.*got -1.*patients.*got 1"):
        Layout.of_numbers(0, -1, 1)
    with pytest.raises(ValueError, match=r"changed.*got 1.*agreement.*got 0"):
        Assumptions(changed=1.0, agreement=0.0)
    with pytest.raises(ValueError, match="wanted margin"):
        power(LAYOUTS[0], Margins(), 0.0)


def test_a_margin_of_one_asks_nothing_and_a_gain_cannot_be_shown_by_equals() -> None:
    nothing, gain, _ = power(LAYOUTS[0], Margins(1.0, -0.01, 1.0), assumptions=QUICK).figures
    assert nothing.possible and nothing.likely
    assert not gain.possible
    assert gain.needed_at_best is None and gain.needed is None


def test_a_share_of_the_reference_is_judged_as_a_difference() -> None:
    found = power(LAYOUTS[1], Margins("10%", "10%", "20%"), assumptions=replace(QUICK, specificity=0.5))
    assert [round(item.margin, 6) for item in found.figures] == [0.093, 0.095, 0.1]


def test_a_margin_that_would_need_too_many_says_so() -> None:
    found = power(LAYOUTS[0], Margins(1e-5, 0.5, 0.5), assumptions=QUICK)
    assert found.figures[0].needed_at_best is None
    assert f"more than {MOST_PATIENTS:,}" in found.conclusion
    json.dumps(found.to_json(), allow_nan=False)


def test_what_even_equal_models_cannot_pass_is_red_and_names_the_patients_needed() -> None:
    found = power(LAYOUTS[0], Margins(0.2, 0.05, 0.2), assumptions=QUICK)
    assert not found.figures[1].possible
    assert "sensitivity 0.05 (52 patients with a fracture are needed, 30 are here)" in found.conclusion
    lines = list(power_lines(found))
    red = [line for line in lines if "[red]" in line]
    assert len(red) == 2
    assert "sensitivity" in red[0] and "52 patients" in red[1]
    wide = power(LAYOUTS[1], Margins(0.2, 0.2, 0.2), assumptions=QUICK)
    assert not any("[red]" in line for line in power_lines(wide))


def test_what_is_possible_but_not_likely_is_told_apart() -> None:
    layout = LAYOUTS[1]
    best, typical = (loss(SENSITIVITY, layout, QUICK) for loss in (best_loss, typical_loss))
    found = power(layout, Margins(0.2, (best + typical) / 2, 0.2), assumptions=QUICK)
    assert found.figures[1].possible and not found.figures[1].likely
    assert "often stay inconclusive: sensitivity" in found.conclusion
    assert any("[yellow]" in line for line in power_lines(found))


def test_cases_are_looked_at_with_the_recipe_s_margins_confidence_and_points() -> None:
    cases = [a_case(i, f"p{i // 2}", i // 2 % 2) for i in range(120)]
    recipe = Recipe(
        "r",
        gate=GateOptions(Margins(0.1, "10%", 0.3), confidence=0.9),
        operating_points=OperatingPointOptions(sensitivity=0.8),
    )
    found = power_of_cases(cases, recipe, assumptions=QUICK)
    assert found.assumptions.confidence == 0.9
    assert [item.margin for item in found.figures] == pytest.approx([0.1, 0.08, 0.3])
    assert [(item.patients, item.images) for item in found.figures] == [(30, 120), (30, 60), (30, 60)]
    with pytest.raises(StepError, match="fractured"):
        power_of_cases([case for case in cases if not case.label], recipe)


def test_a_gate_never_fails_for_want_of_patients() -> None:
    drawn = predicted(LAYOUTS[0])
    assert gate(drawn, drawn, POINTS, Margins(1e-4, 1e-4, 1e-4), rules=FEW_DRAWS).outcome != FAIL
