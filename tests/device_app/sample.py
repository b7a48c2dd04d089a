"""Computed radiographs and a small real signed bundle: one convolution that answers to dark gaps in bone."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import onnx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from runtime.backends.base import ModelFiles
from runtime.backends.registry import open_backend
from runtime.bundle import Bundle, write_bundle
from runtime.expected import ExpectedAnswers
from runtime.findings import OperatingPoints
from runtime.manifest import EngineEntry, GoldenCase, IntendedUse, Manifest
from runtime.preprocess import PreprocessSpec, preprocess
from runtime.readers import read_bytes
from tests.runtime.faulty import slowed_down, without_a_number

SIZE_PX = 224
CELL_PX = 16
GAIN, BIAS = 24.0, -16.0
POINTS = OperatingPoints(high_sensitivity=0.15, high_specificity=0.7)
KEY, FASTER_KEY = "onnxruntime-fp32", "onnxruntime-int8"
NONE, DOUBT, FRACTURE = 0.0, 0.8, 1.0


def forearm(gap: float, seed: int = 0, height_px: int = 520, width_px: int = 400) -> NDArray[np.uint16]:
    """Two long bones in soft tissue, (H, W) uint16 with 12-bit values; `gap` in 0 to 1 breaks one of them."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    x, y = columns / width_px, rows / height_px
    sway = 0.02 * np.sin(3 * y + random.uniform(0, 6))
    image = 0.16 + 0.30 * np.clip(1 - ((x - 0.5 - sway) / 0.36) ** 2, 0, 1) ** 0.5
    for center, slimmest in ((0.38, 0.075), (0.62, 0.06)):
        radius = slimmest * (1 + 0.5 * (2 * y - 1) ** 4)
        across = (x - center - sway) / radius
        outer = np.clip(1 - across**2, 0, 1) ** 0.5
        marrow = np.clip(1 - (across / 0.62) ** 2, 0, 1) ** 0.5
        bone = 0.62 * outer - 0.24 * marrow
        if center < 0.5:
            line = y - 0.47 - 0.12 * (x - center) - 0.004 * np.sin(90 * x)
            bone = bone * (1 - gap * np.exp(-((line / 0.0085) ** 2)))
        image = image + bone
    image = cv2.GaussianBlur(image, (0, 0), 1.1)
    noisy = image + random.normal(0, 0.012, image.shape)
    return (np.clip(noisy, 0, 1.15) / 1.15 * 4095).astype(np.uint16)


def png(pixels: NDArray[np.generic]) -> bytes:
    """Pixels as a PNG file."""
    done, data = cv2.imencode(".png", pixels)
    assert done
    return bytes(data)


@functools.lru_cache(maxsize=64)
def picture(gap: float, seed: int = 0) -> bytes:
    """A 16-bit PNG of a forearm."""
    return png(forearm(gap, seed))


def model_bytes() -> bytes:
    """image (N, 1, S, S) -> logit (N, 1), map (N, 1, S/16, S/16): ring minus center, pooled, scaled."""
    kernel = np.zeros((13, 13), np.float32)
    kernel[0:2] = kernel[-2:] = 1.0
    kernel[:, :3] = kernel[:, -3:] = 0.0
    kernel /= kernel.sum()
    center = np.zeros((13, 13), np.float32)
    center[5:8, 3:-3] = 1.0
    kernel -= center / center.sum()
    constants = {
        "pads": np.array([0, 0, 6, 6, 0, 0, 6, 6], np.int64),
        "kernel": kernel[None, None],
        "gain": np.float32(GAIN),
        "bias": np.float32(BIAS),
    }
    nodes = [
        helper.make_node("Pad", ["image", "pads"], ["padded"], mode="edge"),
        helper.make_node("Conv", ["padded", "kernel"], ["response"]),
        helper.make_node(
            "MaxPool", ["response"], ["pooled"], kernel_shape=[CELL_PX] * 2, strides=[CELL_PX] * 2
        ),
        helper.make_node("Mul", ["pooled", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["map"]),
        helper.make_node("GlobalMaxPool", ["map"], ["peak"]),
        helper.make_node("Flatten", ["peak"], ["logit"]),
    ]
    cells = SIZE_PX // CELL_PX
    graph = helper.make_graph(
        nodes,
        "gap_finder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, SIZE_PX, SIZE_PX])],
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 1, cells, cells]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def logit(data: bytes, model: bytes) -> float:
    """The model's own logit for a picture."""
    tensor, _ = preprocess(read_bytes(data), PreprocessSpec(size_px=SIZE_PX))
    backend = open_backend("onnxruntime", ModelFiles(model))
    try:
        return float(backend.infer({"image": tensor})["logit"][0, 0])
    finally:
        backend.close()


def make_bundle(
    root: Path, key: Ed25519PrivateKey, wrong_golden: bool = False, expected: ExpectedAnswers | None = None
) -> Bundle:
    """A signed bundle with one engine and three golden cases; `wrong_golden` makes the self-test fail."""
    return _write(root, key, {KEY: model_bytes()}, 5.0 if wrong_golden else 0.0, expected)


def make_bundle_that_fails_at(data: bytes, root: Path, key: Ed25519PrivateKey) -> Bundle:
    """Two engines that pass the self-test; the faster one answers with no number for one picture."""
    model = model_bytes()
    failing = without_a_number(model, logit(data, model))
    return _write(root, key, {FASTER_KEY: failing, KEY: slowed_down(model, 2_000)})


def _write(
    root: Path,
    key: Ed25519PrivateKey,
    models: dict[str, bytes],
    off: float = 0.0,
    answers: ExpectedAnswers | None = None,
) -> Bundle:
    cases, files = [], {f"{name}.onnx": model for name, model in models.items()}
    for name, gap in (("none", NONE), ("doubt", DOUBT), ("fracture", FRACTURE)):
        data = picture(gap, seed=7)
        files[f"golden/{name}.png"] = data
        expected = logit(data, model_bytes()) + off
        verdict = str(POINTS.decide(1 / (1 + np.exp(-expected))))
        logits = dict.fromkeys((*models, "reference"), expected)
        cases.append(GoldenCase(name, f"golden/{name}.png", verdict, logits))
    manifest = Manifest(
        name="gap-finder",
        version="1.0.0",
        created_utc="2026-01-01T00:00:00+00:00",
        labels=("fracture",),
        intended_use=IntendedUse("Tests of the kiosk. Not for patients."),
        preprocess=PreprocessSpec(size_px=SIZE_PX),
        operating_points=POINTS,
        engines=tuple(EngineEntry(*name.split("-"), f"{name}.onnx") for name in models),
        gates=(),
        golden=tuple(cases),
        provenance={"recipe": "none", "dataset": "computed", "versions": {}},
        expected=answers,
    )
    return write_bundle(root, manifest, files, key)
