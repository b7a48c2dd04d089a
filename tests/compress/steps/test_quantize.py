"""The three recipes, with the real quantizers and engines."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from compress.artifact import StepOutput
from compress.lint import errors_of, lint
from compress.options.target import TargetOptions
from compress.steps.graph import load_graph
from compress.steps.openvino_tools import open_ir
from compress.steps.quantize import quantize
from compress.steps.quantize_openvino import quantize_openvino
from compress.steps.quantize_ort import decide_range, quantize_ort
from compress.steps.stand_in import StandInBackend
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import RecipeError
from tests.compress.steps import graphs

ENGINES = ("onnxruntime", "openvino", "tensorrt")
CONVOLUTIONS = graphs.count(graphs.residual(), "Conv")
SUMS = graphs.count(graphs.residual(), "Add") - 1  # the last one belongs to the head


@pytest.fixture(scope="module")
def outputs(source, tmp_path_factory) -> dict[str, tuple[Path, StepOutput]]:
    made = {}
    for engine in ENGINES:
        folder = tmp_path_factory.mktemp(engine)
        made[engine] = (folder, quantize(source, folder, graphs.calibration(48), TargetOptions(engine)))
    return made


def open_output(engine: str, folder: Path):
    if engine == "openvino":
        return open_ir(folder / "model.xml")
    data = (folder / "model.onnx").read_bytes()
    return OrtBackend(ModelFiles(data)) if engine == "onnxruntime" else StandInBackend(data)


@pytest.mark.parametrize("engine", ENGINES)
def test_nearly_all_convolutions_are_quantized_and_the_head_is_not(engine, outputs):
    facts = outputs[engine][1].facts
    assert facts["compute_nodes"] == CONVOLUTIONS
    assert facts["quantized_share"] == round(1 - 1 / CONVOLUTIONS, 4)
    assert facts["float_nodes"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_answer_on_unseen_images_survives_at_any_batch_size(engine, outputs, source):
    images = graphs.images(24, seed=77)
    reference = OrtBackend(ModelFiles(source.read_bytes())).infer({"image": images})
    backend = open_output(engine, outputs[engine][0])
    together = backend.infer({"image": images})
    apart = np.concatenate([backend.infer({"image": image[None]})["logit"] for image in images])
    assert np.corrcoef(reference["logit"].ravel(), together["logit"].ravel())[0, 1] > 0.98
    assert np.corrcoef(reference["map"].ravel(), together["map"].ravel())[0, 1] > 0.98
    np.testing.assert_allclose(together["logit"], apart, atol=0.02)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_facts_say_what_was_done_with_which_images(engine, outputs):
    folder, output = outputs[engine]
    facts = output.facts
    assert facts["calibration_images"] == 48
    assert facts["calibration_digest"] == graphs.calibration(48).digest
    assert facts["size_bytes"] == sum((folder / n).stat().st_size for n in (output.main, *output.companions))
    assert facts["fidelity"]["map_snr_db"] > 15
    assert all(facts["versions"].values())


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_but_the_named_files_is_left_and_the_source_is_as_it_was(engine, outputs, source):
    folder, output = outputs[engine]
    assert {path.name for path in folder.iterdir()} == {output.main, *output.companions}
    assert source.read_bytes() == graphs.residual_bytes()
    assert [path.name for path in source.parent.iterdir()] == ["model.onnx"]


def test_onnxruntime_gets_unsigned_activations_and_signed_weights(outputs):
    model = load_graph(outputs["onnxruntime"][0] / "model.onnx")
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert {values[node.input[2]].data_type for node in pairs} == {TensorProto.UINT8}
    weights = [
        values[node.input[0]]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in values
        and len(values[node.input[0]].dims) == 4
    ]
    assert len(weights) == CONVOLUTIONS - 1
    assert {weight.data_type for weight in weights} == {TensorProto.INT8}


def test_tensorrt_gets_a_graph_that_its_lint_passes(outputs):
    model = load_graph(outputs["tensorrt"][0] / "model.onnx")
    assert lint(model, "tensorrt") == ()
    assert [item.domain for item in model.opset_import] == [""]
    assert errors_of(lint(load_graph(outputs["onnxruntime"][0] / "model.onnx"), "tensorrt")) != ()


def test_tensorrt_sums_the_convolution_directly_with_the_quantized_identity(outputs):
    """So that convolution, addition and activation become one kernel."""
    graph = load_graph(outputs["tensorrt"][0] / "model.onnx").graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    shapes = {tensor.name for tensor in graph.initializer}
    sums = [node for node in graph.node if node.op_type == "Add" and not shapes.intersection(node.input)]
    residual = [sorted(makers[name] for name in node.input) for node in sums[:SUMS]]
    assert residual == [["Conv", "DequantizeLinear"]] * SUMS


def test_tensorrt_weights_have_a_scale_for_each_channel(outputs):
    graph = load_graph(outputs["tensorrt"][0] / "model.onnx").graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    convs = [node for node in graph.node if node.op_type == "Conv" and node.input[1] in makers]
    assert len(convs) == CONVOLUTIONS - 1
    for node in convs:
        pair = makers[node.input[1]]
        weights = values[makers[pair.input[0]].input[0]]
        assert values[pair.input[1]].shape == (weights.shape[0],)


def test_the_same_input_gives_the_same_bytes(source, tmp_path, outputs):
    for engine in ("onnxruntime", "tensorrt"):
        (tmp_path / engine).mkdir()
        quantize(source, tmp_path / engine, graphs.calibration(48), TargetOptions(engine))
        assert (tmp_path / engine / "model.onnx").read_bytes() == (
            outputs[engine][0] / "model.onnx"
        ).read_bytes()


def test_seven_bit_weights_where_eight_would_saturate(source, tmp_path):
    output = quantize_ort(
        source, tmp_path, graphs.calibration(), TargetOptions("onnxruntime"), reduce_range=True
    )
    graph = load_graph(tmp_path / "model.onnx").graph
    weights = [
        numpy_helper.to_array(t)
        for t in graph.initializer
        if t.data_type == TensorProto.INT8 and len(t.dims) == 4
    ]
    assert len(weights) == CONVOLUTIONS - 1
    assert max(int(np.abs(weight.astype(int)).max()) for weight in weights) == 64
    assert output.facts["reduce_range"] is True
    assert output.facts["may_saturate_on"] == ""


def test_openvino_halves_the_range_of_weights_there_too(source, tmp_path, outputs):
    options = TargetOptions("openvino")
    facts = quantize_openvino(source, tmp_path, graphs.calibration(), options, reduce_range=True).facts
    assert facts["reduce_range"] is True
    assert facts["fidelity"]["map_snr_db"] > 10
    weights = [(folder / "model.bin").read_bytes() for folder in (tmp_path, outputs["openvino"][0])]
    assert weights[0] != weights[1]


@pytest.mark.parametrize(
    ("flags", "reduced"),
    [
        (("avx", "avx2", "fma"), True),
        (("avx2", "avx512f"), True),
        (("avx2", "avx512f", "avx512_vnni"), False),
        (("avx2", "avx_vnni"), False),
        (("asimd", "asimddp"), False),
        ((), False),
    ],
    ids=["Haswell", "Skylake-X", "Cascade Lake", "Alder Lake", "ARM", "unknown"],
)
def test_the_processor_decides_between_seven_and_eight_bits(flags, reduced):
    decision = decide_range(flags)
    assert decision.reduce_range is reduced
    assert decide_range(flags, wanted=not reduced).reduce_range is not reduced


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_other_methods_give_other_ranges(method, source, tmp_path, outputs):
    quantize(source, tmp_path, graphs.calibration(48), TargetOptions("onnxruntime", method=method))
    ours, theirs = (load_graph(folder / "model.onnx") for folder in (tmp_path, outputs["onnxruntime"][0]))
    assert Counter(node.op_type for node in ours.graph.node) == Counter(
        node.op_type for node in theirs.graph.node
    )
    assert ours.SerializeToString() != theirs.SerializeToString()


def test_an_unknown_engine_is_refused(source, tmp_path):
    with pytest.raises(RecipeError, match="no target 'abacus'"):
        quantize(source, tmp_path, graphs.calibration(), TargetOptions("abacus"))


def test_a_network_with_depthwise_layers_survives_too(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(graphs.depthwise_bytes())
    onnx.checker.check_model(str(path))
    for engine in ("onnxruntime", "tensorrt"):
        folder = tmp_path / engine
        folder.mkdir()
        facts = quantize(path, folder, graphs.calibration(), TargetOptions(engine)).facts
        assert facts["fidelity"]["map_snr_db"] > 15


_QUIET = """
import sys
calls = []
WATCHED = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, args: calls.append(event) if event in WATCHED else None)
from pathlib import Path
from compress.options.target import TargetOptions
from compress.steps.quantize import quantize
from tests.compress.steps import graphs
quantize(Path(sys.argv[1]), Path(sys.argv[2]), graphs.calibration(), TargetOptions("openvino"))
import nncf.telemetry.wrapper
assert type(nncf.telemetry.wrapper.telemetry).__name__ != "NNCFTelemetry"
assert calls == [], calls
"""


def test_nncf_prints_nothing_and_calls_nobody(source, tmp_path):
    """In a process without pytest, in whose presence NNCF switches its telemetry off by itself."""
    command = [sys.executable, "-c", _QUIET, str(source), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
