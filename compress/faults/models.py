"""Another model ships than the one that was judged, or it decides otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from compress.artifact import StepOutput
from compress.faults import graphs
from compress.faults.bed import Bed
from compress.faults.fault import Fault
from compress.faults.one_part import lowered_on_one_part
from compress.faults.swap import edited_graph, on_the_box, swapped, swapped_target
from compress.release import ReleasePlan
from compress.release import release as sound_release
from compress.targets import TARGETS
from runtime.backends.base import LOGIT_NAME, MAP_NAME
from runtime.bundle import Bundle
from runtime.detector import Detector
from runtime.metadata import NOTHING_SAID, PatientFacts
from runtime.scoring import Score

_DRIFT_LOGITS = 1.0
_AT_BYTE = 1000


def _labels_swapped(graph: onnx.ModelProto) -> None:
    graphs.behind(graph, LOGIT_NAME, (graphs.node("Neg", (graphs.sound(LOGIT_NAME),), LOGIT_NAME),))


def _drifted(graph: onnx.ModelProto) -> None:
    """The ranking is kept; what lies above a threshold is not."""
    by = graphs.constant(graph, "drift", -_DRIFT_LOGITS)
    graphs.behind(graph, LOGIT_NAME, (graphs.node("Add", (graphs.sound(LOGIT_NAME), by), LOGIT_NAME),))


def _mirrored(graph: onnx.ModelProto) -> None:
    """The map left for right: the answer is right, the box lies on sound bone."""
    ends = [
        graphs.constant(graph, f"mirror_{name}", np.array([value], np.int64))
        for name, value in (("start", -1), ("end", np.iinfo(np.int64).min), ("axis", 3), ("step", -1))
    ]
    graphs.behind(graph, MAP_NAME, (graphs.node("Slice", (graphs.sound(MAP_NAME), *ends), MAP_NAME),))


def _transposed_on_the_box(bed: Bed) -> AbstractContextManager[None]:
    """The box's engine hands out columns before rows in its second output; the first one is right."""
    sound = Detector.score

    def score(self: Detector, tensor: NDArray[np.float32], facts: PatientFacts = NOTHING_SAID) -> Score:
        found = sound(self, tensor, facts)
        return replace(found, map=np.ascontiguousarray(found.map.T))

    return on_the_box("runtime.golden.Detector.score", score)


def _edit(engine: str, change: Callable[[onnx.ModelProto], None]) -> Callable[[Bed], Any]:
    return lambda _: edited_graph(engine, change)


@contextmanager
def _engine_of_former_model(bed: Bed) -> Iterator[None]:
    """What is compiled is the network as it was before it was pruned and fine-tuned."""
    sound = TARGETS["openvino"].compile
    former = bed.steps / "export-whole" / "model.onnx"

    def compile_former(source: Path, folder: Path, samples: NDArray[np.float32]) -> StepOutput:
        return sound(former, folder, samples)

    with swapped_target("openvino", compile=compile_former):
        yield


def _damaged_after_signing(bed: Bed) -> AbstractContextManager[None]:
    """One bit of a model turns over on its way to the box."""

    def release(plan: ReleasePlan, root: Path, key: Ed25519PrivateKey) -> Bundle:
        bundle = sound_release(plan, root, key)
        path = root / bundle.manifest.engines[0].main
        content = bytearray(path.read_bytes())
        content[_AT_BYTE] ^= 1
        path.write_bytes(content)
        return bundle

    return swapped("compress.pipeline.release", release)


_BOTH = {"onnxruntime": ("fp32", "int8")}
_BOTH_NODES = ("onnxruntime/fp32", "onnxruntime/int8")

FAULTS = (
    Fault(
        name="stale-engine",
        title="an engine compiled from the model before the last",
        seen="an engine cache keyed by the file's name",
        engines={"openvino": ("fp32",)},
        spoils=("openvino/fp32",),
        caught_by=("parity",),
        inject=_engine_of_former_model,
    ),
    Fault(
        name="label-order",
        title="labels in the other order: healthy reads as fractured",
        seen="class indices sorted by name in one tool and by number in the next",
        engines=_BOTH,
        spoils=_BOTH_NODES,
        caught_by=("gate: AUROC",),
        inject=_edit("onnxruntime", _labels_swapped),
    ),
    Fault(
        name="threshold-drift",
        title="all scores a little lower, the ranking untouched",
        seen="AUROC alone was looked at; the locked thresholds no longer fit",
        engines=_BOTH,
        spoils=_BOTH_NODES,
        caught_by=("gate: sensitivity", "mean probability"),
        inject=_edit("onnxruntime", _drifted),
    ),
    Fault(
        name="one-part-degraded",
        title="one body part misses fractures while the total looks fine",
        seen="totals alone were looked at",
        engines={"onnxruntime": ("int8",)},
        spoils=("onnxruntime/int8",),
        caught_by=("gate: mean probability, ",),
        inject=lowered_on_one_part,
    ),
    Fault(
        name="mirrored-map",
        title="the evidence map left for right",
        seen="width and height, or NHWC and NCHW, confused in the second output",
        engines=_BOTH,
        spoils=_BOTH_NODES,
        caught_by=("peak of the evidence",),
        inject=_edit("onnxruntime", _mirrored),
    ),
    Fault(
        name="transposed-map",
        title="the box's engine hands out the evidence map transposed",
        seen="an engine built on the device lays out its second output otherwise; only logits were compared",
        engines={"onnxruntime": ("fp32",)},
        spoils=(),
        caught_by=("evidence map off by",),
        inject=_transposed_on_the_box,
    ),
    Fault(
        name="damaged-file",
        title="one bit of a model's file turned over after the release",
        seen="a worn USB stick",
        engines={"onnxruntime": ("fp32",)},
        spoils=(),
        caught_by=("digest of the file",),
        inject=_damaged_after_signing,
    ),
)
