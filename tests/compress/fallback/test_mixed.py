"""Groups of really quantized graphs, put back to float, on every target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from compress.fallback.groups import Link, groups_of
from compress.fallback.mixed import Mixer, mixed_backend, open_mixer
from compress.fallback.rank import measure_ranking
from compress.options.target import TargetOptions
from compress.steps.quantize import quantize
from compress.targets import TARGETS, Target
from runtime.backends.base import Backend, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError
from tests.compress.fallback.spoilt import SPOILT, spoilt_bytes
from tests.compress.steps import graphs

IMAGES = graphs.images(12, seed=5)


@dataclass(frozen=True)
class Quantized:
    """A quantized network and the float one's answers."""

    source: Path
    path: Path
    mixer: Mixer
    target: Target
    logits: NDArray[np.float64]

    def error(self, names: tuple[str, ...]) -> float:
        with mixed_backend(self.mixer, names, self.target) as backend:
            return float(np.mean((logits_of(backend) - self.logits) ** 2))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(group.name for group in self.mixer.groups)


def logits_of(backend: Backend) -> NDArray[np.float64]:
    return np.array([backend.infer({"image": image[None]})["logit"][0, 0] for image in IMAGES], np.float64)


def quantized(engine: str, network: bytes, folder: Path) -> Quantized:
    source = folder / "source.onnx"
    source.write_bytes(network)
    output = quantize(source, folder, graphs.calibration(), TargetOptions(engine))
    mixer = open_mixer(source, folder / output.main)
    logits = logits_of(OrtBackend(ModelFiles(network)))
    return Quantized(source, folder / output.main, mixer, TARGETS[engine], logits)


@pytest.fixture(scope="module", params=["onnxruntime", "openvino", "tensorrt"])
def spoilt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    return quantized(request.param, spoilt_bytes(), tmp_path_factory.mktemp(request.param))


def test_the_convolution_that_int8_destroys_is_found_and_the_graph_recovers(spoilt: Quantized) -> None:
    ranking = measure_ranking(spoilt.names, spoilt.error, len(IMAGES))
    worst = ranking.damages[0]
    assert worst.group.removesuffix("/WithoutBiases") == SPOILT
    assert worst.error < 0.1 * ranking.plain_error
    assert worst.error < 0.1 * ranking.damages[1].error


def test_with_every_group_back_the_graph_is_the_float_one(spoilt: Quantized) -> None:
    assert spoilt.error(spoilt.names) < 1e-9


def test_with_no_group_back_the_graph_answers_as_it_did(spoilt: Quantized) -> None:
    assert spoilt.error(()) > 0.01 * np.var(spoilt.logits)


def test_the_same_groups_give_the_same_bytes_and_leave_the_quantized_file_alone(
    spoilt: Quantized, tmp_path: Path
) -> None:
    before = spoilt.path.read_bytes()
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        mixer = open_mixer(spoilt.source, spoilt.path)
        mixer.write(spoilt.names[:2], folder)
    written = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert written[0] == written[1]
    assert spoilt.path.read_bytes() == before


def test_every_unknown_group_is_named(spoilt: Quantized, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="no quantized group abacus, sundial"):
        spoilt.mixer.write(("abacus", "sundial"), tmp_path)


def test_an_activation_that_the_quantizer_left_to_its_range_stands_again(tmp_path: Path) -> None:
    made = quantized("onnxruntime", graphs.depthwise_bytes(), tmp_path)
    assert graphs.count(onnx.load(made.path), "Clip") == 0
    (tmp_path / "mixed").mkdir()
    made.mixer.write(made.names, tmp_path / "mixed")
    mixed = onnx.load(tmp_path / "mixed" / "model.onnx")
    onnx.checker.check_model(mixed, full_check=True)
    assert graphs.count(mixed, "Clip") == 3
    assert graphs.count(mixed, "QuantizeLinear") == 0
    assert made.error(made.names) < 1e-9


def test_a_shared_quantizer_belongs_to_the_layer_that_reads_it_itself() -> None:
    links = [
        Link("first", "Conv", ("image",), ("a",), computing=True),
        Link("pair", "FakeQuantize", ("a",), ("q",), pair=True),
        Link("second", "Conv", ("q",), ("b",), computing=True, quantized=(0,)),
        Link("pair of second", "FakeQuantize", ("b",), ("r",), pair=True),
        Link("sum", "Add", ("q", "r"), ("c",), quantized=(0, 1)),
        Link("pair of sum", "FakeQuantize", ("c",), ("s",), pair=True),
        Link("third", "Conv", ("s",), ("d",), computing=True, quantized=(0,)),
    ]
    found = {group.name: [(item.node, item.index) for item in group.readings] for group in groups_of(links)}
    assert found == {"second": [("second", 0), ("sum", 0)], "third": [("sum", 1), ("third", 0)]}
