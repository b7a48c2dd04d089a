"""Small real bundles for tests: a fixed-weight ONNX network that finds a dark gap across a bright shaft.

No training: one convolution compares a pixel with what lies above and below it, so a shaft with a gap scores
high and an unbroken one low. Everything else (manifest, digests, signature, golden cases) is what a release
writes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from runtime.anomaly import AnomalyLimits, FeatureStatistics
from runtime.backends.base import FEATURES_NAME, INPUT_NAME, LOGIT_NAME, MAP_NAME
from runtime.bundle import EngineEntry, GoldenCase, IntendedUse, Manifest, write_bundle
from runtime.findings import OperatingPoints
from runtime.postprocess import probability
from runtime.preprocess import PreprocessSpec, preprocess
from runtime.radiograph import Radiograph
from tests.loops import idle_body

OPERATING_POINTS = OperatingPoints(high_sensitivity=0.3, high_specificity=0.7)
_ENGINE_KEY = "onnxruntime-fp32"
_ANOMALY_FILE = "anomaly.npz"
_MODEL = "models/model.onnx"
_GAIN, _BIAS = 20.0, 6.0


@dataclass(frozen=True)
class BundleOptions:
    """What the bundle says, and how it is broken.

    fault: "" sound; "golden" the golden answers are swapped; "nan" the network answers NaN; "hang" it never
    answers; "garbage" the file is no network. All of them are correctly signed. own_points: of its engine.
    """

    name: str = "test"
    version: str = "1.0.0"
    size_px: int = 64
    body_parts: tuple[str, ...] = ("forearm", "hand")
    fault: str = ""
    anomaly: FeatureStatistics | None = None
    golden_are_strange: bool = False
    own_points: OperatingPoints | None = None


def radiograph_pixels(
    fractured: bool, seed: int = 0, height_px: int = 320, width_px: int = 256
) -> NDArray[np.uint16]:
    """A 12-bit plate (H, W): soft tissue, one vertical shaft, noise, and a transverse gap where asked."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    across = (x - width_px / 2) / width_px
    tissue = 900 * np.exp(-((across / 0.28) ** 4))
    shaft = 1700 * np.exp(-((across / 0.12) ** 6)) * (0.85 + 0.15 * np.abs(across) / 0.12)
    if fractured:
        gap_px = height_px / 26
        shaft *= 1 - 0.85 * np.exp(-(((y - height_px * 0.45) / gap_px) ** 4))
    noise = rng.normal(0, 18, (height_px, width_px))
    return np.clip(300 + tissue + shaft + noise, 0, 4095).astype(np.uint16)


def radiograph_png(fractured: bool, seed: int = 0, height_px: int = 320, width_px: int = 256) -> bytes:
    """The same plate as the bytes of a 16-bit PNG."""
    done, data = cv2.imencode(".png", radiograph_pixels(fractured, seed, height_px, width_px))
    assert done
    return bytes(data.tobytes())


def gap_network(size_px: int, fault: str = "") -> bytes:
    """ONNX bytes: `image` (N, 1, S, S) -> `logit` (N, 1), `map` (N, 1, S/8, S/8), `features` (N, 2).

    The features are the mean of the input and the mean of what the gap filter answers.
    """
    if fault == "garbage":
        return b"this is no network"
    nodes = [
        helper.make_node("Conv", [INPUT_NAME, "kernels"], ["sides"], pads=[4, 1, 4, 1]),
        helper.make_node("ReduceMin", ["sides"], ["gap"], axes=[1], keepdims=1),
        helper.make_node("MaxPool", ["gap"], ["peaks"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Mul", ["peaks", "gain"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "bias"], [MAP_NAME]),
        helper.make_node("GlobalMaxPool", [MAP_NAME], ["top"]),
        helper.make_node("Flatten", ["top"], ["score" if fault == "hang" else LOGIT_NAME], axis=1),
        helper.make_node("GlobalAveragePool", [INPUT_NAME], ["brightness"]),
        helper.make_node("GlobalAveragePool", ["peaks"], ["contrast"]),
        helper.make_node("Concat", ["brightness", "contrast"], ["joined"], axis=1),
        helper.make_node("Flatten", ["joined"], [FEATURES_NAME], axis=1),
    ]
    constants = {
        "kernels": _kernels(),
        "gain": np.array(np.nan if fault == "nan" else _GAIN, np.float32),
        "bias": np.array(_BIAS, np.float32),
    }
    if fault == "hang":
        nodes.append(_endless_loop())
        constants |= {"trips": np.array(1 << 62, np.int64), "always": np.array(True)}
    return _serialize(nodes, constants, size_px)


def make_bundle(folder: Path, key: Ed25519PrivateKey, options: BundleOptions = BundleOptions()) -> Path:
    """Write a signed bundle into `folder` (which must not exist) and return it."""
    spec = PreprocessSpec(size_px=options.size_px)
    plates = {"fracture": radiograph_png(True, seed=1), "none": radiograph_png(False, seed=2)}
    logits = {verdict: _expected_logit(png, spec) for verdict, png in plates.items()}
    golden = tuple(_golden_case(verdict, logits, options.fault == "golden") for verdict in plates)
    golden = tuple(replace(case, strange=options.golden_are_strange) for case in golden)
    if options.own_points:
        golden = tuple(_decided(case, options.own_points) for case in golden)
    manifest = Manifest(
        name=options.name,
        version=options.version,
        created_utc=datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        labels=("no fracture", "fracture"),
        intended_use=IntendedUse("For tests only.", options.body_parts),
        preprocess=spec,
        operating_points=OPERATING_POINTS,
        engines=(EngineEntry("onnxruntime", "fp32", _MODEL, operating_points=options.own_points),),
        gates=(),
        golden=golden,
        provenance={"recipe": "none", "network": "fixed convolution"},
        anomaly=AnomalyLimits(_ANOMALY_FILE) if options.anomaly else None,
        files={},
    )
    files: dict[str, Path | bytes] = {f"golden/{verdict}.png": png for verdict, png in plates.items()}
    files[_MODEL] = gap_network(options.size_px, options.fault)
    if options.anomaly:
        files[_ANOMALY_FILE] = options.anomaly.to_bytes()
    write_bundle(folder, manifest, files, key)
    return folder


def _golden_case(verdict: str, logits: dict[str, float], swapped: bool) -> GoldenCase:
    other = "none" if verdict == "fracture" else "fracture"
    told = other if swapped else verdict
    return GoldenCase(
        name=verdict,
        file=f"golden/{verdict}.png",
        verdict=told,
        logits={"reference": logits[told], _ENGINE_KEY: logits[told]},
    )


def _decided(case: GoldenCase, points: OperatingPoints) -> GoldenCase:
    return replace(case, verdict=str(points.decide(probability(case.logits[_ENGINE_KEY]))))


def _expected_logit(png: bytes, spec: PreprocessSpec) -> float:
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    tensor, _ = preprocess(Radiograph(pixels, 16, "0" * 64), spec)
    session = onnxruntime.InferenceSession(gap_network(spec.size_px), providers=["CPUExecutionProvider"])
    return float(session.run([LOGIT_NAME], {INPUT_NAME: tensor})[0][0, 0])


def _kernels() -> NDArray[np.float32]:
    """Two (9, 3) kernels: mean above minus mean at the pixel, mean below minus mean at the pixel."""
    kernels = np.zeros((2, 1, 9, 3), np.float32)
    kernels[:, :, 4] = -1 / 3
    kernels[0, :, 0] = kernels[1, :, 8] = 1 / 3
    return kernels


def _endless_loop() -> onnx.NodeProto:
    return helper.make_node("Loop", ["trips", "always", "score"], [LOGIT_NAME], body=idle_body())


def _serialize(nodes: list[onnx.NodeProto], constants: dict[str, NDArray[np.generic]], size_px: int) -> bytes:
    cells = size_px // 8
    image = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["N", 1, size_px, size_px])
    outputs = [
        helper.make_tensor_value_info(LOGIT_NAME, TensorProto.FLOAT, ["N", 1]),
        helper.make_tensor_value_info(MAP_NAME, TensorProto.FLOAT, ["N", 1, cells, cells]),
        helper.make_tensor_value_info(FEATURES_NAME, TensorProto.FLOAT, ["N", 2]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "gap", [image], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
