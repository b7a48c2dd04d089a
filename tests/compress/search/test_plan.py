"""The search file: every fault is named, and a trial's recipe is the base with the trial's keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compress.recipe import load_recipe
from compress.search.plan import load_search, parse_search
from compress.search.space import Choice, Range, parse_space
from runtime.errors import RecipeError

from .workshops import TEXT

SPACE = '[space]\n"prune.ratio" = [0.0, 0.2]\n'


def test_a_trial_is_the_base_with_its_own_keys() -> None:
    plan = parse_search(f'base = "demo"\n{SPACE}"target.precision" = ["fp32", "int8"]\n', "s")
    recipe = plan.recipe({"prune.ratio": 0.2, "target.precision": "fp32"})
    base = load_recipe("demo")
    assert recipe.prune == replace(base.prune, ratio=0.2)
    assert [(target.engine, target.precisions) for target in recipe.targets] == [("onnxruntime", ("fp32",))]
    assert (recipe.train, recipe.data, recipe.gate) == (base.train, base.data, base.gate)
    assert plan.base == parse_search(f'base = "demo"\n{SPACE}', "s").base, "no trial changes the base"


def test_a_base_lies_beside_the_search_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("seed = 11\n", encoding="utf-8")
    (tmp_path / "s.toml").write_text(f'base = "own.toml"\n{SPACE}', encoding="utf-8")
    plan = load_search(tmp_path / "s.toml")
    assert (plan.name, plan.recipe({}).seed) == ("s", 11)


def test_a_missing_search_file_is_a_known_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        load_search(tmp_path / "s.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base = 3\n" + SPACE, "base must name a recipe"),
        ('base = "demo"\n', "nothing to search"),
        ('base = "demo"\nbudget = 3\n' + SPACE, "unknown key s.budget"),
        (f'base = "demo"\n{SPACE}[search]\ntrails = 3\n', "unknown key s.search.trails"),
        (f'base = "demo"\n{SPACE}[search]\ntrials = 5\n', "multiple of batch"),
        (f'base = "demo"\n{SPACE}[search]\nobjectives = ["speed"]\n', "objectives"),
        (f'base = "demo"\n{SPACE}[choice]\nprefer = "loss_bound"\n', "one of the objectives"),
        (f'base = "demo"\n{SPACE}[search]\nengine = "tensorrt"\n', "cannot be measured for tensorrt"),
        ('base = "demo"\n[space]\n"prune.rtaio" = [0.1]\n', r"unknown key s\.prune\.rtaio"),
        ('base = "demo"\n[space]\n"gate.confidence" = [0.9]\n', "no key that a search may change"),
        ('base = "demo"\n[space]\n"data.split_seed" = [1, 2]\n', "no key that a search may change"),
        ('base = "demo"\n[space]\n"target.speed" = [1, 2]\n', "no key of a target"),
        ('base = "demo"\n[space]\n"prune.ratio" = { low = 0.1 }\n', "look at high"),
        ('base = "demo"\n[space]\n"prune.ratio" = { low = 0.3, high = 0.1 }\n', "low must lie below high"),
        ('base = "demo"\n[space]\n"prune.ratio" = { low = 0, high = 1, log = true }\n', "must be positive"),
        ('base = "demo"\n[space]\n"prune.ratio" = [0.1, 0.1]\n', "different values"),
        ('base = "demo"\n[space]\n"prune.ratio" = [[0.1]]\n', "must list texts"),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        parse_search(text, "s")


def test_every_wrong_dimension_is_listed() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_space({"gate.confidence": [0.9], "prune.ratio": 3, "train.epochs": {"low": 1}}, "s.space")
    assert all(key in str(caught.value) for key in ("gate.confidence", "prune.ratio", "train.epochs"))


def test_losses_of_different_networks_are_no_objective() -> None:
    with pytest.raises(RecipeError, match="use auroc_bound"):
        parse_search(TEXT.replace('"auroc_bound"', '"loss_bound"'), "s")
    assert not parse_search(TEXT, "s").shares_reference
    assert parse_search(f'base = "demo"\n{SPACE}', "s").shares_reference


def test_a_combination_that_no_recipe_allows_is_a_matter_of_its_trial() -> None:
    engines = '"target.engine" = ["openvino", "onnxruntime"]'
    text = f'base = "demo"\n{SPACE}"target.method" = ["entropy"]\n{engines}\n'
    plan = parse_search(text, "s")
    assert (
        plan.recipe({"target.method": "entropy", "target.engine": "onnxruntime"}).targets[0].method
        == "entropy"
    )
    with pytest.raises(RecipeError, match="method for openvino"):
        plan.recipe({"target.method": "entropy", "target.engine": "openvino"})


def test_whole_ranges_hold_whole_numbers() -> None:
    whole, between = Range(1, 9, 2), Range(0.0, 1.0)
    assert (whole.is_whole, between.is_whole) == (True, False)
    assert whole.distribution().to_internal_repr(3) == 3
    assert Choice((True, False)).distribution().single() is False


def test_what_may_change_when_a_search_goes_on() -> None:
    plan = parse_search(TEXT, "s")
    longer = replace(plan, options=replace(plan.options, trials=40, retries=5, gate=False))
    assert longer.identity == plan.identity
    for other in (
        replace(plan, options=replace(plan.options, seed=8)),
        replace(plan, options=replace(plan.options, threads=2)),
        replace(plan, space={**plan.space, "prune.ratio": Choice((0.1, 0.2))}),
        replace(plan, base={**plan.base, "seed": 5}),
    ):
        assert other.identity != plan.identity
