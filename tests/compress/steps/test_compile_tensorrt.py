"""Real ahead-of-time builds with TensorRT for RTX, which needs no GPU."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import onnx
import onnx.reference
import onnx.version_converter
import pytest
from onnx import helper

from compress.artifact import STATUS_DEFERRED, STATUS_OK
from compress.options.target import TargetOptions
from compress.pruning.two_four import sparsify
from compress.steps.compile_tensorrt import choose_library, compile_tensorrt, gpu_count
from compress.steps.export_onnx import to_onnx
from compress.steps.graph import load_graph
from compress.steps.quantize import quantize
from compress.steps.sparse import has_sparse_layers
from compress.steps.stand_in import PLAN_FILE, numerics_stand_in, open_stand_in
from compress.steps.tensorrt_plan import TensorRtOptions
from runtime.backends.base import ModelFiles
from runtime.backends.cuda import GpuFacts
from runtime.backends.ort import OrtBackend
from runtime.backends.registry import open_backend
from runtime.bundle import EngineEntry
from runtime.device_engine import PLAN_NAME, device_engine
from runtime.engine_store import EngineStore
from runtime.errors import BackendError, BackendMissingError, DeviceUnavailableError, RecipeError, StepError
from runtime.trt_build.place import BuildPlace
from tests.compress.networks import random_network
from tests.compress.steps import graphs
from tests.runtime import kit

RTX = TensorRtOptions(library="tensorrt_rtx", capabilities=("sm75", "sm89"))


@pytest.fixture(scope="module")
def qdq(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qdq")
    quantize(source, folder, graphs.calibration(), TargetOptions("tensorrt"))
    return folder / "model.onnx"


@pytest.fixture(scope="module")
def built(qdq, tmp_path_factory):
    pytest.importorskip("tensorrt_rtx")
    folder = tmp_path_factory.mktemp("engine")
    return folder, compile_tensorrt(qdq, folder, RTX)


def test_an_int8_engine_is_built_and_says_that_it_was_not_executed(built):
    folder, output = built
    facts = output.facts
    assert (output.status, output.format, output.main) == (STATUS_OK, "tensorrt_rtx", "model.engine")
    assert facts["engine_sha256"] == hashlib.sha256((folder / "model.engine").read_bytes()).hexdigest()
    assert facts["precision"] == "int8"
    assert facts["capabilities"] == ["sm75", "sm89"]
    assert facts["layers"]["QUANTIZE"] >= 9
    assert facts["tensors"]["logit"] == ["FLOAT", [-1, 1]]
    assert facts["executed_here"] is False
    assert facts["tf32"] is False


def test_the_engine_reaches_the_runtime_which_wants_a_gpu(built):
    if gpu_count() > 0:
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceUnavailableError):
        open_backend("tensorrt_rtx", ModelFiles((built[0] / "model.engine").read_bytes()))
    with pytest.raises(BackendError):
        open_backend("tensorrt_rtx", ModelFiles(b"no engine"))


def test_a_float_graph_is_built_without_int8(source, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    output = compile_tensorrt(source, tmp_path, RTX)
    assert output.facts["precision"] == "fp32"
    assert "QUANTIZE" not in output.facts["layers"]
    assert "executed_here" in output.facts


def test_the_stand_in_is_the_very_graph_that_was_compiled(built, qdq):
    folder = built[0]
    assert numerics_stand_in(folder).read_bytes() == qdq.read_bytes()
    backend = open_stand_in(folder)
    images = graphs.images(3, seed=4)
    model = onnx.version_converter.convert_version(load_graph(qdq), 19)
    expected = onnx.reference.ReferenceEvaluator(model).run(["logit", "map"], {"image": images[:1]})
    got = backend.infer({"image": images[:1]})
    np.testing.assert_allclose(got["logit"], expected[0], atol=1e-3)
    # A value on the border between two steps may fall to either side.
    assert np.mean(np.abs(got["map"] - expected[1]) > 0.01) < 0.02


def test_the_stand_in_refuses_another_graph(source, tmp_path):
    compile_tensorrt(source, tmp_path, TensorRtOptions(library="device"))
    with (tmp_path / "source.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(StepError, match="not the graph that was compiled"):
        numerics_stand_in(tmp_path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(StepError, match=r"holds no source\.onnx with its plan\.json"):
        numerics_stand_in(tmp_path)


def test_a_build_left_to_the_device_is_not_ok_and_says_how(qdq, tmp_path):
    output = compile_tensorrt(qdq, tmp_path, TensorRtOptions(library="device", max_batch=2))
    assert output.status == STATUS_DEFERRED
    assert (output.main, output.companions, output.format) == ("source.onnx", ("plan.json",), "onnx")
    plan = json.loads((tmp_path / "plan.json").read_text())
    size = graphs.SIZE_PX
    assert plan["onnx_sha256"] == hashlib.sha256(qdq.read_bytes()).hexdigest()
    assert plan["shapes"]["image"] == {
        "min": [1, 1, size, size],
        "opt": [1, 1, size, size],
        "max": [2, 1, size, size],
    }
    assert "--stronglyTyped" in plan["commands"]["tensorrt 10 and later"]
    assert "--int8" in plan["commands"]["tensorrt 8 and 9"]
    assert all(f"--maxShapes=image:2x1x{size}x{size}" in line for line in plan["commands"].values())


def test_what_is_left_to_the_device_is_built_from_the_bundle_by_its_own_plan(qdq, tmp_path):
    version = pytest.importorskip("tensorrt_rtx").__version__
    folder = tmp_path / "step"
    folder.mkdir()
    output = compile_tensorrt(qdq, folder, TensorRtOptions(library="device", max_batch=2))
    entry = EngineEntry("tensorrt_rtx", "int8", f"models/rtx/{output.main}", status=output.status)
    files = {f"models/rtx/{name}": (folder / name).read_bytes() for name in (output.main, *output.companions)}
    bundle = kit.make(tmp_path / "bundle", kit.Contents((entry,), files=files))
    place = BuildPlace("tensorrt_rtx", version, GpuFacts("RTX 4000 Ada", "8.9", "13.0"))
    made = device_engine(bundle, entry, EngineStore(tmp_path / "store"), place=place)
    shape = (1, 1, graphs.SIZE_PX, graphs.SIZE_PX)
    assert made.record.key.spec.shapes["image"] == {"min": shape, "opt": shape, "max": (2, *shape[1:])}
    assert made.record.key.spec.precision == "int8"
    assert made.record.key.model_sha256 == hashlib.sha256(qdq.read_bytes()).hexdigest()
    assert (PLAN_FILE, made.built) == (PLAN_NAME, True)


def test_two_four_sparsity_outlives_quantization_and_is_told_to_the_builder(tmp_path):
    pytest.importorskip("tensorrt_rtx")
    network = random_network("cnn", graphs.SIZE_PX)
    sparsify(network)
    (tmp_path / "float.onnx").write_bytes(to_onnx(network).SerializeToString())
    quantize(tmp_path / "float.onnx", tmp_path, graphs.calibration(), TargetOptions("tensorrt"))
    assert has_sparse_layers(load_graph(tmp_path / "model.onnx"))
    (tmp_path / "engine").mkdir()
    output = compile_tensorrt(
        tmp_path / "model.onnx", tmp_path / "engine", replace(RTX, capabilities=("sm89",))
    )
    plan = json.loads((tmp_path / "engine" / "plan.json").read_text())
    assert plan["sparse"] and output.facts["sparse"]
    assert "--sparsity=enable" in plan["commands"]["tensorrt 10 and later"]


def test_a_dense_graph_is_built_as_such(built):
    assert built[1].facts["sparse"] is False


def test_unsigned_zero_points_are_refused_before_anything_is_compiled(source, tmp_path):
    (tmp_path / "ort").mkdir()
    quantize(source, tmp_path / "ort", graphs.calibration(), TargetOptions("onnxruntime"))
    (tmp_path / "trt").mkdir()
    with pytest.raises(StepError, match="zero point of type UINT8, must be INT8"):
        compile_tensorrt(tmp_path / "ort" / "model.onnx", tmp_path / "trt")
    assert list((tmp_path / "trt").iterdir()) == []


def test_a_family_of_gpus_that_cannot_run_the_graph_is_left_out_and_named(tmp_path):
    pytest.importorskip("tensorrt_rtx")
    model = to_onnx(random_network("ann", 64))
    path = tmp_path / "ann.onnx"
    path.write_bytes(model.SerializeToString())
    # Turing has no FP32 product of matrices in TensorRT for RTX; Ada has.
    (tmp_path / "trt").mkdir()
    output = compile_tensorrt(path, tmp_path / "trt", RTX)
    assert output.facts["capabilities"] == ["sm89"]
    assert list(output.facts["refused_capabilities"]) == ["sm75"]
    assert output.facts["refused_capabilities"]["sm75"]
    assert json.loads((tmp_path / "trt" / "plan.json").read_bytes())["capabilities"] == ["sm89"]


def test_a_node_that_tensorrt_does_not_take_is_named(source, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    model = load_graph(source)
    last = model.graph.node[-1]
    last.output[0] = "before"
    model.graph.node.append(helper.make_node("Det", ["before"], ["logit"], name="the_odd_one"))
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(StepError, match=r"tensorrt_rtx [\d.]+ refuses the graph: .*the_odd_one"):
        compile_tensorrt(path, tmp_path, RTX)


def test_a_build_that_takes_too_long_is_ended(qdq, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    with pytest.raises(StepError, match=r"tensorrt_rtx gave no answer within 0\.01 s"):
        compile_tensorrt(qdq, tmp_path, TensorRtOptions(library="tensorrt_rtx", timeout_s=0.01))


@pytest.mark.parametrize(
    "options",
    [
        TensorRtOptions(library="openvino"),
        TensorRtOptions(capabilities=("sm42",)),
        TensorRtOptions(capabilities=()),
        TensorRtOptions(max_batch=0),
    ],
    ids=["library", "capability", "no capability", "batch"],
)
def test_options_that_make_no_sense_are_refused(options, source, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    with pytest.raises(RecipeError):
        compile_tensorrt(source, tmp_path, options)


def test_a_library_asked_for_by_name_is_not_replaced_by_another():
    pytest.importorskip("tensorrt_rtx")
    assert choose_library("device") is None
    assert choose_library("tensorrt_rtx", gpu=False) == "tensorrt_rtx"
    with pytest.raises((BackendMissingError, DeviceUnavailableError)):
        choose_library("tensorrt", gpu=False)


def test_the_stand_in_computes_like_the_float_graph_where_nothing_is_quantized(source, tmp_path):
    compile_tensorrt(source, tmp_path, TensorRtOptions(library="device"))
    images = graphs.images(2)
    ours = open_stand_in(tmp_path).infer({"image": images})
    theirs = OrtBackend(ModelFiles(source.read_bytes())).infer({"image": images})
    np.testing.assert_allclose(ours["map"], theirs["map"], atol=1e-4)
