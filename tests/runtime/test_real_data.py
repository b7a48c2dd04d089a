"""Readers and quality checks on real files: each does what its manifest says should be done with it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.detector import from_bundle
from runtime.errors import InputError, UnsupportedImageError
from runtime.faults import FaultKind
from runtime.findings import RefusalCode
from runtime.quality import Assessment, assess
from runtime.readers import read_file
from runtime.reference import open_named

pytestmark = pytest.mark.real_data
BODY_PARTS = ("hand", "leg", "hip", "shoulder")
SAMPLE = 200
MAX_FALSE_REFUSALS = 0.01
NOT_DECODABLE_HERE = {"real/cr_hip_jpeg_extended12_fixed.dcm"}
"""Lossy 12-bit JPEG: the manifest's decoder is GPL-licensed and not used."""
LEFT_TO_THE_MODEL = {"odd/deflated_sc.dcm"}
"""A test pattern, which only the model's features tell from a radiograph."""


def judged(path: Path) -> Assessment | InputError:
    try:
        return assess(read_file(path), body_parts=BODY_PARTS)
    except InputError as error:
        return error


def outcome(path: Path) -> str:
    """ "accept", "warn", the code of a refusal, "modality" or "error"."""
    found = judged(path)
    if isinstance(found, InputError):
        assert found.hint and "\n" not in str(found)
        return "modality" if isinstance(found, UnsupportedImageError) else "error"
    if found.refusal is not None:
        return str(found.refusal.code)
    # A JPEG never says which body part it shows; only a DICOM file could have.
    telling = [text for text in found.warnings if path.suffix == ".dcm" or "does not say" not in text]
    return "warn" if telling else "accept"


ANSWERED = {"accept", "warn"}
ERROR = {"error", "modality"}
ALLOWED = {
    "accept": ANSWERED,
    "accept_with_warning": {"warn"},
    "accept_or_clear_error": ANSWERED | ERROR,
    "warn_body_part": {"warn", "body_part"},
    "warn_or_clear_error": {"warn", "body_part"} | ERROR,
    "warn_or_reject": {"warn", "body_part", "too_small"},
    "warn": {"warn"},
    "reject_modality": {"modality"},
    "reject_quality": {"no_contrast"},
    "clear_error": ERROR,
    "clear_error_or_accept_as_jpeg": ANSWERED | ERROR,
    "reject_not_xray": {"not_a_radiograph"},
    "reject_too_small": {"too_small"},
    "warn_quality": {"warn"},
    "accept_or_warn_quality": ANSWERED,
    "accept_or_warn_polarity": ANSWERED,
}


@pytest.mark.parametrize("folder", ["dicom", "negatives"])
def test_every_file_of_the_manifest_is_treated_as_it_expects(real_data: Path, folder: str) -> None:
    rows = list(csv.DictReader((real_data / folder / "manifest.csv").open(newline="", encoding="utf-8")))
    rows = [row for row in rows if row["file"] not in NOT_DECODABLE_HERE | LEFT_TO_THE_MODEL]
    outcomes = {row["file"]: outcome(real_data / folder / row["file"]) for row in rows}
    wrong = {
        row["file"]: (row["expect"], outcomes[row["file"]])
        for row in rows
        if outcomes[row["file"]] not in ALLOWED[row["expect"]]
    }

    assert len(rows) > 20
    assert wrong == {}


@pytest.mark.slow
def test_the_reference_model_gives_no_answer_for_what_the_quality_check_lets_through(real_data: Path) -> None:
    with from_bundle(open_named(None, None), "onnxruntime-fp32") as detector:
        for name in LEFT_TO_THE_MODEL:
            found = detector.detect_bytes((real_data / "dicom" / name).read_bytes())
            assert found.refusal is not None and found.refusal.code is RefusalCode.UNFAMILIAR, name


@pytest.mark.slow
def test_the_reference_model_reads_an_inverted_radiograph_the_right_way_round(real_data: Path) -> None:
    paths = sorted((real_data / "fracatlas" / "images").glob("*.jpg"))[::200]
    with from_bundle(open_named(None, None), "onnxruntime-fp32") as detector:
        for path in paths:
            plain = read_file(path)
            wanted, found = detector.detect(plain), detector.detect(plain.inverted())
            if found.refusal is None:
                assert any("exchanged" in warning for warning in found.warnings), path.name
                assert found.verdict is wanted.verdict, path.name
            assert not any("exchanged" in warning for warning in wanted.warnings), path.name


@pytest.mark.parametrize(
    "name",
    [
        "hand_j2k_lossless_kodak",
        "hip_jpeg_lossless",
        "extremity_mono1_j2k_lossless",
        "extremity_mono1_j2k_lossy",
    ],
)
def test_an_x_ray_systems_own_picture_is_not_called_blurred_or_compressed(real_data: Path, name: str) -> None:
    faults = assess(read_file(real_data / "dicom/real" / f"cr_{name}.dcm")).faults
    assert {fault.kind for fault in faults} & {FaultKind.BLURRED, FaultKind.COMPRESSED} == set()


def test_a_blurred_picture_of_an_x_ray_system_is_called_blurred(real_data: Path) -> None:
    sharp = read_file(real_data / "dicom/real/cr_hand_j2k_lossless_kodak.dcm")
    soft = replace(sharp, pixels=cv2.GaussianBlur(np.array(sharp.pixels), (0, 0), 12))
    assert FaultKind.BLURRED in {fault.kind for fault in assess(soft).faults}


@pytest.mark.slow
def test_the_reference_model_answers_for_other_makers_limbs_and_not_for_a_chest(
    real_data: Path,
) -> None:
    with from_bundle(open_named(None, None), "onnxruntime-fp32") as detector:
        for name in ("hand_j2k_lossless_kodak", "hip_jpeg_lossless", "extremity_mono1_j2k_lossless"):
            found = detector.detect_bytes((real_data / "dicom/real" / f"cr_{name}.dcm").read_bytes())
            assert found.refusal is None, name
            assert any("unlike most" in warning for warning in found.warnings), name
        chest = read_file(real_data / "dicom/real/cr_chest_mono1_15bit_j2k.dcm")
        # Whatever body part its file may claim.
        mislabelled = replace(chest, facts=replace(chest.facts, body_part="hand"))
        found = detector.detect(mislabelled)
        assert found.refusal is not None and found.refusal.code is RefusalCode.UNFAMILIAR


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("xray_frac_blurred.jpg", "blurred"),
        ("xray_norm_blurred.jpg", "blurred"),
        ("xray_frac_underexposed.jpg", "dark"),
        ("xray_frac_overexposed.jpg", "bright"),
        ("xray_norm_inverted.jpg", "inverted"),
        ("xray_norm_phone_photo.jpg", "tinted"),
    ],
)
def test_a_degraded_radiograph_is_warned_of_by_its_own_fault(real_data: Path, name: str, word: str) -> None:
    found = judged(real_data / "negatives" / name)

    assert isinstance(found, Assessment) and found.refusal is None
    assert any(word in warning for warning in found.warnings)


def test_hardly_any_real_radiograph_is_refused(real_data: Path) -> None:
    images = sorted((real_data / "fracatlas" / "images").glob("*.jpg"))
    sample = images[:: max(1, len(images) // SAMPLE)]
    refused = [path.name for path in sample if outcome(path) not in ANSWERED]

    assert len(refused) <= MAX_FALSE_REFUSALS * len(sample), refused


def test_one_picture_in_every_dicom_encoding_gives_the_same_pixels(real_data: Path) -> None:
    made = real_data / "dicom" / "made"
    plain = read_file(made / "dx_hand_fractured_12bit_explicit.dcm").pixels

    for name in ("rle", "j2k_lossless", "jpegls_lossless", "implicit", "mono1", "rescale"):
        assert np.array_equal(read_file(made / f"dx_hand_fractured_{name}.dcm").pixels, plain), name
