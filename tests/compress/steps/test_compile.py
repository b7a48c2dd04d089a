"""ONNX Runtime's optimised graph and OpenVINO's IR, opened as a box would."""

from __future__ import annotations

import logging

import onnx
import pytest

from compress.options.target import TargetOptions
from compress.steps.compile_openvino import compile_openvino
from compress.steps.compile_ort import compile_ort
from compress.steps.fidelity import Fidelity, compare_backends, snr_db
from compress.steps.graph import load_graph
from compress.steps.openvino_tools import open_ir
from compress.steps.probe import probe_images, require_same
from compress.steps.quantize import quantize
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import ExportMismatchError, StepError
from tests.compress.steps import graphs

CONVOLUTIONS = graphs.count(graphs.residual(), "Conv")


@pytest.fixture(scope="module")
def quantized(source, tmp_path_factory):
    folders = {}
    for engine in ("onnxruntime", "openvino"):
        folders[engine] = tmp_path_factory.mktemp(engine)
        quantize(source, folders[engine], graphs.calibration(), TargetOptions(engine))
    return folders


def test_the_optimised_graph_answers_like_its_source_with_fewer_nodes(source, tmp_path):
    output = compile_ort(source, tmp_path, graphs.images(4))
    facts = output.facts
    assert [path.name for path in tmp_path.iterdir()] == [output.main]
    assert facts["node_count"] < facts["nodes_before"]
    assert facts["parity"]["map_snr_db"] > 80


def test_the_optimised_int8_graph_computes_in_integers(quantized, tmp_path):
    output = compile_ort(quantized["onnxruntime"] / "model.onnx", tmp_path)
    assert output.facts["nodes"]["QLinearConv"] == CONVOLUTIONS - 1
    assert output.facts["kernels"]["map_snr_db"] > 30
    images = graphs.images(6, seed=3)
    pair = [
        OrtBackend(ModelFiles((folder / "model.onnx").read_bytes()))
        for folder in (quantized["onnxruntime"], tmp_path)
    ]
    assert compare_backends(*pair, images).map_snr_db > 60


def test_the_optimised_graph_is_not_tied_to_this_processor(source, quantized, tmp_path):
    for number, path in enumerate((source, quantized["onnxruntime"] / "model.onnx")):
        folder = tmp_path / str(number)
        folder.mkdir()
        compile_ort(path, folder)
        domains = {node.domain for node in load_graph(folder / "model.onnx").graph.node}
        assert domains <= {"", "com.microsoft"}


def test_ort_gives_the_same_bytes_twice(source, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        compile_ort(source, tmp_path / name)
    assert (tmp_path / "a/model.onnx").read_bytes() == (tmp_path / "b/model.onnx").read_bytes()


def test_ort_names_what_it_cannot_optimise(source, tmp_path):
    model = load_graph(source)
    model.graph.node[0].op_type = "NoSuchOperator"
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(StepError, match=r"cannot optimise bad\.onnx: .*NoSuchOperator"):
        compile_ort(path, tmp_path, graphs.images(4))
    assert [item.name for item in tmp_path.iterdir()] == ["bad.onnx"]


def test_the_ir_answers_like_the_graph_and_keeps_full_precision(source, tmp_path):
    output = compile_openvino(source, tmp_path, graphs.images(4))
    weights = sum(
        t.dims and onnx.numpy_helper.to_array(t).nbytes for t in load_graph(source).graph.initializer
    )
    assert (output.main, output.companions) == ("model.xml", ("model.bin",))
    assert output.facts["parity"]["map_snr_db"] > 80
    assert (tmp_path / "model.bin").stat().st_size > 0.9 * weights


def test_the_ir_says_nothing_of_where_and_when_it_was_made(source, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        compile_openvino(source, tmp_path / name)
    first, second = ((tmp_path / name / "model.xml").read_text() for name in "ab")
    assert first == second
    assert str(source.parent) not in first
    assert "conversion_parameters" not in first


def test_a_quantized_ir_is_compiled_as_it_is(quantized, tmp_path):
    path = quantized["openvino"] / "model.xml"
    output = compile_openvino(path, tmp_path, graphs.images(4))
    assert output.facts["quantized_share"] == round(1 - 1 / CONVOLUTIONS, 4)
    assert compare_backends(open_ir(path), open_ir(tmp_path / "model.xml"), graphs.images(4)).map_snr_db > 60


def test_an_ir_without_samples_cannot_be_proved(quantized, tmp_path):
    with pytest.raises(StepError, match="samples are needed"):
        compile_openvino(quantized["openvino"] / "model.xml", tmp_path)


def test_openvino_refuses_what_is_no_model(tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(StepError, match=r"bad\.onnx"):
        compile_openvino(path, tmp_path, graphs.images(4))


def test_probes_are_the_same_every_time_and_fit_the_graph(source):
    images = probe_images(source)
    assert images.shape == (4, 1, graphs.SIZE_PX, graphs.SIZE_PX)
    assert (images == probe_images(source)).all()


def test_a_compiled_form_that_answers_otherwise_is_refused():
    bad = Fidelity(logit_snr_db=80, map_snr_db=12.5, logit_max_error=0, map_max_error=1, images=4)
    with pytest.raises(ExportMismatchError, match=r"map 12\.5 dB"):
        require_same(bad, "model.onnx")


def test_signal_to_noise_counts_differences_between_images_only():
    reference = graphs.images(4)
    assert snr_db(reference, reference) == 150
    assert snr_db(reference, reference * 1.1) == pytest.approx(20, abs=1)
    assert snr_db(reference + 100, reference + 100.1) == pytest.approx(
        snr_db(reference, reference + 0.1), abs=0.1
    )
    assert snr_db(reference * 0 + 5, reference * 0 + 5.1) == -150


def test_an_answer_that_is_not_finite_is_no_answer(source):
    backend = OrtBackend(ModelFiles(source.read_bytes()))
    images = graphs.images(2)
    images[1] = float("nan")
    with pytest.raises(ExportMismatchError, match="not finite"):
        compare_backends(backend, backend, images)


def test_a_conversion_that_openvino_refuses_leaves_what_may_be_logged_as_it_was(source, tmp_path):
    level = logging.getLogger().level
    model = load_graph(source)
    model.graph.node[0].op_type = "NoSuchOperator"
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(StepError, match="NoSuchOperator"):
        compile_openvino(path, tmp_path, graphs.images(4))
    assert logging.getLogger().level == level
