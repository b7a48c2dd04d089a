"""What the detector makes of faults, ages and views: a refusal names what is wrong, and nothing is silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.anomaly import AnomalyDetector, AnomalyLimits, FeatureStatistics
from runtime.backends.base import Backend, BackendOptions, ModelFiles
from runtime.backends.registry import open_backend
from runtime.bundle import open_bundle
from runtime.detector import Detector, DetectorSpec, spec_of
from runtime.findings import OperatingPoints, Provenance, RefusalCode, Verdict
from runtime.metadata import PatientFacts
from runtime.preprocess import PreprocessSpec
from runtime.radiograph import AcquisitionFacts, Radiograph
from runtime.trust import TrustStore, generate_key
from tests.bundles import BundleOptions, gap_network, make_bundle, radiograph_pixels
from tests.runtime.schema import problems

SIZE = 64
FAR_AWAY = FeatureStatistics(("forearm",), np.eye(2, dtype=np.float32), np.full((1, 2), 100, np.float32))
SPEC = DetectorSpec(
    PreprocessSpec(size_px=SIZE),
    OperatingPoints(0.3, 0.7),
    ("forearm",),
    Provenance("", "b" * 64, "test", "1.0", "onnxruntime", "fp32", "cpu", "m" * 64),
)
SOUND = Radiograph(radiograph_pixels(True), 12, "0" * 64, facts=AcquisitionFacts(body_part="forearm"))
BLURRED = replace(SOUND, pixels=cv2.GaussianBlur(np.array(SOUND.pixels), (0, 0), 4))


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    opened = open_backend("onnxruntime", ModelFiles(gap_network(SIZE)), BackendOptions(threads=1))
    yield opened
    opened.close()


def test_a_strange_and_blurred_picture_is_refused_with_its_blur_named(backend: Backend) -> None:
    strict = Detector(backend, replace(SPEC, anomaly=AnomalyDetector(FAR_AWAY, AnomalyLimits("a.npz"))))
    blurred, sound = strict.detect(BLURRED).refusal, strict.detect(SOUND).refusal

    assert blurred is not None and blurred.code is RefusalCode.UNFAMILIAR
    assert "blurred" in blurred.message and blurred.advice.startswith("Steady the limb")
    assert not any("blurred" in warning for warning in strict.detect(BLURRED).warnings), "said once"
    assert sound is not None and "blurred" not in sound.message + sound.advice


def test_findings_say_what_the_picture_shows_and_how_well_it_was_taken(backend: Backend) -> None:
    near = FeatureStatistics(
        ("forearm", "hand"), np.eye(2, dtype=np.float32), np.array([[0, 0], [9, 9]], np.float32)
    )
    detector = Detector(backend, replace(SPEC, anomaly=AnomalyDetector(near, AnomalyLimits("a.npz", 50, 90))))
    found = detector.detect(SOUND, PatientFacts(view="frontal")).to_json()
    nothing = detector.detect_bytes(b"no picture").to_json()

    assert problems(found) == problems(nothing) == []
    assert found["subject"] | {"distance": None} == {
        "body_part": "forearm",
        "view": "frontal",
        "laterality": "",
        "resembles": "forearm",
        "distance": None,
    }
    assert 0 < found["subject"]["distance"] < 50
    assert found["quality"]["short_side_px"] == 256 and found["quality"]["fields"] == 1
    assert nothing["subject"] is nothing["quality"] is None


def test_an_answer_for_a_blurred_picture_says_so(backend: Backend) -> None:
    detector = Detector(backend, SPEC)
    found = detector.detect(BLURRED)

    assert found.refusal is None
    assert any("blurred" in warning for warning in found.warnings)
    assert detector.detect(SOUND).warnings == ()


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (PatientFacts(age="7"), RefusalCode.AGE),
        (PatientFacts(age="30", view="oblique"), RefusalCode.VIEW),
    ],
)
def test_what_a_person_says_of_age_and_view_decides_whether_there_is_an_answer(
    backend: Backend, facts: PatientFacts, code: RefusalCode
) -> None:
    adults = Detector(backend, replace(SPEC, ages_years=(18.0, 90.0), views=("frontal",)))
    refused = adults.detect(SOUND, facts)
    answered = adults.detect(SOUND, PatientFacts(age="30", view="frontal"))

    assert refused.verdict is Verdict.UNREADABLE and refused.refusal is not None
    assert refused.refusal.code is code
    assert (refused.width_px, refused.height_px) == (256, 320)
    assert problems(refused.to_json()) == []
    assert answered.refusal is None


def test_the_files_own_age_counts_where_nobody_says_another(backend: Backend) -> None:
    adults = Detector(backend, replace(SPEC, ages_years=(18.0, 90.0)))
    child = replace(SOUND, facts=replace(SOUND.facts, age_years=4.0))
    refusal = adults.detect(child).refusal

    assert refusal is not None and refusal.code is RefusalCode.AGE
    assert adults.detect(child, PatientFacts(age="40")).refusal is None
    assert any("age" in warning for warning in adults.detect(SOUND).warnings)


def test_ages_and_views_of_a_bundle_reach_its_detector(tmp_path: Path) -> None:
    key = generate_key()
    bundle = open_bundle(make_bundle(tmp_path / "bundle", key, BundleOptions()), TrustStore.of(key))
    use = replace(bundle.manifest.intended_use, ages_years=(18.0, 90.0), views=("frontal",))
    told = replace(bundle, manifest=replace(bundle.manifest, intended_use=use))
    spec = spec_of(told, told.entry("onnxruntime-fp32"), SPEC.provenance)

    assert (spec.ages_years, spec.views) == ((18.0, 90.0), ("frontal",))
