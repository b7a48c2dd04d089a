"""Every family through every quantizer, and through TensorRT's compiler: the answer must stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compress import zoo
from compress.lint import lint
from compress.lint.files import lint_file
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.compile_tensorrt import compile_tensorrt
from compress.steps.export_onnx import to_onnx
from compress.steps.graph import float_sums, load_graph
from compress.steps.openvino_tools import open_ir
from compress.steps.quantize import quantize
from compress.steps.stand_in import StandInBackend
from compress.steps.tensorrt_plan import TensorRtOptions
from compress.zoo.base import FractureNet
from compress.zoo.options import ModelOptions
from compress.zoo.traits import IMAGENET
from runtime.backends.base import Backend, ModelFiles
from runtime.backends.ort import OrtBackend
from tests.compress.networks import FAMILIES, small_options
from tests.compress.steps import graphs

SIZE_PX = 64
ENGINES = ("onnxruntime", "openvino", "tensorrt")
LAST_OF_BRANCH = ("bn3", "second.1")
SLOW = ("cnn_attention", "cnn_rnn", "densenet121", "efficientnet_lite0", "resnet18", "resnet50")
ENGINE_OF_DEEP = {"densenet121": "openvino", "efficientnet_lite0": "tensorrt", "resnet50": "onnxruntime"}
"""Each of them through one, each engine one of them: all nine take as long as every other family together."""
RTX = TensorRtOptions(library="tensorrt_rtx", capabilities=("sm89",))
IMAGES = graphs.images(40, seed=5, size_px=SIZE_PX)
QUANTIZED = [
    pytest.param(name, engine, marks=pytest.mark.slow) if name in SLOW else (name, engine)
    for name in FAMILIES
    if name != "cnn"  # test_quantize.py has it
    for engine in ENGINES
    if ENGINE_OF_DEEP.get(name, engine) == engine
]
COMPILED = [one for one in FAMILIES if one not in ("cnn", "densenet121", "resnet50")]


def as_after_training(name: str) -> FractureNet:
    """Statistics are those of images like the calibration's, and what is added to an identity is small beside
    it: in a deep network of equal random branches any rounding grows from block to block.
    """
    torch.manual_seed(0)
    if name == "efficientnet_lite0":  # without training its many ReLU6 clip nearly everything
        return zoo.build(ModelOptions(name, weights=IMAGENET), SIZE_PX)
    network = zoo.build(small_options(name), SIZE_PX)
    for path, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            scale = 0.3 if path.endswith(LAST_OF_BRANCH) else 1.0
            nn.init.uniform_(layer.weight, 0.5 * scale, 1.5 * scale)
            nn.init.normal_(layer.bias, std=0.3)
            layer.momentum = None
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(IMAGES))
    return network.eval()


class Workshop:
    """What is made of a family once for all tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def exported(self, name: str) -> Path:
        path = self._folder / f"{name}.onnx"
        if not path.exists():
            path.write_bytes(to_onnx(as_after_training(name)).SerializeToString())
        return path

    def quantized(self, name: str, engine: str) -> Path:
        """Its folder."""
        folder = self._folder / f"{name}-{engine}"
        if not folder.exists():
            exported = self.exported(name)
            folder.mkdir()
            facts = quantize(exported, folder, calibration(), TargetOptions(engine)).facts
            assert facts["quantized_share"] > 0.5
        return folder


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("families"))


def calibration() -> CalibrationData:
    return CalibrationData(IMAGES[:32], tuple(f"case-{number}" for number in range(32)))


def open_output(engine: str, folder: Path) -> Backend:
    if engine == "openvino":
        return open_ir(folder / "model.xml")
    data = (folder / "model.onnx").read_bytes()
    return OrtBackend(ModelFiles(data)) if engine == "onnxruntime" else StandInBackend(data)


@pytest.mark.parametrize(("name", "engine"), QUANTIZED)
def test_eight_bits_do_most_of_the_work_and_keep_the_answer(
    name: str, engine: str, workshop: Workshop
) -> None:
    folder = workshop.quantized(name, engine)
    assert lint_file(next(folder.glob("model.[ox]*")), engine) == ()
    unseen = {"image": IMAGES[32:]}
    wanted = OrtBackend(ModelFiles(workshop.exported(name).read_bytes())).infer(unseen)
    got = open_output(engine, folder).infer(unseen)
    assert np.isfinite(got["logit"]).all()
    # 50 layers and more that no fracture has trained, before a map of 2 x 2 cells: rounding adds up.
    least, most = (0.85, 0.2) if name in ENGINE_OF_DEEP else (0.93, 0.1)
    assert np.corrcoef(wanted["map"].ravel(), got["map"].ravel())[0, 1] > least
    assert np.abs(wanted["logit"] - got["logit"]).max() < most * float(np.ptp(wanted["map"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_tensorrt_compiles_both_precisions(name: str, workshop: Workshop, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    for folder in ("float", "int8"):
        (tmp_path / folder).mkdir()
    quantized = workshop.quantized(name, "tensorrt") / "model.onnx"
    assert lint(load_graph(quantized), "tensorrt") == ()
    floating = compile_tensorrt(workshop.exported(name), tmp_path / "float", RTX)
    eight = compile_tensorrt(quantized, tmp_path / "int8", RTX)
    assert (floating.facts["precision"], eight.facts["precision"]) == ("fp32", "int8")


@pytest.mark.parametrize(
    ("name", "kept"),
    [("rnn", True), ("vit", True), ("cnn", False), ("unet", False), ("efficientnet_lite0", False)],
)
def test_only_sums_of_scans_and_attention_stay_in_float(name: str, kept: bool) -> None:
    model = to_onnx(as_after_training(name))
    head = {node.name for node in model.graph.node[-12:]}
    assert bool(set(float_sums(model)) - head) is kept
