"""What a recipe may say of made windows, and that saying nothing leaves every key as it was."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from compress.patches.options import PatchOptions
from compress.recipe import load_recipe, parse_recipe, shipped_recipes
from runtime.errors import RecipeError


@pytest.mark.parametrize(
    "wrong",
    [{"share": 1.0}, {"share": -0.1}, {"steps": 0}, {"width": 2}, {"learning_rate": 0.0}, {"average": 1.0}],
)
def test_impossible_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PatchOptions(**wrong)


def test_how_much_is_used_does_not_change_the_generator() -> None:
    assert PatchOptions(share=0.5).learning() == PatchOptions().learning()
    assert PatchOptions(steps=7).learning() != PatchOptions().learning()


def test_a_recipe_reads_the_table_and_wants_epochs_on_windows() -> None:
    text = "[train]\ncrop_epochs = 2\n[patches]\nshare = 0.25\nsteps = 10\n"
    assert parse_recipe(text, "mine").patches == PatchOptions(0.25, steps=10)
    for other in (text.replace("crop_epochs = 2", ""), f'{text}[model]\nname = "classical"\n'):
        with pytest.raises(RecipeError, match="windows"):
            parse_recipe(other, "mine")
    with pytest.raises(RecipeError, match=r"patches\.generator"):
        parse_recipe(f'{text}generator = "other.pt"\n', "mine")


@pytest.mark.parametrize("name", shipped_recipes())
def test_no_shipped_recipe_makes_windows(name: str) -> None:
    assert load_recipe(name).patches.share == 0


def test_keys_name_made_windows_only_where_there_are_some() -> None:
    from compress.trunk import train_plan

    plain = load_recipe("demo")

    def key_and_params(patches: PatchOptions) -> tuple[str, dict[str, Any]]:
        recipe = replace(plain, patches=patches)
        sets = SimpleNamespace(fit=(), calibration=())
        bench = SimpleNamespace(
            recipe=recipe, splits=sets, dataset=SimpleNamespace(digest="d"), learning_params=dict
        )
        plan = train_plan(cast(Any, bench))
        return plan.key, plan.params

    unused, params = key_and_params(PatchOptions(steps=9))
    assert unused == key_and_params(PatchOptions())[0]
    assert "patches" not in params
    assert key_and_params(PatchOptions(0.25))[0] != key_and_params(PatchOptions(0.5))[0] != unused
