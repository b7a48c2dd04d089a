"""What a recipe may ask of quantization-aware training, and what all looks at the gate cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.fallback.options import LARGEST_CONFIDENCE, confidence_of_look
from compress.qat.options import QatOptions
from compress.recipe import Recipe, parse_recipe
from runtime.errors import RecipeError

ON = "[qat]\nepochs = 3\n"


def test_it_is_off_unless_a_recipe_asks() -> None:
    assert not Recipe("plain").qat.is_active
    assert QatOptions().first_confidence(0.95) == 0.95


def test_a_recipe_says_how_it_is_trained() -> None:
    recipe = parse_recipe(ON + "learning_rate = 3e-4\n[qat.augment]\nnoise = 0.0\n", "r")
    training = recipe.qat.training
    assert (training.epochs, training.learning_rate, training.augment.noise) == (3, 3e-4, 0.0)
    assert training.precision == "fp32"


@given(st.floats(0.51, 0.99), st.integers(1, 12))
def test_all_looks_together_err_less_often_than_one_gate(confidence: float, looks: int) -> None:
    first = QatOptions(epochs=1).first_confidence(confidence)
    spent = sum(1 - confidence_of_look(first, look) for look in range(1, looks + 1))
    assert spent < 1 - confidence


def test_as_many_looks_as_the_quantiles_are_right_for() -> None:
    recipe = parse_recipe(ON + "[fallback]\nbudget = 4\nlooks = 2\n", "r")
    last = confidence_of_look(recipe.qat.first_confidence(recipe.gate.confidence), 3)
    assert last <= LARGEST_CONFIDENCE
    with pytest.raises(RecipeError, match="4 looks at the gate need a confidence"):
        parse_recipe(ON + "[fallback]\nbudget = 4\nlooks = 3\n", "r")


@pytest.mark.parametrize(
    "wrong",
    [
        "epochs = -1",
        "distill_weight = 0.0",
        "learning_rate = 0.0",
        'keep = "first"',
        "batch_size = 0",
        "features_weight = -1.0",
    ],
)
def test_what_no_training_can_be_asked_for_is_refused(wrong: str) -> None:
    with pytest.raises(RecipeError, match="qat"):
        parse_recipe(f"[qat]\n{wrong}\n", "r")


def test_a_baseline_has_no_weights_to_train() -> None:
    with pytest.raises(RecipeError, match="not classical"):
        parse_recipe(ON + '[model]\nname = "classical"\n[prune]\nratio = 0.0\n', "r")
