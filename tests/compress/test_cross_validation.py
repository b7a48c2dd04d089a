"""A run whose thresholds come from out-of-fold scores, whose golden cases are computed, with a model card."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from compress.cross_validation import require_enough_patients
from compress.datasets.base import Case
from compress.datasets.table import TableDataset
from compress.options.anomaly import AnomalyOptions
from compress.options.operating_points import OperatingPointOptions
from compress.options.target import TargetOptions
from compress.pipeline import CARD, RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import Recipe, load_recipe
from compress.record import RunRecord
from compress.step import load_step
from runtime.bundle import Bundle, open_bundle
from runtime.errors import StepError
from runtime.trust import TrustStore, generate_key

from .easy_data import write_easy_data

pytestmark = pytest.mark.slow
pytestmark = pytest.mark.slow
EASY = load_recipe(Path(__file__).with_name("easy.toml"))
RECIPE: Recipe = replace(
    EASY,
    data=replace(EASY.data, also_without=("hardware=1",)),
    prune=replace(EASY.prune, ratio=0.0),
    targets=(TargetOptions("onnxruntime", ("fp32",)),),
    operating_points=OperatingPointOptions(folds=2, calibrate=True, assurance=0.6),
    anomaly=AnomalyOptions(quantile=0.0),
    release=replace(EASY.release, golden="synthetic", attribution="Nobody's data.", limits=("Tests only.",)),
)


@dataclass(frozen=True)
class Made:
    """One finished run."""

    folder: Path
    data: Path
    record: RunRecord
    bundle: Bundle


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("folds")
    data, key = write_easy_data(root / "easy"), generate_key()
    reporter = ProgressReporter(Console(file=io.StringIO()))
    record = run_pipeline(RECIPE, RunOptions(root / "run", data, key), reporter)
    return Made(root / "run", data, record, open_bundle(root / "run" / "bundle", TrustStore.of(key)))


def fit_of(made: Made, step: str) -> set[str]:
    """Ids of the cases that a step's network learned from."""
    artifact = load_step(made.folder / "steps" / step)
    assert artifact is not None
    return set(artifact.params["fit"])


def calibration_of(made: Made) -> set[str]:
    artifact = load_step(made.folder / "steps" / "train")
    assert artifact is not None
    return set(artifact.params["calibration"])


def test_every_fit_patient_is_scored_by_a_network_that_has_not_seen_him(made: Made) -> None:
    groups = {case.case_id: case.patient_id for case in TableDataset(made.data).cases}
    whole = fit_of(made, "train")
    learned = [fit_of(made, f"fold-{number}") for number in (1, 2)]
    patients = [{groups[name] for name in names} for names in learned]

    assert learned[0] | learned[1] == whole
    assert not patients[0] & patients[1]
    splits = made.record.data["splits"]
    expected = splits["fit"]["patients"] + splits["calibration"]["patients"]
    assert made.record.expectation["patients"] == expected


def test_the_record_says_what_to_expect_of_the_points_fold_by_fold(made: Made) -> None:
    found = made.record.expectation["at_points_of_other_folds"]["high_sensitivity"]

    assert len(found["sensitivity_by_fold"]) == 3  # two folds, and the calibration patients
    assert found["sensitivity"]["low"] <= found["sensitivity"]["value"] <= found["sensitivity"]["high"]


def test_a_finished_run_asks_no_fold_for_its_scores_again(made: Made) -> None:
    said = io.StringIO()
    again = run_pipeline(
        RECIPE, RunOptions(made.folder, made.data, generate_key()), ProgressReporter(Console(file=said))
    )
    assert again.expectation == made.record.expectation
    assert "fold 2 of 2" in said.getvalue()
    assert "scores of fold" not in said.getvalue()


def test_calibrated_logits_are_part_of_the_checkpoint_of_every_fold(made: Made) -> None:
    for name in ("train", "fold-1", "fold-2"):
        artifact = load_step(made.folder / "steps" / name)
        assert artifact is not None
        assert artifact.facts["logit_match"]["scale"] > 0


def test_a_bundle_with_computed_golden_cases_holds_no_image_of_the_data(made: Made) -> None:
    images = set(TableDataset(made.data).image_digests.values())
    held = {hashlib.sha256(made.bundle.read(case.file)).hexdigest() for case in made.bundle.manifest.golden}

    assert len(held) >= 2
    assert not held & images


def test_the_card_says_what_for_from_whose_data_how_well_and_what_is_unknown(made: Made) -> None:
    card = (made.folder / CARD).read_text(encoding="utf-8")

    for words in ("AI result, not a diagnosis", "Nobody's data.", "Tests only.", "ulna run --recipe easy"):
        assert words in card
    assert "age, sex, view" in card
    auroc = made.record.test["auroc"]["value"]
    assert f"{auroc:.3f}" in card
    for part in made.record.test["by_body_part"]:
        assert f"| {part} " in card
    assert "{{" not in card and "None" not in card


def test_record_and_card_give_the_figures_without_the_images_that_the_recipe_names(made: Made) -> None:
    expected, card = made.record.expectation, (made.folder / CARD).read_text(encoding="utf-8")
    implants = {case.case_id for case in TableDataset(made.data).cases if case.tags["hardware"] == "1"}
    scored = fit_of(made, "train") | calibration_of(made)

    assert expected["measured"]["images"] == len(scored)
    assert expected["without"]["hardware=1"]["images"] == len(scored - implants) < len(scored)
    assert made.record.test["without"]["hardware=1"]["images"] <= made.record.test["images"]
    assert "| figure | all | without hardware=1 |" in card
    auroc = expected["without"]["hardware=1"]["auroc"]["value"]
    assert f"{auroc:.3f}" in card


def test_without_statistics_no_picture_is_refused_as_strange(made: Made) -> None:
    assert made.bundle.manifest.anomaly is None


def _cases(fractured: int, prefix: str) -> tuple[Case, ...]:
    return tuple(
        Case(f"{prefix}{n}", f"{prefix}{n}", Path("none"), int(n < fractured), "hand")
        for n in range(2 * fractured)
    )


@pytest.mark.parametrize(("fractured", "enough"), [(60, True), (36, False)])
def test_too_few_patients_for_points_without_one_fold_are_refused_before_training(
    fractured: int, enough: bool
) -> None:
    """Wilks: 32 for 95% with certainty 0.8; of 36 and 8 images a third of the former are left out in turn."""
    options = OperatingPointOptions(0.95, 0.95, assurance=0.8, folds=3)
    splits = SimpleNamespace(fit=_cases(fractured, "f"), calibration=_cases(4, "c"))
    bench: Any = SimpleNamespace(recipe=Recipe("test", operating_points=options), splits=splits)
    if enough:
        require_enough_patients(bench)
        return
    with pytest.raises(StepError, match="cannot assure"):
        require_enough_patients(bench)
