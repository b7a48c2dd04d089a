"""Bundles for the runtime's own tests: the mean-brightness model with computed golden cases."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.bundle import Bundle, EngineEntry, GoldenCase, IntendedUse, Manifest, write_bundle
from runtime.findings import OperatingPoints
from runtime.preprocess import PreprocessSpec, preprocess
from runtime.readers import read_bytes
from runtime.trust import TrustStore, generate_key
from tests.runtime.models import SIZE_PX, expected_logit, onnx_bytes

KEY = generate_key()
SPEC = PreprocessSpec(size_px=SIZE_PX, low_percentile=0.0, high_percentile=100.0)
POINTS = OperatingPoints(high_sensitivity=0.3, high_specificity=0.7)
ORT = EngineEntry("onnxruntime", "fp32", "models/model.onnx")
BRIGHT_SHARES = {"fracture": 0.9, "doubt": 0.5, "none": 0.1}
"""Share of white pixels of each golden image: normalised mean = 2 * share - 1, logit = 4 * that."""


@dataclass(frozen=True)
class Contents:
    """What a test may replace before the bundle is signed."""

    engines: tuple[EngineEntry, ...] = (ORT,)
    golden: tuple[GoldenCase, ...] | None = None
    files: dict[str, bytes] = field(default_factory=dict)


def trusting(key: Ed25519PrivateKey = KEY) -> TrustStore:
    store = TrustStore()
    store.add(key.public_key(), "test")
    return store


def plate(bright_share: float) -> bytes:
    """A PNG (64, 64), left part white, rest black."""
    pixels = np.zeros((64, 64), np.uint16)
    pixels[:, : round(64 * bright_share)] = 65535
    done, data = cv2.imencode(".png", pixels)
    assert done
    return bytes(data.tobytes())


def corner_plate(verdict: str) -> bytes:
    """A PNG (64, 64) with a block, longer than wide, that no mirror and no turn leaves where it is."""
    pixels = np.zeros((64, 64), np.uint16)
    if verdict == "doubt":
        pixels[4:54, 2:43] = 65535
    else:
        pixels[4:20, 34:60] = 65535
    done, data = cv2.imencode(".png", 65535 - pixels if verdict == "fracture" else pixels)
    assert done
    return bytes(data.tobytes())


def golden_cases(*keys: str) -> tuple[GoldenCase, ...]:
    """One case a verdict, with the same expected logit for every engine key."""
    return tuple(golden_case(verdict, *keys) for verdict in BRIGHT_SHARES)


def golden_case(verdict: str, *keys: str, picture: bytes | None = None) -> GoldenCase:
    """picture: in place of the plate of that verdict."""
    tensor, _ = preprocess(read_bytes(picture or plate(BRIGHT_SHARES[verdict])), SPEC)
    logit = float(expected_logit(tensor)[0, 0])
    return GoldenCase(verdict, f"golden/{verdict}.png", verdict, dict.fromkeys((*keys, "reference"), logit))


def manifest(contents: Contents = Contents()) -> Manifest:
    keys = [entry.key for entry in contents.engines]
    return Manifest(
        name="brightness",
        version="1.2.3",
        created_utc="2026-01-02T03:04:05+00:00",
        labels=("fracture",),
        intended_use=IntendedUse("Tests of the runtime.", ("hand",)),
        preprocess=SPEC,
        operating_points=POINTS,
        engines=contents.engines,
        gates=({"node": "onnxruntime/fp32", "outcome": "pass", "checks": []},),
        golden=golden_cases(*keys) if contents.golden is None else contents.golden,
        provenance={"recipe": "none"},
    )


def make(root: Path, contents: Contents = Contents(), key: Ed25519PrivateKey = KEY) -> Bundle:
    described = manifest(contents)
    files: dict[str, Path | bytes] = {
        case.file: plate(BRIGHT_SHARES[case.verdict]) for case in described.golden
    }
    files |= {name: onnx_bytes() for entry in contents.engines for name in entry.files}
    files |= contents.files
    return write_bundle(root, described, files, key)


def entry(**changes: object) -> EngineEntry:
    return dataclasses.replace(ORT, **changes)  # type: ignore[arg-type]
