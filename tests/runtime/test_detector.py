"""The detector on a real ONNX network, and on engines that fail: a failure never looks like a negative."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME, BackendOptions, ModelFiles, TensorInfo
from runtime.backends.registry import open_backend
from runtime.bundle import open_bundle
from runtime.detector import Detector, DetectorSpec, from_bundle
from runtime.errors import BackendError, BundleError, InferenceError
from runtime.findings import Findings, OperatingPoints, Provenance, RefusalCode, Verdict
from runtime.metadata import PatientFacts
from runtime.preprocess import PreprocessSpec
from runtime.radiograph import AcquisitionFacts, Radiograph
from runtime.trust import TrustStore, generate_key
from tests.bundles import BundleOptions, gap_network, make_bundle, radiograph_pixels, radiograph_png
from tests.runtime.schema import problems

SIZE = 64
RADIOGRAPH = Radiograph(radiograph_pixels(True), 12, "0" * 64)
SPEC = DetectorSpec(
    PreprocessSpec(size_px=SIZE),
    OperatingPoints(0.3, 0.7),
    ("forearm",),
    Provenance("", "b" * 64, "test", "1.0", "onnxruntime", "fp32", "cpu", "m" * 64),
)


class Broken:
    """An engine that answers whatever a test wants, or fails."""

    name, device = "broken", "cpu"
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return dict(self._answer)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    backend = open_backend("onnxruntime", ModelFiles(gap_network(SIZE)), BackendOptions(threads=1))
    with Detector(backend, SPEC) as opened:
        yield opened


def outputs(logit: Any = ((0.0,),), cells: Any = None) -> dict[str, np.ndarray]:
    plane = np.zeros((1, 1, 4, 4)) if cells is None else cells
    return {LOGIT_NAME: np.asarray(logit, np.float32), MAP_NAME: np.asarray(plane, np.float32)}


def test_a_gap_in_the_shaft_is_a_fracture_boxed_where_it_is(detector: Detector) -> None:
    findings = detector.detect_bytes(radiograph_png(True, seed=5))

    assert findings.verdict is Verdict.FRACTURE
    box = findings.boxes[0]
    assert box.y0_px <= 0.45 * 320 <= box.y1_px
    assert box.x0_px <= 0.5 * 256 <= box.x1_px
    assert (findings.width_px, findings.height_px) == (256, 320)


def test_an_unbroken_shaft_is_no_fracture_and_has_no_box(detector: Detector) -> None:
    findings = detector.detect_bytes(radiograph_png(False, seed=6))

    assert findings.verdict is Verdict.NONE
    assert findings.boxes == ()
    assert findings.evidence is not None and findings.evidence.max() < 0.5


def test_bytes_and_radiograph_give_the_same_answer(detector: Detector) -> None:
    pixels = radiograph_pixels(True, seed=7)
    from_bytes = detector.detect_bytes(radiograph_png(True, seed=7))

    assert detector.detect(Radiograph(pixels, 16, "0" * 64)).probability == from_bytes.probability


def test_an_answer_says_what_made_it_and_how_long_each_stage_took(detector: Detector) -> None:
    data = radiograph_png(True)
    findings = detector.detect_bytes(data)

    assert findings.provenance.bundle_sha256 == "b" * 64
    assert len(findings.provenance.image_sha256) == 64
    assert list(findings.timings_ms) == ["read", "quality", "preprocess", "infer", "locate"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", RefusalCode.DAMAGED),
        (b"nothing", RefusalCode.DAMAGED),
        (radiograph_png(True)[:-50], RefusalCode.DAMAGED),
        (b"%PDF-1.7", RefusalCode.UNSUPPORTED),
        (radiograph_png(True, height_px=100, width_px=80), RefusalCode.TOO_SMALL),
    ],
)
def test_files_that_cannot_be_answered_are_unreadable_with_a_reason(
    detector: Detector, data: bytes, code: RefusalCode
) -> None:
    findings = detector.detect_bytes(data)

    assert findings.verdict is Verdict.UNREADABLE
    assert findings.refusal is not None and findings.refusal.code is code
    assert findings.refusal.message[0].isupper() and findings.refusal.advice
    assert problems(findings.to_json()) == []


def test_a_body_part_outside_the_intended_use_is_refused(detector: Detector) -> None:
    skull = Radiograph(radiograph_pixels(True), 12, "0" * 64, facts=AcquisitionFacts(body_part="skull"))
    findings = detector.detect(skull)

    assert findings.refusal is not None and findings.refusal.code is RefusalCode.BODY_PART
    assert (findings.width_px, findings.height_px) == (256, 320)


@pytest.mark.parametrize(
    "answer",
    [
        InferenceError("engine stopped"),
        BackendError("device lost"),
        RuntimeError("native crash"),
        MemoryError(),
        outputs([[math.nan]]),
        outputs([[math.inf]]),
        outputs(cells=np.full((1, 1, 4, 4), math.nan)),
        outputs([[0.0], [0.0]]),
        outputs(cells=np.zeros((1, 2, 4, 4))),
        outputs(cells=np.zeros((4, 4))),
        outputs(cells=np.zeros((1, 1, 0, 4))),
        {LOGIT_NAME: np.zeros((1, 1))},
        {},
    ],
)
def test_an_engine_that_fails_or_answers_nonsense_is_unreadable(answer: Any) -> None:
    findings = Detector(Broken(answer), SPEC).detect_bytes(radiograph_png(True))

    assert findings.verdict is Verdict.UNREADABLE
    assert findings.refusal is not None and findings.refusal.code is RefusalCode.ENGINE
    assert "no result" in findings.refusal.message
    assert problems(findings.to_json()) == []


@pytest.mark.parametrize(
    ("in_file", "said", "refused"),
    [(None, "chest", True), ("forearm", "Chest", True), ("chest", "forearm", False), ("chest", "", True)],
)
def test_the_body_part_that_a_person_says_goes_before_that_in_the_file(
    detector: Detector, in_file: str | None, said: str, refused: bool
) -> None:
    picture = Radiograph(radiograph_pixels(True), 12, "0" * 64, facts=AcquisitionFacts(body_part=in_file))
    findings = detector.detect(picture, PatientFacts(body_part=said))
    found = None if findings.refusal is None else findings.refusal.code
    assert found is (RefusalCode.BODY_PART if refused else None)


@given(st.floats(-30, 30, width=32), st.integers(0, 2**32 - 1))
def test_any_finite_answer_gives_findings_whose_parts_agree(logit: float, seed: int) -> None:
    cells = np.random.default_rng(seed).normal(size=(1, 1, 7, 7)) * 5
    findings = Detector(Broken(outputs([[logit]], cells)), SPEC).detect(RADIOGRAPH)

    assert findings.probability == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-6)
    assert bool(findings.boxes) == (findings.verdict is not Verdict.NONE)
    assert problems(findings.to_json()) == []


@pytest.mark.parametrize("shape", [(1, SIZE, SIZE), (2, 1, SIZE, SIZE), (1, 1, SIZE, SIZE + 1)])
def test_score_wants_the_shape_of_the_spec(detector: Detector, shape: tuple[int, ...]) -> None:
    with pytest.raises(InferenceError, match="expected a tensor"):
        detector.score(np.zeros(shape, np.float32))


def test_score_gives_the_networks_own_numbers(detector: Detector) -> None:
    tensor = np.random.default_rng(0).normal(size=(1, 1, SIZE, SIZE)).astype(np.float32)
    backend = open_backend("onnxruntime", ModelFiles(gap_network(SIZE)), BackendOptions(threads=1))
    raw = backend.infer({INPUT_NAME: tensor})
    score = detector.score(tensor)

    assert score.logit == pytest.approx(float(raw[LOGIT_NAME][0, 0]))
    assert np.array_equal(score.map, raw[MAP_NAME][0, 0])


def test_after_close_there_is_no_answer_rather_than_a_wrong_one() -> None:
    backend = open_backend("onnxruntime", ModelFiles(gap_network(SIZE)), BackendOptions(threads=1))
    closed = Detector(backend, SPEC)
    closed.close()

    assert closed.detect_bytes(radiograph_png(True)).verdict is Verdict.UNREADABLE


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Any:
    key = generate_key()
    store = TrustStore()
    store.add(key.public_key(), "test")
    root = make_bundle(tmp_path_factory.mktemp("bundle") / "b", key, BundleOptions(body_parts=("forearm",)))
    return open_bundle(root, store)


def test_a_named_engine_is_loaded_with_its_provenance(opened: Any) -> None:
    with from_bundle(opened, "onnxruntime-fp32") as detector:
        findings: Findings = detector.detect_bytes(radiograph_png(True))

    made_by = findings.provenance
    assert findings.verdict is Verdict.FRACTURE
    assert (made_by.bundle_sha256, made_by.bundle_name) == (opened.digest, "test")
    assert (made_by.engine, made_by.precision, made_by.device) == ("onnxruntime", "fp32", "cpu")
    assert made_by.model_sha256 == opened.manifest.files["models/model.onnx"].sha256


def test_the_intended_body_parts_are_the_bundles(opened: Any) -> None:
    with from_bundle(opened, "onnxruntime-fp32") as detector:
        assert detector.spec.body_parts == ("forearm",)


def test_without_a_name_the_self_test_chooses(opened: Any) -> None:
    with from_bundle(opened) as detector:
        assert detector.spec.provenance.engine == "onnxruntime"


def test_an_engine_that_the_bundle_does_not_hold_is_named(opened: Any) -> None:
    with pytest.raises(BundleError, match="tensorrt-int8"):
        from_bundle(opened, "tensorrt-int8")


def test_a_bundle_whose_engines_all_fail_raises(tmp_path: Path) -> None:
    key = generate_key()
    store = TrustStore()
    store.add(key.public_key(), "test")
    root = make_bundle(tmp_path / "b", key, BundleOptions(fault="golden"))

    with pytest.raises(BackendError):
        from_bundle(open_bundle(root, store))
