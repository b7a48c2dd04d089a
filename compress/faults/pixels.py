"""The network meets other pixels than it learned on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from compress.artifact import StepOutput
from compress.faults import graphs
from compress.faults.bed import Bed
from compress.faults.fault import Fault
from compress.faults.swap import edited_graph, on_the_box, swapped_target
from compress.steps import openvino_tools
from compress.targets import TARGETS
from runtime.backends.base import INPUT_NAME
from runtime.preprocess import PreprocessSpec, place, value_range
from runtime.preprocess import preprocess as as_trained
from runtime.radiograph import Radiograph

_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
_IMAGENET_STD = np.array([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
"""Of pictures in RGB scaled to 0 to 1, as torchvision documents them."""

Prepared = tuple[NDArray[np.float32], object]


def _swap_channels(graph: onnx.ModelProto) -> None:
    """Normalised by ImageNet's figures in the order BGR, to a network that learned with RGB.

    On a gray picture the order shows in nothing but these figures.
    """
    joined = next(item for item in graph.graph.node if list(item.input) == [INPUT_NAME] * 3)
    tensor = joined.output[0]
    right, wrong = (slice(None),) * 2, (slice(None), slice(None, None, -1))
    gain = _IMAGENET_STD[right] / _IMAGENET_STD[wrong]
    shift = (_IMAGENET_MEAN[right] - _IMAGENET_MEAN[wrong]) / _IMAGENET_STD[wrong]
    graphs.before(
        graph,
        tensor,
        (
            graphs.node("Mul", (tensor, graphs.constant(graph, "bgr_gain", gain)), "bgr_scaled"),
            graphs.node(
                "Add", ("bgr_scaled", graphs.constant(graph, "bgr_shift", shift)), graphs.altered(tensor)
            ),
        ),
    )


def _channels(bed: Bed) -> AbstractContextManager[None]:
    return edited_graph("onnxruntime", _swap_channels)


@contextmanager
def _normalised_twice(bed: Bed) -> Iterator[None]:
    """OpenVINO's own preprocessing stage, as its converter makes it, with ImageNet's figures."""
    sound = TARGETS["openvino"].compile

    def compile_with_stage(source: Path, folder: Path, samples: NDArray[np.float32]) -> StepOutput:
        openvino = openvino_tools.load_openvino()
        stages = openvino.preprocess.PrePostProcessor(openvino_tools.read_model(source))
        stages.input(INPUT_NAME).preprocess().mean(0.485).scale(0.229)
        work = folder.parent / f"{folder.name}.staged"
        work.mkdir(exist_ok=True)
        return sound(openvino_tools.save(stages.build(), work), folder, samples)

    with swapped_target("openvino", compile=compile_with_stage):
        yield


def _with_nearest(radiograph: Radiograph, spec: PreprocessSpec) -> Prepared:
    """The same but for the interpolation: nearest neighbour loses every second row of a hairline."""
    spot = place(radiograph.height_px, radiograph.width_px, spec.size_px)
    size = max(1, round(radiograph.width_px * spot.scale)), max(1, round(radiograph.height_px * spot.scale))
    low, high = value_range(radiograph.pixels, spec.low_percentile, spec.high_percentile)
    resized = cv2.resize(radiograph.pixels.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    canvas = np.zeros((spec.size_px, spec.size_px), np.float32)
    inner = np.clip((resized - low) / (high - low), 0, 1)
    canvas[spot.top_px : spot.top_px + size[1], spot.left_px : spot.left_px + size[0]] = inner
    return ((canvas - spec.mean) / spec.std)[None, None].astype(np.float32), spot


def _stretched(radiograph: Radiograph, spec: PreprocessSpec) -> Prepared:
    """Stretched to the square instead of padded."""
    side = max(radiograph.height_px, radiograph.width_px)
    square = cv2.resize(radiograph.pixels, (side, side), interpolation=cv2.INTER_AREA)
    return as_trained(Radiograph(square, radiograph.bit_depth, radiograph.sha256), spec)


def _inverted(radiograph: Radiograph, spec: PreprocessSpec) -> Prepared:
    """MONOCHROME1 taken for MONOCHROME2."""
    top = radiograph.pixels.max()
    return as_trained(Radiograph(top - radiograph.pixels, radiograph.bit_depth, radiograph.sha256), spec)


def _prepared_on_the_box(
    prepare: Callable[[Radiograph, PreprocessSpec], Prepared],
) -> Callable[[Bed], AbstractContextManager[None]]:
    """The box prepares pictures otherwise than the training did."""
    return lambda _: on_the_box("runtime.golden.preprocess", prepare)


_FLOAT_AND_INT8 = ("fp32", "int8")
_BOX = {"onnxruntime": ("fp32",)}
_OTHER_ANSWERS = ("wrong decision on golden case", "refused as strange", "on golden case golden-")
"""What a self-test says of an engine that runs and answers otherwise; one that does not run is no catch."""

FAULTS = (
    Fault(
        name="channel-order",
        title="BGR taken for RGB",
        seen="OpenCV reads BGR, networks learn RGB; per-channel normalisation in the wrong order",
        engines={"onnxruntime": ("fp32",)},
        spoils=("onnxruntime/fp32",),
        caught_by=("parity",),
        inject=_channels,
    ),
    Fault(
        name="normalisation",
        title="normalised twice, by ImageNet's figures",
        seen="mean and scale given to the converter though the caller normalises too",
        engines={"openvino": _FLOAT_AND_INT8},
        spoils=("openvino/fp32", "openvino/int8"),
        caught_by=("parity",),
        inject=_normalised_twice,
    ),
    Fault(
        name="interpolation",
        title="nearest neighbour instead of area when shrinking",
        seen="training with one library's resize, deployment with another's default",
        engines=_BOX,
        spoils=(),
        caught_by=_OTHER_ANSWERS,
        inject=_prepared_on_the_box(_with_nearest),
    ),
    Fault(
        name="aspect-ratio",
        title="stretched to the square instead of padded",
        seen="a resize to (S, S) where the training kept the aspect ratio",
        engines=_BOX,
        spoils=(),
        caught_by=_OTHER_ANSWERS,
        inject=_prepared_on_the_box(_stretched),
    ),
    Fault(
        name="inverted",
        title="photometric interpretation ignored: bones dark",
        seen="MONOCHROME1 read as MONOCHROME2",
        engines=_BOX,
        spoils=(),
        caught_by=_OTHER_ANSWERS,
        inject=_prepared_on_the_box(_inverted),
    ),
)
