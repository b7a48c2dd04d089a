"""The deploy matrix on easy data: every cell has figures or a reason; run again, nothing is made."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import pytest
from rich.console import Console

from compress.faster import Speed
from compress.matrix.recipe import MatrixRecipe, parse_matrix_recipe
from compress.matrix.record import Cell, MatrixRecord
from compress.matrix.run import MatrixRequest, run_matrix
from compress.matrix.tables import terminal_tables, to_markdown
from compress.progress import ProgressReporter
from compress.steps.quantize import QUANTIZERS
from compress.steps.quantize_ort import quantize_ort
from runtime.errors import RecipeError, StepError

from .easy_data import write_easy_data

pytestmark = pytest.mark.slow
ENGINES = ("onnxruntime", "openvino", "tensorrt")
TEXT = """
seed = 3
[data]
look_alikes = "ignore"
[data.split]
fit = 0.4
calibration = 0.25
gate = 0.25
test = 0.1
[preprocess]
size_px = 64
[train]
epochs = 8
batch_size = 16
learning_rate = 4e-3
box_weight = 0.5
[networks.cnn.model]
width = 0.5
[networks.resnet18.model]
weights = "nowhere.pt"
[classical.random_forest]
operators = "ml"
trees = 12
depth = 3
features = ["hog", "lbp"]
[[targets]]
engine = "onnxruntime"
[[targets]]
engine = "openvino"
[[targets]]
engine = "tensorrt"
"""
NAMES = ("cnn", "random_forest", "resnet18")


@dataclass(frozen=True)
class Made:
    """One finished matrix."""

    recipe: MatrixRecipe
    request: MatrixRequest
    record: MatrixRecord

    def cell(self, name: str, engine: str, precision: str) -> Cell:
        """There is one."""
        cell = next(row for row in self.record.rows if row.name == name).cell(engine, precision)
        assert cell is not None
        return cell


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("matrix")
    request = MatrixRequest(root / "out", write_easy_data(root / "easy"), NAMES)
    recipe = parse_matrix_recipe(TEXT, "easy")
    return Made(recipe, request, run_matrix(recipe, request, _quiet()))


def _quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


def test_every_cell_holds_figures_or_a_reason(made: Made) -> None:
    assert [row.name for row in made.record.rows] == list(NAMES)
    for row in made.record.rows:
        assert [(cell.engine, cell.precision) for cell in row.cells] == [
            (engine, precision) for engine in ENGINES for precision in ("fp32", "int8")
        ]
        for cell in row.cells:
            figures = (cell.size_bytes, cell.metrics, cell.parity, cell.auroc_change, cell.outcome)
            assert all(figures) if cell.made else not any(figures), (row.name, cell)


def test_what_runs_here_is_timed_and_what_does_not_says_what_stood_in(made: Made) -> None:
    for engine in ENGINES:
        for precision in ("fp32", "int8"):
            cell = made.cell("cnn", engine, precision)
            assert bool(cell.latency_ms) != bool(cell.numerics_from), (engine, precision)
            assert engine == "tensorrt" or cell.latency_ms["p50"] > 0


def test_eight_bits_are_timed_in_turns_with_float_and_what_is_slower_stays_in_the_table_with_a_mark(
    made: Made,
) -> None:
    for engine in ENGINES:
        speed = made.cell("cnn", engine, "int8").speed
        if engine == "tensorrt":
            assert "not_measured" in speed
        else:
            assert min(speed["float_ms"], speed["converted_ms"]) > 0
        assert not made.cell("cnn", engine, "fp32").speed
    slow, fast = Speed(1.0, 1.1, 1.1, 1.05, 1.2, False), Speed(1.0, 0.5, 0.5, 0.4, 0.6, True)
    marked, unmarked = (_timed(made.record, speed) for speed in (slow, fast))
    row = next(line for line in marked.splitlines() if "| ONNX Runtime | INT8 |" in line)
    assert "ms" not in row and "\N{DOUBLE DAGGER} 1.10 [1.05, 1.20]" in row
    assert "would not ship it" in marked
    assert "\N{DOUBLE DAGGER}" not in unmarked


def _timed(record: MatrixRecord, speed: Speed) -> str:
    """The tables, had every INT8 engine of the first model been timed so."""
    first, *others = (
        replace(row, cells=tuple(replace(cell, speed={}) for cell in row.cells)) for row in record.rows
    )
    table = speed.to_json("float", "converted")
    cells = tuple(replace(cell, speed=table if cell.precision == "int8" else {}) for cell in first.cells)
    changed = replace(record, rows=(replace(first, cells=cells), *others))
    console = Console(file=io.StringIO(), width=160)
    console.print(*terminal_tables(changed), sep="\n")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("\N{DOUBLE DAGGER}" in shown) != speed.faster
    return to_markdown(changed)


def test_float_engines_repeat_the_checkpoint_and_eight_bits_keep_its_ranking(made: Made) -> None:
    row = made.record.rows[0]
    before = row.metrics["auroc"]["value"]
    assert before > 0.8
    assert row.export_parity is not None and row.export_parity < 1e-3
    for engine in ENGINES:
        floating, eight = (made.cell("cnn", engine, precision) for precision in ("fp32", "int8"))
        assert floating.parity["outcome"] == "pass"
        assert floating.metrics["auroc"]["value"] == pytest.approx(before, abs=1e-3)
        assert eight.parity["worst"] > floating.parity["worst"]
        assert eight.metrics["auroc"]["value"] - before == pytest.approx(eight.auroc_change["difference"])
        assert eight.metrics["auroc"]["value"] > before - 0.1


def test_an_engine_that_refuses_is_quoted_and_the_others_go_on(made: Made) -> None:
    for engine, precision in (("openvino", "fp32"), ("openvino", "int8"), ("tensorrt", "fp32")):
        assert "TreeEnsembleClassifier" in made.cell("random_forest", engine, precision).reason
    # Its quantizer comes first, and these features hold nothing that could be quantized.
    assert "nothing in this graph suits eight bits" in made.cell("random_forest", "tensorrt", "int8").reason
    assert made.cell("random_forest", "onnxruntime", "fp32").made


def test_a_model_that_cannot_be_trained_is_a_row_with_its_reason(made: Made) -> None:
    row = made.record.rows[-1]
    assert "nowhere.pt" in row.reason
    assert {cell.reason for cell in row.cells} == {row.reason}
    assert not row.metrics


def test_files_and_tables_say_the_same_as_the_record(made: Made) -> None:
    folder = made.request.folder
    assert json.loads((folder / "matrix.json").read_text())["rows"] == json.loads(
        json.dumps(made.record.to_json()["rows"])
    )
    text = (folder / "matrix.md").read_text(encoding="utf-8")
    console = Console(file=io.StringIO(), width=160)
    console.print(*terminal_tables(made.record), sep="\n")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for row in made.record.rows:
        assert text.count(f"\n| {row.name} ") == len(row.cells) + 1
        assert row.name in shown
    value = f"{made.record.rows[0].metrics['auroc']['value']:.3f}"
    assert value in text and value in shown
    for words in ("TreeEnsembleClassifier", "nowhere.pt"):
        assert words in text and words in shown
    picture = cv2.imread(str(folder / "matrix.png"))
    assert picture is not None and picture.std() > 1
    assert not list(folder.glob("*.partial"))


def test_a_matrix_run_again_makes_nothing_and_finds_the_same(made: Made) -> None:
    records = sorted(made.request.folder.rglob("step.json")) + sorted(
        made.request.folder.rglob("observed.json")
    )
    before = [path.stat().st_mtime_ns for path in records]
    again = run_matrix(made.recipe, made.request, _quiet())
    assert [path.stat().st_mtime_ns for path in records] == before
    assert again.rows == made.record.rows


def test_a_matrix_of_nothing_that_can_be_trained_is_an_error_with_its_files_written(
    made: Made, tmp_path: Path
) -> None:
    request = replace(made.request, folder=tmp_path, names=("resnet18",))
    with pytest.raises(StepError, match="no model could be trained"):
        run_matrix(made.recipe, request, _quiet())
    assert "nowhere.pt" in (tmp_path / "matrix.md").read_text(encoding="utf-8")


def test_a_graph_that_the_engine_would_misread_is_not_compiled_and_its_cell_says_why(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(made.request.folder, folder)
    shutil.rmtree(folder / "models" / "cnn" / "steps" / "tensorrt")
    monkeypatch.setitem(QUANTIZERS, "tensorrt", quantize_ort)  # whose zero points are unsigned
    again = run_matrix(made.recipe, replace(made.request, folder=folder, names=("cnn",)), _quiet())
    cell = again.rows[0].cell("tensorrt", "int8")
    assert cell is not None and not cell.made and "imported as another: TensorRT" in cell.reason
    assert again.rows[0].cell("openvino", "int8") == made.cell("cnn", "openvino", "int8")


def test_an_engine_that_does_not_exist_is_refused_before_any_work(made: Made, tmp_path: Path) -> None:
    recipe = parse_matrix_recipe('[[targets]]\nengine = "tvm"', "wrong")
    with pytest.raises(RecipeError, match="no target 'tvm'"):
        run_matrix(recipe, replace(made.request, folder=tmp_path / "out"), _quiet())
    assert not (tmp_path / "out").exists()
