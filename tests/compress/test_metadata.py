"""What is learned of the fit patients' facts, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from compress.datasets.base import Case
from compress.datasets.splits import Splits
from compress.metadata import LEAST_PATIENTS, Fusion, MetadataOptions, facts_of_case, learn_facts, vectors
from compress.recipe import Recipe, parse_recipe
from compress.training.withholding import withhold
from compress.trunk import train_plan
from compress.workbench import Workbench
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError, StepError
from runtime.metadata import FIELDS, PatientFacts
from tests.facts import SPEC

EVERY = MetadataOptions(FIELDS)


def cases(count: int = 24) -> list[Case]:
    return [
        Case(
            case_id=f"c{i}",
            patient_id=f"p{i}",
            path=Path(f"{i}.png"),
            label=i % 2,
            body_part=("hand", "leg", "hand+leg")[i % 3],
            view=("PA", "lateral")[i % 2],
            age_years=float(i),
            sex=("female", "male")[i // 2 % 2],
        )
        for i in range(count)
    ]


def test_the_words_of_the_fit_patients_become_the_vocabulary() -> None:
    fusion = learn_facts(EVERY, cases())
    assert fusion is not None
    assert (fusion.spec.body_parts, fusion.spec.views) == (("hand", "leg"), ("frontal", "lateral"))
    assert (fusion.dropout, fusion.withhold) == (EVERY.dropout, EVERY.withhold)


def test_fields_are_taken_in_one_order_whatever_the_recipes() -> None:
    fusion = learn_facts(MetadataOptions(("view", "age")), cases())
    assert fusion is not None and fusion.spec.fields == ("age", "view")


def test_a_word_of_few_patients_is_not_learned() -> None:
    rare = [replace(case, body_part="foot") for case in cases()[: LEAST_PATIENTS - 1]]
    fusion = learn_facts(EVERY, [*cases(), *rare])
    assert fusion is not None and "foot" not in fusion.spec.body_parts


def test_without_fields_nothing_is_learned() -> None:
    assert learn_facts(MetadataOptions(), cases()) is None


def test_every_field_that_tells_nothing_is_named() -> None:
    silent = [replace(case, age_years=None, sex="female", body_part="hand", view="") for case in cases()]
    with pytest.raises(StepError) as caught:
        learn_facts(EVERY, silent)
    for word in ("age", "sex", "body_part has 1 words", "view has 0 words"):
        assert word in str(caught.value)


def test_a_part_that_nobody_names_is_not_said() -> None:
    case = replace(cases()[0], body_part="unknown", age_years=None)
    assert facts_of_case(case) == PatientFacts(sex="female", view="PA")


def test_vectors_are_in_the_order_of_the_cases() -> None:
    some = cases(6)
    rows = vectors(SPEC, some)
    assert rows.shape == (6, SPEC.width)
    assert np.array_equal(rows[3], SPEC.encode(facts_of_case(some[3])))


def test_whole_fields_are_withheld_as_often_as_asked() -> None:
    told = np.ones((20_000, SPEC.width), np.float32)
    left = withhold(told, Fusion(SPEC, 0.2, 0.3), np.random.default_rng(0))
    for columns in SPEC.columns.values():
        field = left[:, columns]
        assert (field == field[:, :1]).all()
        assert field[:, 0].mean() == pytest.approx(0.8 * 0.7, abs=0.015)
    assert (~left.any(axis=1)).mean() == pytest.approx(0.3 + 0.7 * 0.2**4, abs=0.015)


def test_what_is_withheld_is_the_seeds() -> None:
    told = np.ones((50, SPEC.width), np.float32)
    first, again, other = (
        withhold(told, Fusion(SPEC, 0.2, 0.3), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(
    "table",
    [
        'fields = ["weight"]',
        'fields = ["age", "age"]',
        "dropout = 1.0",
        "withhold = -0.1",
        'vocabulary = ["hand"]',
    ],
)
def test_a_recipe_that_asks_for_what_cannot_be_is_refused(table: str) -> None:
    with pytest.raises(RecipeError, match="metadata"):
        parse_recipe(f"[metadata]\n{table}\n", "test")


def test_a_classical_baseline_cannot_take_facts() -> None:
    with pytest.raises(ValueError, match="picture alone"):
        Recipe("test", model=ModelOptions("classical"), metadata=MetadataOptions(("age",)))


def test_a_classical_baseline_cannot_look_at_the_mirror_image() -> None:
    with pytest.raises(ValueError, match="picture once"):
        Recipe("test", model=ModelOptions("classical", mirror=True))


def bench(recipe: Recipe) -> Workbench:
    """Of cases that nobody reads."""
    dataset = SimpleNamespace(cases=tuple(cases()), digest="0" * 64, image_digests={}, name="test")
    splits = Splits(tuple(cases()), tuple(cases(2)), tuple(cases(2)), tuple(cases(2)))
    nothing: Any = None
    return Workbench(recipe, Path("nowhere"), cast(Any, dataset), splits, nothing, nothing)


def test_facts_are_no_parameter_of_a_training_without_them() -> None:
    assert "metadata" not in train_plan(bench(Recipe("test"))).params
    assert bench(Recipe("test")).metadata is None


def test_other_facts_words_or_chances_are_another_training() -> None:
    keys = {
        train_plan(bench(Recipe("test", metadata=options))).key
        for options in (
            MetadataOptions(),
            MetadataOptions(("age",)),
            MetadataOptions(("age", "sex")),
            MetadataOptions(("age",), dropout=0.1),
            MetadataOptions(("age",), withhold=0.1),
        )
    }
    assert len(keys) == 5
