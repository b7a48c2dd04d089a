"""An engine with thresholds of its own: in the bundle, in detector and self-test, shown, signed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle, EngineEntry, GoldenCase, Manifest, open_bundle
from runtime.detector import from_bundle
from runtime.errors import BundleFormatError, SignatureError
from runtime.examination import ExaminationSpec, combine
from runtime.findings import OperatingPoints, Verdict
from runtime.golden import examine
from runtime.latency import LatencyOptions
from runtime.manifest import MANIFEST_NAME
from runtime.tables import verify_json
from runtime.trust import TrustStore, generate_key, public_pem
from tests.bundles import OPERATING_POINTS, BundleOptions, make_bundle, radiograph_png
from tests.runtime.kit import POINTS, Contents, entry, golden_cases, make, manifest
from tests.runtime.models import onnx_bytes
from tests.runtime.test_cli import ulna

FLOAT, RAISED = "onnxruntime-fp32", "onnxruntime-int8"
OWN = OperatingPoints(0.54, 0.86)  # near the logits of the bundle's own points, 0.3 and 0.7, and one more
MODEL = "models/raised.onnx"


def raised(own: OperatingPoints | None) -> Contents:
    """Beside the plain engine one whose logits all lie one higher."""
    cases = tuple(
        GoldenCase(case.name, case.file, case.verdict, {**case.logits, RAISED: case.logits[FLOAT] + 1.0})
        for case in golden_cases(FLOAT)
    )
    other = entry(precision="int8", main=MODEL, operating_points=own)
    return Contents((entry(), other), cases, {MODEL: onnx_bytes(bias=1.0)})


def test_an_engine_answers_the_golden_cases_by_its_own_thresholds_and_fails_by_the_bundles(
    tmp_path: Path,
) -> None:
    def result(name: str, own: OperatingPoints | None, key: str = RAISED) -> tuple[bool, str]:
        bundle = make(tmp_path / name, raised(own))
        seen = examine(bundle, bundle.entry(key), BackendOptions(threads=1), LatencyOptions(warmup=1, runs=2))
        return seen.passed, seen.reason

    passed = (True, "3 golden cases answered as released, the place of findings not among them")
    assert result("own", OWN) == passed
    assert result("plain", OWN, FLOAT) == passed
    passed, reason = result("locked", None)
    assert not passed
    assert "wrong decision on golden case doubt: fracture, expected doubt" in reason


def test_a_manifest_holds_own_thresholds_only_where_an_engine_has_some() -> None:
    whole = manifest(raised(OWN))
    plain, moved = json.loads(whole.to_json())["engines"]
    assert moved["operating_points"] == vars(OWN)
    assert "operating_points" not in plain and "examination_points" not in plain
    assert "examination_points" not in moved
    again = Manifest.from_json(whole.to_json())
    assert again == whole
    assert [again.points_of(item) for item in again.engines] == [POINTS, OWN]


def test_own_thresholds_of_images_and_of_examinations_stand_together() -> None:
    whole = manifest(raised(OWN))
    with pytest.raises(ValueError, match="must have examination_points"):
        dataclasses.replace(whole, examination=ExaminationSpec("noisy_or", POINTS))
    both = entry(operating_points=OWN, examination_points=POINTS)
    with pytest.raises(ValueError, match="must have no examination_points"):
        dataclasses.replace(whole, engines=(both,))
    with pytest.raises(ValueError, match="stand beside operating_points"):
        entry(examination_points=POINTS)
    found = dataclasses.replace(whole, engines=(both,), examination=ExaminationSpec("noisy_or", OWN))
    assert found.examination_of(both) == ExaminationSpec("noisy_or", POINTS)
    assert found.examination_of(entry()) == ExaminationSpec("noisy_or", OWN)


def test_own_thresholds_that_contradict_each_other_are_refused_by_name() -> None:
    table = json.loads(manifest(raised(OWN)).to_json())
    table["engines"][1]["operating_points"]["high_sensitivity"] = 0.9
    with pytest.raises(BundleFormatError, match=r"engines\[1\]\.operating_points"):
        Manifest.from_json(json.dumps(table).encode())


@pytest.fixture
def moved(tmp_path: Path) -> tuple[Bundle, OperatingPoints, Path]:
    """A bundle whose engine has thresholds by which a clear fracture is a doubt; the maker's public key."""
    key = generate_key()
    plate = radiograph_png(True, seed=1)
    plain = open_bundle(make_bundle(tmp_path / "plain", key), TrustStore.of(key))
    with from_bundle(plain, FLOAT) as detector:
        seen = detector.detect_bytes(plate)
    assert seen.verdict is Verdict.FRACTURE and seen.operating_points == OPERATING_POINTS
    assert seen.probability is not None
    own = OperatingPoints(seen.probability / 2, (1 + seen.probability) / 2)
    root = make_bundle(tmp_path / "moved", key, BundleOptions(own_points=own))
    (tmp_path / "maker.pem").write_bytes(public_pem(key.public_key()))
    return open_bundle(root, TrustStore.of(key)), own, tmp_path / "maker.pem"


def test_the_detector_decides_by_them_and_findings_say_so(
    moved: tuple[Bundle, OperatingPoints, Path],
) -> None:
    bundle, own, _ = moved
    with from_bundle(bundle, FLOAT) as detector:
        seen = [detector.detect_bytes(radiograph_png(True, seed=number)) for number in (1, 1)]
    assert seen[0].verdict is Verdict.DOUBT and seen[0].operating_points == own
    assert seen[0].to_json()["operating_points"] == vars(own)
    assert combine(seen, detector.spec.examination).operating_points == own


def test_a_person_who_verifies_the_bundle_sees_them(
    moved: tuple[Bundle, OperatingPoints, Path], tmp_path: Path
) -> None:
    bundle, own, pem = moved
    assert verify_json(bundle)["engines"][0]["operating_points"] == vars(own)
    done = ulna(tmp_path, "verify", "--bundle", bundle.root, "--trust", pem)
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    assert "by thresholds of its own" in words and f"fracture from {own.high_specificity:.3f} on" in words


@pytest.mark.parametrize("what", ["another threshold", "none"])
def test_own_thresholds_that_were_altered_or_taken_out_are_refused(
    moved: tuple[Bundle, OperatingPoints, Path], what: str
) -> None:
    bundle, _, pem = moved
    path = bundle.root / MANIFEST_NAME
    table = json.loads(path.read_bytes())
    if what == "none":
        del table["engines"][0]["operating_points"]
    else:
        table["engines"][0]["operating_points"]["high_sensitivity"] /= 2
    path.write_text(json.dumps(table, sort_keys=True, indent=2) + "\n", encoding="utf-8")
    with pytest.raises(SignatureError, match="was altered"):
        open_bundle(bundle.root, TrustStore.from_paths(pem))


def test_an_engine_without_own_thresholds_is_written_as_before() -> None:
    table = json.loads(manifest().to_json())
    known = {"engine", "precision", "main", "weights", "status", "note", "logit_tolerance"}
    assert [set(item) for item in table["engines"]] == [known]
    assert EngineEntry(**table["engines"][0]) == manifest().engines[0]
