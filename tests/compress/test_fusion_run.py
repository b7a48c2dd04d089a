"""A whole run with facts of patients ends in a bundle that is told them, and answers without them too."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from typer.testing import CliRunner

from benchmarks.metadata_fusion import measure_fusion
from compress.datasets.table import TableDataset
from compress.evaluate import evaluate_bundle
from compress.metadata import MetadataOptions
from compress.options.prune import PruneOptions
from compress.options.target import TargetOptions
from compress.pipeline import RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import load_recipe
from compress.record import RunRecord
from compress.report import render
from compress.report.card import render_card
from runtime import selftest
from runtime.bundle import Bundle, open_bundle
from runtime.cli_detect import detect
from runtime.errors import RecipeError, StepError
from runtime.metadata import FIELDS
from runtime.trust import TrustStore, generate_key, save_public_key

from .easy_data import write_easy_data

APP = typer.Typer()
APP.command()(detect)
EASY = load_recipe(Path(__file__).with_name("easy.toml"))
RECIPE = replace(EASY, metadata=MetadataOptions(FIELDS))


def quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


def write_data(folder: Path, patients: int = 120) -> Path:
    """Easy pictures of patients of whom something is known; of every seventh not the age."""
    write_easy_data(folder, patients, side_px=160)
    table = folder / "labels.csv"
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*rows[0], "age", "sex", "view"])
        writer.writeheader()
        for number, row in enumerate(rows):
            patient = number // 2
            age, sex = "" if patient % 7 == 0 else 5 + patient % 60, ("female", "male", "")[patient % 3]
            writer.writerow({**row, "age": age, "sex": sex, "view": ("frontal", "lateral")[number % 2]})
    return folder


def test_facts_that_the_data_do_not_tell_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    data = write_easy_data(tmp_path / "data", 60)
    with pytest.raises(StepError, match="age: the fit patients do not say it"):
        run_pipeline(RECIPE, RunOptions(tmp_path / "run", data, generate_key()), quiet())
    assert not (tmp_path / "run" / "steps").exists()


def test_a_recipe_without_facts_has_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no facts to measure"):
        measure_fusion(EASY, tmp_path, tmp_path / "work", 1, quiet())


@dataclass(frozen=True)
class Made:
    """One finished run."""

    folder: Path
    data: Path
    key: Ed25519PrivateKey
    record: RunRecord

    @property
    def bundle(self) -> Bundle:
        return open_bundle(self.folder / "bundle", TrustStore.of(self.key))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("fusion")
    data, key = write_data(root / "easy"), generate_key()
    save_public_key(key.public_key(), root / "key.pem")
    record = run_pipeline(RECIPE, RunOptions(root / "run", data, key), quiet())
    return Made(root / "run", data, key, record)


@pytest.mark.slow
def test_every_node_passes_and_the_bundle_is_told_facts(made: Made) -> None:
    assert {node.verdict["outcome"] for node in made.record.nodes if node.verdict} == {"pass"}
    manifest = made.bundle.manifest
    assert manifest.metadata is not None
    assert manifest.metadata.fields == FIELDS
    assert any(case.facts for case in manifest.golden)
    ran = [result for result in selftest.run(made.bundle) if result.engine in ("onnxruntime", "openvino")]
    assert len(ran) == 4 and all(result.passed for result in ran), ran


@pytest.mark.slow
def test_the_record_says_what_becomes_of_the_answer_without_facts(made: Made) -> None:
    found = json.loads((made.folder / "run.json").read_text())["metadata"]
    assert found["told"]["images"] == found["withheld"]["images"] == 60
    assert found["withheld"]["auroc"]["value"] > 0.9
    assert {check["title"] for check in found["difference"]} >= {
        "AUROC",
        "sensitivity, high-sensitivity point",
    }
    assert 0.3 < found["facts_alone"]["value"] < 0.75
    assert found["known"]["view"] == 60 > found["known"]["age"]
    assert found["test_withheld"]["images"] == made.record.test["images"]


@pytest.mark.slow
def test_report_and_card_say_it_too(made: Made) -> None:
    card, page = render_card(made.record), render(made.record)
    for words in ("## Facts of the patient", "must not decide by the body part alone", "all withheld"):
        assert words in card
    assert "Facts of the patient" in page and "withheld" in page


@pytest.mark.slow
def test_detect_takes_facts_and_tells_what_it_used(made: Made) -> None:
    picture = made.data / "images" / "p001v0.png"
    options = ["--bundle", str(made.folder / "bundle"), "--trust", str(made.folder.parent / "key.pem")]
    options += ["--engine", "openvino-int8", "--json"]
    told = ["--age", "41", "--sex", "F", "--body-part", "RT HAND", "--view", "skyline"]
    answers = [
        json.loads(CliRunner().invoke(APP, [str(picture), *options, *more]).stdout) for more in ([], told)
    ]
    assert [answer["verdict"] for answer in answers] == ["fracture", "fracture"]
    assert answers[0]["metadata"] == {
        "age_years": None, "sex": "", "body_part": "", "view": "", "notes": []
    }  # fmt: skip
    assert answers[1]["metadata"]["age_years"] == 41 and answers[1]["metadata"]["body_part"] == "hand"
    assert "skyline" in answers[1]["metadata"]["notes"][0]


@pytest.mark.slow
def test_an_evaluation_tells_what_the_data_set_says(made: Made) -> None:
    result = evaluate_bundle(made.bundle, TableDataset(made.data))
    assert result.report.images == made.record.test["images"]
    assert result.report.auroc.value == pytest.approx(made.record.test["auroc"]["value"], abs=0.05)


@pytest.mark.slow
def test_the_same_run_again_takes_everything_that_is_there(made: Made) -> None:
    again = run_pipeline(RECIPE, RunOptions(made.folder, made.data, made.key), quiet())
    assert all(node.reused for node in again.nodes)
    assert again.release["digest"] == made.record.release["digest"]


@pytest.mark.slow
def test_with_and_without_facts_are_measured_on_the_same_patients(tmp_path: Path) -> None:
    recipe = replace(
        RECIPE,
        train=replace(RECIPE.train, epochs=2),
        prune=PruneOptions(ratio=0),
        targets=(TargetOptions("onnxruntime", must_be_faster=False),),
    )
    result = measure_fusion(recipe, write_data(tmp_path / "data", 60), tmp_path / "work", 1, quiet())
    titles = [row["what"] for row in result.rows]
    assert titles[:3] == ["picture alone", "with facts", "facts withheld"] and len(titles) == 7
    alone, told = result.rows[0]["auroc"], result.rows[1]["auroc"]
    assert result.rows[3]["auroc difference"] == pytest.approx(told - alone)
    assert "sensitivity (high_sensitivity) 95%" in result.rows[2]
