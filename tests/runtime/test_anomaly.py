"""Strange pictures: the distance, its file, and what the detector makes of it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from runtime import selftest
from runtime.anomaly import AnomalyDetector, AnomalyLimits, Familiarity, FeatureStatistics
from runtime.bundle import Bundle, open_bundle
from runtime.detector import from_bundle
from runtime.errors import BackendError, BundleFormatError, InferenceError
from runtime.findings import RefusalCode, Verdict
from runtime.preprocess import preprocess
from runtime.readers import read_bytes
from runtime.trust import TrustStore, generate_key
from tests.bundles import BundleOptions, make_bundle, radiograph_png
from tests.runtime.schema import problems

STATISTICS = FeatureStatistics(
    ("hand", "leg"), np.array([[2.0, 0.0], [0.0, 1.0]], np.float32), np.array([[0, 0], [10, 0]], np.float32)
)
ENGINE = "onnxruntime-fp32"


def distance(values: np.ndarray) -> float:
    return AnomalyDetector(STATISTICS, AnomalyLimits("a.npz")).look(values.astype(np.float32)).distance


def test_distance_is_squared_in_whitened_space_and_to_the_nearest_part() -> None:
    seen = AnomalyDetector(STATISTICS, AnomalyLimits("a.npz")).look(np.array([4.5, 3.0], np.float32))

    assert seen.part == "leg"
    assert seen.distance == pytest.approx(1.0 + 9.0)


@given(arrays(np.float32, 2, elements=st.floats(-100, 100, width=32)))
def test_no_part_is_nearer_than_the_nearest(values: np.ndarray) -> None:
    assert distance(values) == pytest.approx(min(STATISTICS.distances(values[None])[0]))
    assert distance(values) >= 0


def test_statistics_survive_their_file() -> None:
    back = FeatureStatistics.from_bytes(STATISTICS.to_bytes())

    assert back.parts == STATISTICS.parts
    np.testing.assert_array_equal(back.whitening, STATISTICS.whitening)
    np.testing.assert_array_equal(back.centres, STATISTICS.centres)


def test_one_changed_byte_anywhere_is_refused_or_leaves_finite_numbers() -> None:
    sound = STATISTICS.to_bytes()
    refused = 0
    for place in range(len(sound)):
        for flipped in (0x01, 0x10, 0xFF):
            damaged = bytearray(sound)
            damaged[place] ^= flipped
            try:
                read = FeatureStatistics.from_bytes(bytes(damaged))
            except BundleFormatError:
                refused += 1
            else:
                assert np.isfinite(read.whitening).all() and np.isfinite(read.centres).all()
    assert refused > len(sound)


@given(st.data())
def test_a_damaged_file_of_statistics_is_refused_or_holds_finite_numbers(data: st.DataObject) -> None:
    damaged = bytearray(STATISTICS.to_bytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = FeatureStatistics.from_bytes(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    except BundleFormatError:
        return
    assert np.isfinite(read.whitening).all() and np.isfinite(read.centres).all()


def test_pickled_objects_are_never_read() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, whitening=np.array([{}], object), centres=np.zeros((1, 1)), parts=np.array(["a"]))

    with pytest.raises(BundleFormatError, match="cannot be read"):
        FeatureStatistics.from_bytes(buffer.getvalue())


@pytest.mark.parametrize("shape", [(3, 2), (2,), (2, 0)])
def test_statistics_of_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    centres = np.zeros((2, 0 if shape == (2, 0) else 2), np.float32)
    with pytest.raises(ValueError, match="cannot have the shapes"):
        FeatureStatistics(("hand", "leg"), np.zeros(shape, np.float32), centres)


def test_statistics_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        replace(STATISTICS, centres=np.full((2, 2), np.nan, np.float32))


@pytest.mark.parametrize(("warn", "refuse"), [(0.0, 1.0), (2.0, 1.0), (1.0, np.inf), (np.nan, 1.0)])
def test_limits_that_do_not_rise_are_refused(warn: float, refuse: float) -> None:
    with pytest.raises(ValueError, match="must rise"):
        AnomalyLimits("a.npz", warn, refuse)


def test_another_number_of_features_is_an_engine_error_not_an_answer() -> None:
    with pytest.raises(InferenceError, match=r"expected \(2,\)"):
        distance(np.zeros(3))


@pytest.fixture(scope="module")
def key() -> Ed25519PrivateKey:
    return generate_key()


@pytest.fixture(scope="module")
def plate_features(tmp_path_factory: pytest.TempPathFactory, key: Ed25519PrivateKey) -> np.ndarray:
    """(2,) what the network of the test bundles says of an ordinary plate."""
    root = make_bundle(tmp_path_factory.mktemp("plain") / "bundle", key)
    with from_bundle(open_bundle(root, TrustStore.of(key)), ENGINE) as detector:
        return detector.score(
            preprocess(read_bytes(radiograph_png(True)), detector.spec.preprocess)[0]
        ).features


def at_distance(squared: float, features: np.ndarray) -> FeatureStatistics:
    """Statistics of one part, from which these features lie so far away."""
    # Downwards: upwards the inverse of a plate would be nearer.
    centre = features - np.array([np.sqrt(squared), 0.0])
    return FeatureStatistics(("forearm",), np.eye(2, dtype=np.float32), centre[None].astype(np.float32))


def bundle_with(
    statistics: FeatureStatistics, folder: Path, key: Ed25519PrivateKey, strange: bool = False
) -> Bundle:
    options = BundleOptions(body_parts=("forearm",), anomaly=statistics, golden_are_strange=strange)
    root = make_bundle(folder / "bundle", key, options)
    return open_bundle(root, TrustStore.of(key))


def test_a_picture_far_from_the_training_is_refused_with_advice(
    tmp_path: Path, key: Ed25519PrivateKey, plate_features: np.ndarray
) -> None:
    statistics = at_distance(2.5, plate_features)
    with from_bundle(bundle_with(statistics, tmp_path, key, strange=True), ENGINE) as detector:
        findings = detector.detect_bytes(radiograph_png(True))

    assert findings.verdict is Verdict.UNREADABLE
    assert findings.refusal is not None and findings.refusal.code is RefusalCode.UNFAMILIAR
    assert "forearm" in findings.refusal.message and findings.refusal.advice
    assert findings.width_px == 256
    assert problems(findings.to_json()) == []


@pytest.mark.parametrize(
    ("squared", "declared", "verdict"),
    [
        (2.5, True, Verdict.FRACTURE),
        (2.5, False, Verdict.UNREADABLE),
        (3.2, True, Verdict.UNREADABLE),
    ],
)
def test_a_picture_that_the_x_ray_system_calls_a_radiograph_may_lie_further_away(
    squared: float,
    declared: bool,
    verdict: Verdict,
    tmp_path: Path,
    key: Ed25519PrivateKey,
    plate_features: np.ndarray,
) -> None:
    plain = read_bytes(radiograph_png(True))
    said = replace(plain, facts=replace(plain.facts, declared=declared))
    bundle = bundle_with(at_distance(squared, plate_features), tmp_path, key, strange=True)
    with from_bundle(bundle, ENGINE) as detector:
        findings = detector.detect(said)

    assert findings.verdict is verdict
    assert verdict is Verdict.UNREADABLE or any("unlike" in warning for warning in findings.warnings)


@pytest.mark.parametrize(
    ("seen", "inverse", "inverted"),
    [(1.2, 0.5, True), (4.0, 1.0, True), (1.3, 0.9, False), (2.4, 1.9, False), (0.9, 0.1, False)],
)
def test_a_picture_is_inverted_where_its_inverse_alone_is_usual_by_a_clear_step(
    seen: float, inverse: float, inverted: bool
) -> None:
    detector = AnomalyDetector(STATISTICS, AnomalyLimits("a.npz"))
    assert detector.is_inverted(Familiarity(seen, "leg"), Familiarity(inverse, "hand")) is inverted


def test_an_inverted_picture_is_read_the_right_way_round_and_says_so(
    tmp_path: Path, key: Ed25519PrivateKey, plate_features: np.ndarray
) -> None:
    plain = read_bytes(radiograph_png(True))
    root = make_bundle(tmp_path / "plain", key)
    with from_bundle(open_bundle(root, TrustStore.of(key)), ENGINE) as detector:
        tensor, _ = preprocess(plain.inverted(), detector.spec.preprocess)
        apart = float(np.square(detector.score(tensor).features - plate_features).sum())
    statistics = FeatureStatistics(
        ("forearm",),
        (np.eye(2) * np.sqrt(3 / apart)).astype(np.float32),
        (plate_features[None] * np.sqrt(3 / apart)).astype(np.float32),
    )
    with from_bundle(bundle_with(statistics, tmp_path, key), ENGINE) as detector:
        wanted, found = detector.detect(plain), detector.detect(plain.inverted())

    assert found.verdict is wanted.verdict is Verdict.FRACTURE
    assert found.boxes == wanted.boxes and found.boxes
    assert any("exchanged" in warning for warning in found.warnings)
    assert not any("may be inverted" in warning for warning in found.warnings)
    assert not any("exchanged" in warning for warning in wanted.warnings)
    assert problems(found.to_json()) == []


def test_inverting_twice_gives_the_picture_back() -> None:
    plain = read_bytes(radiograph_png(True))
    assert np.array_equal(plain.inverted().inverted().pixels, plain.pixels)
    assert int(plain.inverted().pixels.max()) < 1 << plain.bit_depth


def test_an_unusual_picture_is_answered_with_a_warning(
    tmp_path: Path, key: Ed25519PrivateKey, plate_features: np.ndarray
) -> None:
    with from_bundle(bundle_with(at_distance(1.5, plate_features), tmp_path, key), ENGINE) as detector:
        findings = detector.detect_bytes(radiograph_png(True))

    assert findings.verdict is Verdict.FRACTURE
    assert any("unlike" in warning for warning in findings.warnings)


def test_a_familiar_picture_is_answered_without_a_warning(
    tmp_path: Path, key: Ed25519PrivateKey, plate_features: np.ndarray
) -> None:
    bundle = bundle_with(at_distance(0.5, plate_features), tmp_path, key)
    with from_bundle(bundle) as detector:
        findings = detector.detect_bytes(radiograph_png(True))

    assert findings.verdict is Verdict.FRACTURE
    assert not any("unlike" in warning for warning in findings.warnings)


def test_an_engine_that_finds_the_golden_cases_strange_does_not_pass(
    tmp_path: Path, key: Ed25519PrivateKey, plate_features: np.ndarray
) -> None:
    with pytest.raises(BackendError, match="is refused as strange, expected none"):
        selftest.choose(bundle_with(at_distance(9.0, plate_features), tmp_path, key))


@pytest.mark.parametrize(("squared", "passes"), [(9.0, True), (0.5, False)])
def test_golden_cases_that_were_strange_when_released_must_be_so_here(
    squared: float, passes: bool, tmp_path: Path, key: Ed25519PrivateKey, plate_features: np.ndarray
) -> None:
    options = BundleOptions(anomaly=at_distance(squared, plate_features), golden_are_strange=True)
    bundle = open_bundle(make_bundle(tmp_path / "bundle", key, options), TrustStore.of(key))
    (result,) = selftest.run(bundle)

    assert result.passed is passes
    assert passes or "is not refused as strange, expected a refusal" in result.reason


def test_golden_cases_cannot_be_strange_without_statistics(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    with pytest.raises(ValueError, match="no statistics find"):
        make_bundle(tmp_path / "bundle", key, BundleOptions(golden_are_strange=True))


def test_a_bundle_whose_statistics_are_no_statistics_gives_no_detector(
    tmp_path: Path, key: Ed25519PrivateKey, plate_features: np.ndarray
) -> None:
    class Rotten(FeatureStatistics):
        def to_bytes(self) -> bytes:
            return b"rotten"

    sound = at_distance(0.5, plate_features)
    rotten = Rotten(sound.parts, sound.whitening, sound.centres)
    with pytest.raises(BundleFormatError, match="anomaly statistics"):
        from_bundle(bundle_with(rotten, tmp_path, key), ENGINE)
