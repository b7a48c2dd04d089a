"""Examinations in the toolchain: thresholds of their own, and the answers that a box would give."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from compress import studies
from compress.answers import Answer
from compress.datasets.base import Case
from compress.evaluate import evaluate_bundle
from compress.evaluation_tables import evaluation_tables
from compress.examinations import choose_examination_spec, examination_verdicts
from compress.operating_points import choose_operating_points
from compress.options.operating_points import OperatingPointOptions
from compress.options.prune import PruneOptions
from compress.options.target import TargetOptions
from compress.pipeline import RunOptions, run_pipeline
from compress.predictions import Predictions
from compress.progress import ProgressReporter
from compress.recipe import Recipe, load_recipe, parse_recipe
from compress.steps.ensemble import make_ensemble
from compress.train_alone import TrainRequest, train_alone
from compress.zoo.checkpoint import load_network
from compress.zoo.options import ModelOptions
from runtime.bundle import open_bundle
from runtime.errors import RecipeError, StepError
from runtime.examination import RULES, ExaminationSpec
from runtime.findings import OperatingPoints, Refusal, RefusalCode, Verdict
from runtime.trust import TrustStore, generate_key
from tests.bundles import make_bundle
from tests.compress.clinic import write_data
from tests.compress.easy_data import write_easy_data

POINTS = OperatingPoints(0.3, 0.7)
OTHERS = [rule for rule in RULES if rule != "mean_logit"]


def cohort(patients: int = 200, study: str = "s") -> tuple[Predictions, list[Case]]:
    """Two views a patient, every other patient fractured; `study` names the examinations, "" none."""
    rng = np.random.default_rng(3)
    names = [f"p{number // 2}v{number % 2}" for number in range(2 * patients)]
    owners = [name.split("v")[0] for name in names]
    labels = np.array([int(owner[1:]) % 2 for owner in owners], np.int64)
    logits = rng.normal(2.0 * labels - 1.0, 1.0)
    cases = [
        Case(name, owner, Path(name), int(label), "hand", study_id=f"{study}-{owner}" if study else "")
        for name, owner, label in zip(names, owners, labels, strict=True)
    ]
    parts = np.full(len(names), "hand")
    return Predictions(np.array(names), np.array(owners), parts, labels, logits), cases


def options(rule: str = "mean_logit") -> OperatingPointOptions:
    return OperatingPointOptions(sensitivity=0.9, specificity=0.9, examination_rule=rule)


def fail(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize("rule", RULES)
def test_thresholds_are_chosen_on_the_combined_scores(rule: str) -> None:
    seen, cases = cohort()
    spec = choose_examination_spec(seen, cases, options(rule), fail)
    whole = studies.combine(replace(seen, study_ids=np.array([case.study_id for case in cases])), rule)
    assert spec == ExaminationSpec(rule, choose_operating_points(whole, options(rule)))
    assert spec.operating_points is not None
    found = whole.probabilities[whole.labels == 1] >= spec.operating_points.high_sensitivity
    assert found.mean() >= 0.9


@pytest.mark.parametrize("rule", OTHERS)
def test_a_rule_that_adds_up_chances_gets_higher_thresholds_than_single_images(rule: str) -> None:
    seen, cases = cohort()
    points = choose_examination_spec(seen, cases, options(rule), fail).operating_points
    assert points is not None
    assert points.high_specificity > choose_operating_points(seen, options()).high_specificity


def test_images_without_an_examination_change_no_threshold() -> None:
    seen, cases = cohort()
    alone = Predictions(np.array(["x"]), np.array(["x"]), np.array(["hand"]), np.array([1]), np.array([-9.0]))
    more = Predictions.concatenate([seen, alone])
    wanted = choose_examination_spec(seen, cases, options(), fail)
    assert choose_examination_spec(more, cases, options(), fail) == wanted


def test_without_examinations_the_mean_keeps_the_thresholds_of_single_images() -> None:
    seen, cases = cohort(study="")
    assert choose_examination_spec(seen, cases, options(), fail) == ExaminationSpec()


@pytest.mark.parametrize("rule", OTHERS)
def test_without_examinations_another_rule_is_refused(rule: str) -> None:
    seen, cases = cohort(study="")
    with pytest.raises(StepError, match=rf"{rule} needs thresholds of its own: no calibration examination"):
        choose_examination_spec(seen, cases, options(rule), fail)


def test_too_few_examinations_are_said_and_the_mean_goes_on_without() -> None:
    seen, cases = cohort(patients=20)
    said: list[str] = []
    wanted = replace(options(), assurance=0.95)
    assert choose_examination_spec(seen, cases, wanted, said.append) == ExaminationSpec()
    assert "keep the thresholds of single images" in said[0]
    with pytest.raises(StepError, match="noisy_or needs thresholds of its own"):
        choose_examination_spec(seen, cases, replace(wanted, examination_rule="noisy_or"), fail)


def answer(study: str, label: int, logit: float | None) -> Answer:
    case = Case(f"{study}{logit}", study, Path("x"), label, "hand", study_id=study)
    if logit is None:
        return Answer(case, Verdict.UNREADABLE, refusal=Refusal(RefusalCode.DAMAGED, "damaged", "again"))
    return Answer(case, Verdict.NONE, logit)


def test_answers_are_counted_as_a_box_gives_them() -> None:
    answers = [
        *(answer("a", 1, logit) for logit in (3.0, 2.0)),
        *(answer("b", 1, logit) for logit in (-4.0, None)),
        *(answer("c", 0, logit) for logit in (-4.0, -3.0)),
        *(answer("d", 0, logit) for logit in (1.0, -9.0)),
        answer("e", 0, 5.0),
        answer("", 1, 5.0),
    ]
    assert examination_verdicts(answers, ExaminationSpec(), POINTS) == {
        "fractured": {"fracture": 1, "doubt": 0, "none": 0, "unreadable": 1},
        "healthy": {"fracture": 0, "doubt": 1, "none": 1, "unreadable": 0},
    }
    assert examination_verdicts(answers[-2:], ExaminationSpec(), POINTS) == {}


def test_a_recipe_chooses_the_rule_and_knows_no_other() -> None:
    text = '[operating_points]\nexamination_rule = "noisy_or"'
    assert parse_recipe(text, "r").operating_points.examination_rule == "noisy_or"
    with pytest.raises(RecipeError, match="examination_rule must be one of"):
        parse_recipe(text.replace("noisy_or", "vote"), "r")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepochs = 3", "epochs = 0"),
        ("[train]\nepochs = 0\ncrop_epochs = 2", "epochs = 0"),
        ("[train]\nepochs = 0\n[operating_points]\nfolds = 5", "folds = 0"),
    ],
)
def test_an_ensemble_is_neither_trained_again_nor_cross_validated(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(f'[model]\nname = "ensemble"\nweights = "e.pt"\n{text}', "r")


def quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


def name_examinations(folder: Path) -> Path:
    """Both views of a patient are one."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, [*rows[0], "study_id"])
        table.writeheader()
        table.writerows({**row, "study_id": row["group"]} for row in rows)
    return folder


def trained(recipe: Recipe, data: Path, folder: Path) -> Path:
    made = train_alone(recipe, TrainRequest(folder, data), quiet())
    assert made is not None
    return made.artifact.path


@pytest.mark.slow
def test_an_ensemble_is_calibrated_gated_and_released_with_thresholds_for_examinations(
    tmp_path: Path,
) -> None:
    plain = replace(
        load_recipe(Path(__file__).with_name("easy.toml")),
        prune=PruneOptions(ratio=0),
        targets=(TargetOptions("onnxruntime", must_be_faster=False),),
    )
    data = name_examinations(write_easy_data(tmp_path / "easy"))
    paths = [trained(replace(plain, seed=seed), data, tmp_path / f"seed-{seed}") for seed in (3, 4)]
    make_ensemble(paths, tmp_path)
    recipe = replace(
        plain,
        model=ModelOptions("ensemble", weights=str(tmp_path / "network.pt")),
        train=replace(plain.train, epochs=0),
        operating_points=replace(plain.operating_points, calibrate=True, examination_rule="max_probability"),
    )
    key = generate_key()
    record = run_pipeline(recipe, RunOptions(tmp_path / "run", data, key), quiet())
    assert {node.verdict["outcome"] for node in record.nodes if node.verdict} == {"pass"}
    assert {"train", "export", "onnxruntime/fp32", "onnxruntime/int8"} <= {node.name for node in record.nodes}
    assert len(load_network(tmp_path / "run" / "steps" / "train" / "network.pt").members) == 2
    bundle = open_bundle(tmp_path / "run" / "bundle", TrustStore.of(key))
    spec = bundle.manifest.examination
    assert spec.rule == "max_probability" and spec.operating_points is not None
    assert record.examination["operating_points"] == vars(spec.operating_points)


@pytest.mark.parametrize("points", [None, OperatingPoints(0.4, 0.8)])
def test_evaluation_measures_examinations_as_the_bundle_judges_them(
    tmp_path: Path, points: OperatingPoints | None
) -> None:
    key = generate_key()
    bundle = open_bundle(make_bundle(tmp_path / "bundle", key), TrustStore.of(key))
    spec = ExaminationSpec("max_probability", points)
    bundle = replace(bundle, manifest=replace(bundle.manifest, examination=spec))
    (tmp_path / "data").mkdir()
    result = evaluate_bundle(bundle, write_data(tmp_path / "data", damaged=True))
    assert ("max_probability, at its own thresholds" in result.by_study) is (points is not None)
    assert {kind: sum(counts.values()) for kind, counts in result.by_examination.items()} == {
        "fractured": 4,
        "healthy": 4,
    }
    assert result.to_json()["by_examination"] == result.by_examination
    shown = io.StringIO()
    Console(file=shown, width=160).print(*evaluation_tables(result), sep="\n")
    assert "what was said of examinations of several views" in shown.getvalue()
