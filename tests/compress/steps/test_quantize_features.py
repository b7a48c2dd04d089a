"""INT8 of the classical baselines: counts in eight bits, formulas in float, and the answers stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnx.parser
import pytest

from compress.classical.options import NAMES, ClassicalOptions
from compress.classical.train import train_classical
from compress.lint.files import lint_file
from compress.options.target import TargetOptions
from compress.steps.calibration import CalibrationData
from compress.steps.export_onnx import to_onnx
from compress.steps.graph import load_graph
from compress.steps.openvino_tools import open_ir
from compress.steps.quantize import quantize
from compress.steps.quantize_features import counting_nodes, formula_nodes, has_formulas
from compress.steps.stand_in import StandInBackend
from compress.training.data import LabelledTensors, TrainData
from compress.training.history import auroc
from runtime.backends.base import LOGIT_NAME, MAP_NAME, Backend, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec
from tests.compress.networks import small_network, spots

SIDE = 48
SMALL = ClassicalOptions(words=12, trees=12, depth=3, learning_rate=0.3, regularisation=0.01)
ENGINES = ("onnxruntime", "openvino", "tensorrt")
COUNTING = 2
"""Convolutions that count, one for each distance of GLCM."""


def smooth_spots(count: int, seed: int) -> LabelledTensors:
    """As radiographs are, no mere noise and of 256 gray levels: pixels are equal, or clearly are not."""
    raw = spots(count, SIDE, seed)
    smooth = np.stack([cv2.blur(image[0], (3, 3))[None] for image in raw.tensors])
    gray = np.round((smooth + 1) * 127.5) / 127.5 - 1
    return LabelledTensors(gray.astype(np.float32), raw.labels, raw.masks)


DATA = TrainData(smooth_spots(64, 1), smooth_spots(32, 2), PreprocessSpec(size_px=SIDE))
UNSEEN = smooth_spots(48, 77)


def calibration() -> CalibrationData:
    """Without the brighter half of the gray levels: they count all the same."""
    tensors = np.minimum(DATA.calibration.tensors, np.float32(0))
    return CalibrationData(tensors, tuple(f"case-{number}" for number in range(32)))


def train(options: ClassicalOptions, folder: Path) -> Path:
    return folder / train_classical(options, DATA, 5, folder).main


@pytest.fixture(scope="module", params=NAMES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = replace(SMALL, name=request.param, operators="standard")
    return train(options, tmp_path_factory.mktemp(request.param))


def open_output(engine: str, folder: Path) -> Backend:
    if engine == "openvino":
        return open_ir(folder / "model.xml")
    data = (folder / "model.onnx").read_bytes()
    return OrtBackend(ModelFiles(data)) if engine == "onnxruntime" else StandInBackend(data)


def require_same_answers(float_graph: Path, backend: Backend) -> None:
    feed = {"image": UNSEEN.tensors}
    wanted, got = OrtBackend(ModelFiles(float_graph.read_bytes())).infer(feed), backend.infer(feed)
    assert auroc(wanted[LOGIT_NAME][:, 0], UNSEEN.labels) > 0.9
    np.testing.assert_allclose(got[LOGIT_NAME], wanted[LOGIT_NAME], atol=0.01)
    np.testing.assert_allclose(got[MAP_NAME], wanted[MAP_NAME], atol=0.01 * np.ptp(wanted[MAP_NAME]))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_counts_is_in_eight_bits_and_every_answer_stays(
    engine: str, trained: Path, tmp_path: Path
) -> None:
    facts = quantize(trained, tmp_path, calibration(), TargetOptions(engine)).facts

    assert facts["quantized_share"] == round(COUNTING / facts["compute_nodes"], 4)
    assert any(name.endswith("hog/Conv") for name in facts["float_nodes"])
    assert not set(facts["float_nodes"]) & set(counting_nodes(load_graph(trained)))
    require_same_answers(trained, open_output(engine, tmp_path))
    assert lint_file(next(tmp_path.glob("model.[ox]*")), engine) == ()


def test_trees_in_operators_of_onnx_runtime_keep_their_answers_too(tmp_path: Path) -> None:
    source = train(replace(SMALL, name="random_forest", operators="ml"), tmp_path)
    (tmp_path / "int8").mkdir()
    facts = quantize(source, tmp_path / "int8", calibration(), TargetOptions("onnxruntime")).facts

    assert facts["nodes"]["TreeEnsembleClassifier"] == 1
    require_same_answers(source, open_output("onnxruntime", tmp_path / "int8"))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_baseline_that_counts_nothing_is_refused_with_the_reason(engine: str, tmp_path: Path) -> None:
    source = train(replace(SMALL, name="logistic_regression", features=("hog", "lbp")), tmp_path)
    (tmp_path / "int8").mkdir()

    with pytest.raises(StepError, match="nothing in this graph suits eight bits"):
        quantize(source, tmp_path / "int8", calibration(), TargetOptions(engine))
    assert list((tmp_path / "int8").iterdir()) == []


@pytest.mark.parametrize("name", ["ann", "capsnet", "cnn", "rnn", "unet", "vit"])
def test_a_network_has_no_formulas(name: str) -> None:
    model = to_onnx(small_network(name))

    assert formula_nodes(model) == counting_nodes(model) == ()


def graph(body: str) -> onnx.ModelProto:
    """image -> a convolution `count` that gives the map."""
    return onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1, 1, 4, 4] image, float[1, 1, 1, 1] kernel, float edge) => (float[1, 1, 4, 4] map) {{
            {body}
            [count] map = Conv(planes, kernel)
        }}""")


@pytest.mark.parametrize(
    ("body", "formulas", "counting"),
    [
        ("b = GreaterOrEqual(image, edge) planes = Cast<to=1>(b)", True, ("count",)),
        ("b = GreaterOrEqual(image, edge) c = Cast<to=1>(b) planes = Sub(edge, c)", True, ("count",)),
        ("b = Less(image, edge) c = Cast<to=1>(b) planes = Mul(c, image)", True, ()),
        ("b = Less(image, edge) c = Cast<to=1>(b) planes = Concat<axis=1>(c, image)", True, ()),
        ("b = Less(image, edge) c = Cast<to=1>(b) planes = Identity(image)", True, ()),
        ("planes = Identity(image)", False, ()),
        ("s = Shape(image) b = Equal(s, s) planes = Identity(image)", False, ()),
    ],
    ids=["compared", "complement", "weighted", "joined with pixels", "beside it", "pixels", "shapes"],
)
def test_only_outcomes_of_comparisons_are_counted(
    body: str, formulas: bool, counting: tuple[str, ...]
) -> None:
    model = graph(body)

    assert has_formulas(model) is formulas
    assert counting_nodes(model) == counting
