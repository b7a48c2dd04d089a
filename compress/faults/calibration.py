"""A quantizer learns its ranges from the wrong images. It takes them all and never complains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from compress.calibrating import calibration_of
from compress.datasets.base import Case
from compress.faults.bed import Bed
from compress.faults.fault import Fault
from compress.faults.swap import swapped
from compress.steps.calibration import CalibrationData
from compress.workbench import Workbench

_SEED = 3

Spoil = Callable[[CalibrationData], CalibrationData]


def _spoiled(spoil: Spoil) -> Callable[[Bed], AbstractContextManager[None]]:
    def images(bench: Workbench, count: int) -> CalibrationData:
        return spoil(calibration_of(bench, count))

    return lambda _: swapped("compress.branches.calibration_of", images)


def _random(data: CalibrationData) -> CalibrationData:
    rng = np.random.default_rng(_SEED)
    noise = rng.uniform(data.tensors.min(), data.tensors.max(), data.tensors.shape).astype(np.float32)
    return CalibrationData(noise, data.case_ids, data.metadata, data.body_parts)


def _one_image(data: CalibrationData) -> CalibrationData:
    again = np.repeat(data.tensors[:1], len(data), axis=0)
    return CalibrationData(again, data.case_ids, data.metadata, data.body_parts)


def _first_of_a_sorted_folder(cases: Sequence[Case], count: int) -> tuple[Case, ...]:
    """The images of one body part, as the first ones of a folder sorted by name are."""
    part = Counter(case.body_part for case in cases).most_common(1)[0][0]
    return tuple(case for case in cases if case.body_part == part)[:count]


def _one_part(bed: Bed) -> AbstractContextManager[None]:
    return swapped("compress.calibrating.choose_cases", _first_of_a_sorted_folder)


_INT8 = {"onnxruntime": ("int8",), "openvino": ("int8",), "tensorrt": ("int8",)}
_NODES = ("onnxruntime/int8-quantized", "openvino/int8-quantized", "tensorrt/int8-quantized")

FAULTS = (
    Fault(
        name="random-calibration",
        title="quantizer ranges learned from random numbers",
        seen="the placeholder of a tutorial's data reader left in",
        engines=_INT8,
        spoils=_NODES,
        caught_by=("mere noise",),
        inject=_spoiled(_random),
    ),
    Fault(
        name="one-image-calibration",
        title="quantizer ranges learned from one image, many times",
        seen="a data reader that never advances",
        engines=_INT8,
        spoils=_NODES,
        caught_by=("differ from one another",),
        inject=_spoiled(_one_image),
    ),
    Fault(
        name="one-part-calibration",
        title="quantizer ranges learned from one body part only",
        seen="the first images of a folder that is sorted by body part",
        engines=_INT8,
        spoils=_NODES,
        caught_by=("no calibration image",),
        inject=_one_part,
    ),
)
