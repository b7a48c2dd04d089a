"""A classical baseline goes through the whole tree as a network does: judged, compiled, released, tested."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from compress.checkpoint import check_model
from compress.classical.options import ClassicalOptions
from compress.options.target import TargetOptions
from compress.pipeline import RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import load_recipe
from compress.record import RunRecord
from compress.zoo.options import ModelOptions
from runtime import selftest
from runtime.bundle import open_bundle
from runtime.errors import RecipeError
from runtime.trust import TrustStore, generate_key

from .easy_data import write_easy_data

EASY = load_recipe(Path(__file__).with_name("easy.toml"))
RECIPE = replace(
    EASY,
    model=ModelOptions("classical"),
    classical=ClassicalOptions("kmeans", features=("hog", "glcm"), words=8),
    prune=replace(EASY.prune, ratio=0.0),
    targets=(
        TargetOptions("onnxruntime", ("fp32", "int8"), must_be_faster=False),
        TargetOptions("openvino", ("fp32",)),
    ),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    root = tmp_path_factory.mktemp("classical")
    data, key = write_easy_data(root / "easy"), generate_key()
    reporter = ProgressReporter(Console(file=io.StringIO()))
    record = run_pipeline(RECIPE, RunOptions(root / "run", data, key), reporter)
    selftest.choose(open_bundle(root / "run" / "bundle", TrustStore.of(key)))
    return record, root / "run"


@pytest.mark.slow
def test_every_node_of_a_baseline_passes_its_gate_and_ships(made: tuple[RunRecord, Path]) -> None:
    record, _ = made

    assert [node.name for node in record.nodes] == [
        "train",
        "export",
        "onnxruntime/fp32",
        "onnxruntime/int8-quantized",
        "onnxruntime/int8",
        "openvino/fp32",
    ]
    assert {node.verdict["outcome"] for node in record.nodes} == {"pass"}
    assert record.release["engine"]


@pytest.mark.slow
def test_the_report_of_a_baseline_has_no_curves_and_no_dash_it_cannot_explain(
    made: tuple[RunRecord, Path],
) -> None:
    record, folder = made

    assert record.history == {}
    assert "kmeans" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_baseline_with_something_to_prune_is_refused_before_any_work() -> None:
    with pytest.raises(RecipeError, match="no channels to prune"):
        check_model(replace(RECIPE, prune=EASY.prune))
