"""An ensemble through the steps: made of files, exported, quantized, compiled, gated, never pruned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
from typer.testing import CliRunner

from compress.cli_ensemble import ensemble as ensemble_verb
from compress.gate import gate
from compress.lint import lint
from compress.options.gate import Margins
from compress.options.prune import PruneOptions
from compress.options.target import TargetOptions
from compress.predictions import Predictions
from compress.steps.compile_tensorrt import compile_tensorrt
from compress.steps.ensemble import make_ensemble
from compress.steps.export_onnx import export
from compress.steps.graph import load_graph
from compress.steps.openvino_tools import open_ir
from compress.steps.prune import PruneData, prune
from compress.steps.quantize import quantize
from compress.steps.stand_in import StandInBackend
from compress.steps.tensorrt_plan import TensorRtOptions
from compress.zoo.checkpoint import load_network, save_network
from runtime.backends.base import Backend, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import RecipeError, StepError
from runtime.findings import OperatingPoints
from tests.compress.networks import random_network, small_network, spots
from tests.compress.steps import graphs
from tests.compress.steps.test_networks_int8 import as_after_training, calibration

SIZE_PX = 64
RTX = TensorRtOptions(library="tensorrt_rtx", capabilities=("sm89",))
UNSEEN = graphs.images(40, seed=5, size_px=SIZE_PX)[32:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints whose maps have 8 and 4 cells a side, and their ensemble."""
    folder = tmp_path_factory.mktemp("ensemble")
    for name in ("cnn", "vit"):
        save_network(as_after_training(name), folder / f"{name}.pt")
    make_ensemble([folder / f"{name}.pt" for name in ("cnn", "vit")], folder)
    return folder


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    export(folder / "network.pt", folder, UNSEEN)
    return folder / "model.onnx"


def test_the_facts_say_what_it_is_made_of(folder: Path, tmp_path: Path) -> None:
    paths = [folder / "cnn.pt", folder / "vit.pt"]
    output = make_ensemble(paths, tmp_path)
    assert (output.main, output.format) == ("network.pt", "torch")
    assert [member["network"] for member in output.facts["members"]] == ["cnn", "vit"]
    assert output.facts["parameters"] == sum(member["parameters"] for member in output.facts["members"])


def test_the_graph_is_one_with_ulnas_outputs_and_computes_no_sizes(exported: Path) -> None:
    model = onnx.load(exported)
    cells = load_network(exported.parent / "network.pt").map_size()[0]
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]]
        for value in model.graph.output
    }
    assert shapes == {"logit": [1], "map": [1, cells, cells]}
    assert not {"Shape", "Gather", "Identity", "If"} & {node.op_type for node in model.graph.node}


@pytest.mark.parametrize(("names", "size_px"), [(("ann", "cnn"), 96), (("cnn", "cnn_attention"), 64)])
def test_parity_holds_for_factors_that_are_no_whole_numbers_and_with_features(
    tmp_path: Path, names: tuple[str, ...], size_px: int
) -> None:
    for name in names:
        save_network(small_network(name, size_px), tmp_path / f"{name}.pt")
    make_ensemble([tmp_path / f"{name}.pt" for name in names], tmp_path)
    facts = export(tmp_path / "network.pt", tmp_path, spots(4, size_px, 1).tensors, with_features=True).facts
    assert max(facts["parity"].values()) < 1e-4
    backend = OrtBackend(ModelFiles((tmp_path / "model.onnx").read_bytes()))
    assert [info.name for info in backend.outputs] == ["logit", "map", "features"]


def test_openvino_computes_the_same(exported: Path, tmp_path: Path) -> None:
    from compress.steps.openvino_tools import read_model, save

    got = open_ir(save(read_model(exported), tmp_path)).infer({"image": UNSEEN})
    wanted = OrtBackend(ModelFiles(exported.read_bytes())).infer({"image": UNSEEN})
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, atol=1e-4 * max(1.0, float(np.abs(value).max())))


def open_output(engine: str, folder: Path) -> Backend:
    if engine == "openvino":
        return open_ir(folder / "model.xml")
    data = (folder / "model.onnx").read_bytes()
    return OrtBackend(ModelFiles(data)) if engine == "onnxruntime" else StandInBackend(data)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "tensorrt"])
def test_eight_bits_do_most_of_the_work_and_keep_the_answer(
    engine: str, exported: Path, tmp_path: Path
) -> None:
    assert quantize(exported, tmp_path, calibration(), TargetOptions(engine)).facts["quantized_share"] > 0.5
    wanted = OrtBackend(ModelFiles(exported.read_bytes())).infer({"image": UNSEEN})
    got = open_output(engine, tmp_path).infer({"image": UNSEEN})
    assert np.corrcoef(wanted["map"].ravel(), got["map"].ravel())[0, 1] > 0.93
    assert np.abs(wanted["logit"] - got["logit"]).max() < 0.1 * float(np.ptp(wanted["map"]))


@pytest.mark.slow
def test_tensorrt_compiles_both_precisions(exported: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    for name in ("int8", "float engine", "int8 engine"):
        (tmp_path / name).mkdir()
    quantize(exported, tmp_path / "int8", calibration(), TargetOptions("tensorrt"))
    assert lint(load_graph(tmp_path / "int8" / "model.onnx"), "tensorrt") == ()
    floating = compile_tensorrt(exported, tmp_path / "float engine", RTX)
    eight = compile_tensorrt(tmp_path / "int8" / "model.onnx", tmp_path / "int8 engine", RTX)
    assert (floating.facts["precision"], eight.facts["precision"]) == ("fp32", "int8")


def scored(backend: Backend) -> Predictions:
    images = spots(120, SIZE_PX, seed=9)
    logits = backend.infer({"image": images.tensors})["logit"][:, 0].astype(np.float64)
    names = np.array([f"c{number}" for number in range(len(logits))])
    return Predictions(
        names, names, np.full(len(logits), "hand"), (logits > np.median(logits)).astype(np.int64), logits
    )


def test_the_gate_lets_the_exported_ensemble_pass_and_stops_one_of_its_members_alone(
    exported: Path, tmp_path: Path
) -> None:
    reference = scored(OrtBackend(ModelFiles(exported.read_bytes())))
    middle = 1 / (1 + np.exp(-np.median(reference.logits)))
    points = OperatingPoints(middle, middle)
    assert gate(reference, reference, points, Margins(), 0.95).passed
    export(exported.parent / "vit.pt", tmp_path, UNSEEN)
    alone = scored(OrtBackend(ModelFiles((tmp_path / "model.onnx").read_bytes())))
    candidate = Predictions(
        reference.case_ids, reference.patient_ids, reference.body_parts, reference.labels, alone.logits
    )
    assert not gate(reference, candidate, points, Margins(), 0.95).passed


def test_an_ensemble_is_not_pruned(folder: Path, tmp_path: Path) -> None:
    images = PruneData(spots(8, SIZE_PX, 1), spots(8, SIZE_PX, 2))
    with pytest.raises(RecipeError, match="ensemble cannot be pruned"):
        prune(folder / "network.pt", tmp_path, PruneOptions(), images)


def test_everything_that_is_wrong_with_the_members_is_said_at_once(folder: Path, tmp_path: Path) -> None:
    save_network(random_network("cnn", 32), tmp_path / "small.pt")
    (tmp_path / "cut.pt").write_bytes((folder / "cnn.pt").read_bytes()[:999])
    paths = [
        folder / "cnn.pt",
        tmp_path / "cut.pt",
        tmp_path / "small.pt",
        folder / "network.pt",
        folder / "cnn.pt",
    ]
    with pytest.raises(StepError, match="4 problems") as caught:
        make_ensemble(paths, tmp_path)
    for words in ("cut.pt", "small.pt reads 32 px", "is an ensemble itself", "is the same as"):
        assert words in str(caught.value)
    assert not (tmp_path / "network.pt").exists()


def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(ensemble_verb)
    return made


def test_the_verb_writes_an_ensemble_and_its_record(folder: Path, tmp_path: Path) -> None:
    words = [str(folder / "cnn.pt"), str(folder / "vit.pt"), "--out", str(tmp_path / "both")]
    done = CliRunner().invoke(app(), words)
    assert done.exit_code == 0, done.output
    assert "2 networks, input 64 px" in done.stdout
    assert len(load_network(tmp_path / "both" / "network.pt").members) == 2
    record = json.loads((tmp_path / "both" / "step.json").read_text())
    assert (record["artifact"]["step"], len(record["parents"])) == ("ensemble", 2)
    assert CliRunner().invoke(app(), words).exit_code == 0


def test_the_verb_replaces_an_ensemble_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    words = [str(folder / "cnn.pt"), str(folder / "vit.pt"), "--out", str(tmp_path / "mine")]
    done = CliRunner().invoke(app(), words)
    assert isinstance(done.exception, StepError)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_files_that_are_not_there_are_all_named(tmp_path: Path) -> None:
    words = [str(tmp_path / "a.pt"), str(tmp_path / "b.pt"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app(), words)
    assert isinstance(done.exception, StepError)
    assert "a.pt is no file" in str(done.exception) and "b.pt is no file" in str(done.exception)
