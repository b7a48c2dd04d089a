"""A small finished run with changed decisions: three steps on three pictures, for tests of their page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compress.artifact import StepOutput
from compress.datasets.base import Case
from compress.record import NodeRecord, RunRecord
from compress.report.flip_evidence import Sources
from compress.step import StepPlan, run_step
from runtime.detector import DetectorSpec
from runtime.findings import OperatingPoints, Provenance
from runtime.preprocess import Placement, PreprocessSpec, preprocess
from runtime.readers import read_file

SIDE = 32
POINTS = {"high_sensitivity": 0.4, "high_specificity": 0.6}
SPEC = PreprocessSpec(size_px=SIDE)


def flip(case: str, label: int, to: str = "negative", after: float = 0.3, **more: Any) -> dict[str, Any]:
    away = (to == "positive") != (label == 1)
    return {
        "case_id": case, "patient_id": f"patient of {case}", "body_part": "hand", "label": label,
        "reference_probability": 0.5, "candidate_probability": after, "point": "high_sensitivity",
        "from": "positive" if to == "negative" else "negative", "to": to, "against": "", "harmful": away,
        **more,
    }  # fmt: skip


def flip_node(name: str, kind: str, parent: str = "train", engine: str = "", **more: Any) -> NodeRecord:
    flips = more.pop("flips", [])
    verdict = {"outcome": "pass", "checks": [], "flips": flips}
    return NodeRecord(name, parent, name, kind, "ok", engine=engine, verdict=verdict, **more)


def flip_record(*nodes: NodeRecord) -> RunRecord:
    return RunRecord(
        {"name": "small"}, {}, {}, "2026-01-01T10:00:00+00:00", nodes=nodes, operating_points=POINTS
    )


def _graph(weights: tuple[float, float]) -> bytes:
    """(1, 1, S, S) -> map by two 1x1 convolutions, and its mean as the logit."""
    values = {f"w{n}": np.full((1, 1, 1, 1), w, np.float32) for n, w in enumerate(weights)}
    nodes = [
        helper.make_node("Conv", ["image", "w0"], ["inner"], name="inner"),
        helper.make_node("Relu", ["inner"], ["kept"], name="kept"),
        helper.make_node("Conv", ["kept", "w1"], ["map"], name="map"),
        helper.make_node("GlobalAveragePool", ["map"], ["mean"], name="mean"),
        helper.make_node("Flatten", ["mean"], ["logit"], name="logit"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, SIDE, SIDE])
    outputs = [
        helper.make_tensor_value_info("logit", TensorProto.FLOAT, [1, 1]),
        helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, SIDE, SIDE]),
    ]
    weights_ = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "small", [image], outputs, weights_)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class _Tensors:
    def tensor(self, case: Case) -> NDArray[np.float32]:
        return preprocess(read_file(case.path), SPEC)[0]

    def placement(self, case: Case) -> Placement:
        return preprocess(read_file(case.path), SPEC)[1]


@dataclass(frozen=True)
class Small:
    """A finished run of three steps on three cases."""

    record: RunRecord
    sources: Sources


def small_run(folder: Path) -> Small:
    """Made in `folder`: its steps and its pictures."""
    shas = {}
    for name, weights in {"train": (1, 1), "export": (1, 1), "onnxruntime/int8-quantized": (1.6, 1)}.items():
        graph = _graph(weights)

        def body(to: Path, graph: bytes = graph) -> StepOutput:
            (to / "model.onnx").write_bytes(graph)
            return StepOutput("model.onnx", "onnx")

        shas[name] = run_step(StepPlan(name, {}), folder / "steps" / name, body).artifact.sha256
    cases = {name: _case(folder, name, label) for name, label in (("a", 1), ("b", 0), ("c", 1))}
    flips = [flip("b", 0), flip("a", 1, after=0.2)]
    record = flip_record(
        flip_node("train", "train", "", sha256=shas["train"]),
        flip_node("export", "export", sha256=shas["export"], flips=[flip("c", 1, "positive")]),
        flip_node(
            "onnxruntime/int8-quantized", "quantize", "export", "onnxruntime",
            sha256=shas["onnxruntime/int8-quantized"], flips=flips,
        ),
    )  # fmt: skip
    spec = DetectorSpec(SPEC, OperatingPoints(**POINTS), (), Provenance("", "", "", ""))
    return Small(
        record, Sources(folder / "steps", cases, lambda case: read_file(case.path), _Tensors(), spec)
    )


def _case(folder: Path, name: str, label: int) -> Case:
    plane = np.random.default_rng(len(name) + label).normal(900, 50, (90, 60))
    plane[30:50, 20:40] += 1500
    cv2.imwrite(str(folder / f"{name}.png"), np.clip(plane, 0, 4095).astype(np.uint16))
    boxes = ((0.25, 0.25, 0.75, 0.5),) if label else ()
    return Case(name, f"patient of {name}", folder / f"{name}.png", label, "hand", "lateral", boxes)
