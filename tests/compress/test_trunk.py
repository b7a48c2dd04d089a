"""The trunk with and without pruning."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from compress.options.anomaly import AnomalyOptions
from compress.options.prune import PruneOptions
from compress.options.target import TargetOptions
from compress.pipeline import RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import Recipe, load_recipe
from compress.trunk import trunk_nodes
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError, StepError
from runtime.trust import generate_key

from .easy_data import write_easy_data

RECIPE = load_recipe(Path(__file__).with_name("easy.toml"))
UNPRUNED = replace(RECIPE, prune=PruneOptions(ratio=0))


def quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


def parents(recipe: Recipe) -> dict[str, str]:
    return {node.name: node.parent for node in trunk_nodes(recipe)}


def test_the_trunk_is_train_prune_finetune_export_and_statistics() -> None:
    assert parents(RECIPE) == {
        "train": "",
        "prune": "train",
        "finetune": "prune",
        "export": "finetune",
        "export-whole": "train",
        "anomaly": "export",
    }


def test_a_recipe_may_leave_the_statistics_out() -> None:
    assert "anomaly" not in parents(replace(RECIPE, anomaly=AnomalyOptions(quantile=0.0)))


def test_without_a_share_to_prune_export_grows_from_train() -> None:
    assert parents(UNPRUNED) == {"train": "", "export": "train", "anomaly": "export"}


def test_a_network_that_cannot_be_pruned_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    recipe = replace(RECIPE, model=ModelOptions("vit"))
    with pytest.raises(RecipeError, match="vit cannot be pruned") as caught:
        run_pipeline(recipe, RunOptions(tmp_path / "run", tmp_path, generate_key()), quiet())
    assert "ratio = 0" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
    assert "prune" not in parents(replace(UNPRUNED, model=ModelOptions("vit")))


def test_too_few_images_for_anomaly_statistics_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    data = write_easy_data(tmp_path / "easy", patients=40)
    options = RunOptions(tmp_path / "run", data, generate_key())
    with pytest.raises(StepError, match="anomaly statistics need 32") as caught:
        run_pipeline(RECIPE, options, quiet())
    assert "quantile = 0" in caught.value.hint
    assert not (tmp_path / "run" / "steps").exists()


@pytest.mark.parametrize("ratio", [-0.1, 1.0])
def test_a_share_that_cannot_be_removed_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="ratio"):
        PruneOptions(ratio=ratio)


@pytest.mark.slow
def test_an_unpruned_run_exports_judges_and_releases_the_trained_network(tmp_path: Path) -> None:
    recipe = replace(UNPRUNED, targets=(TargetOptions("onnxruntime", precisions=("fp32",)),))
    options = RunOptions(tmp_path / "run", write_easy_data(tmp_path / "easy"), generate_key())
    record = run_pipeline(recipe, options, quiet())
    assert [node.name for node in record.nodes] == ["train", "export", "anomaly", "onnxruntime/fp32"]
    assert {node.verdict["outcome"] for node in record.nodes if node.verdict} == {"pass"}
    assert set(record.history) == {"train"}
    step = (options.folder / "steps" / "export" / "step.json").read_text(encoding="utf-8")
    train, export = record.nodes[:2]
    assert export.parent == "train"
    assert train.sha256 in json.loads(step)["parents"]
    assert record.release
    assert (options.folder / "report.html").is_file()
