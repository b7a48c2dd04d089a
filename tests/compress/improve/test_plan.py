"""What an improvement changes of the recipe."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from compress.improve.plan import fine_tuning, improved_recipe, next_version
from compress.improve.run import FromBundle
from compress.improve.start import Start
from compress.options.improve import ImproveOptions
from compress.options.read import from_table
from compress.recipe import Recipe, load_recipe
from compress.training.options import AverageOptions, TrainOptions, TransferOptions
from compress.training.outlines import Outlines
from compress.trunk import trunk_nodes
from compress.workbench import recipe_table


@pytest.mark.parametrize(
    ("version", "higher"),
    [("0.1.0", "0.2.0"), ("1.9.7", "1.10.0"), ("2026-03", "2026-4"), ("v2", "v3"), ("first", "first.1")],
)
def test_a_version_rises(version: str, higher: str) -> None:
    assert next_version(version) == higher


def test_fine_tuning_is_short_slow_and_follows_the_released_model() -> None:
    whole = TrainOptions(epochs=20, crop_epochs=9, learning_rate=1e-3, box_weight=0.7)
    short = fine_tuning(whole, ImproveOptions(epochs=2, rate=0.5, distill_weight=0.4))
    assert (short.epochs, short.crop_epochs, short.learning_rate) == (2, 0, 5e-4)
    assert (short.distill_weight, short.box_weight) == (0.4, 0.7)


def test_averages_and_unfreezing_that_need_more_epochs_are_cut_down() -> None:
    gradual = TransferOptions(freeze="gradual", unfreeze_epochs=(3, 6), frozen_stages=1, layer_decay=0.9)
    whole = TrainOptions(epochs=9, transfer=gradual, average=AverageOptions("swa", swa_epochs=5))
    short = fine_tuning(whole, ImproveOptions(epochs=2))
    assert short.transfer == TransferOptions(frozen_stages=1, layer_decay=0.9)
    assert short.average.swa_epochs == 2


def released(recipe: Recipe) -> Any:
    """A released model that was made by it, as its bundle tells."""
    told = from_table(Recipe, recipe_table(recipe), "recipe")
    manifest = SimpleNamespace(version=told.release.version, preprocess=told.preprocess)
    bundle = SimpleNamespace(manifest=manifest, digest="0" * 64)
    return SimpleNamespace(recipe=told, bundle=bundle, checkpoint=None)


def training_of(recipe: Recipe) -> dict[str, Any]:
    """[train] as the first node's key has it."""
    pool: Any = SimpleNamespace(old_of=lambda _: (), new_of=lambda _: ())
    bench: Any = SimpleNamespace(
        recipe=recipe,
        splits=SimpleNamespace(calibration=()),
        dataset=SimpleNamespace(digest="1" * 64),
        learning_params=dict,
    )
    trained: dict[str, Any] = Start(released(recipe), pool).plan(bench).params["train"]
    return trained


def test_every_generation_without_a_recipe_trains_alike_and_tells_of_the_first_training() -> None:
    first = load_recipe("reference")
    second = improved_recipe(released(first))
    third = improved_recipe(released(second))
    rate = first.train.learning_rate * first.improve.rate
    assert training_of(second)["learning_rate"] == training_of(third)["learning_rate"] == rate
    assert training_of(second) == training_of(third)
    assert first.release.version < second.release.version < third.release.version
    for later in (second, third):
        assert replace(later, release=first.release) == first


def test_the_first_trainings_pruning_is_not_done_again() -> None:
    recipe = load_recipe("reference")
    recipe = replace(recipe, prune=replace(recipe.prune, ratio=0.3))
    pool: Any = None
    beginning = FromBundle(released(recipe), pool, {}, Outlines()).beginning
    assert "prune" in [node.name for node in trunk_nodes(recipe)]
    later = trunk_nodes(recipe, beginning)
    assert {node.name: node.parent for node in later}["export"] == "train"
    assert "prune" not in [node.name for node in later]


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"rate": 0.0}, {"distill_weight": 1.5}, {"new_share": 1.0}])
def test_options_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        ImproveOptions(**wrong)  # type: ignore[arg-type]
