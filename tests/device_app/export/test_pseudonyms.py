"""Names that mean nothing, and yet keep together what belongs together."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from device_app.export.pseudonyms import Pseudonyms, export_key
from device_app.store.consent import Consented

FOUND = Consented(1, "exam-a", "ab" * 32, 1000, "Jane Doe", "", "", False, "{}")
ONE, OTHER = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


def test_a_patient_is_one_however_her_label_is_spelt() -> None:
    spelt = [replace(FOUND, patient_label=label, examination=label) for label in ("jane  doe", " JANE DOE ")]
    assert {ONE.patient(found) for found in spelt} == {ONE.patient(FOUND)}
    assert ONE.patient(replace(FOUND, patient_label="Jane Roe")) != ONE.patient(FOUND)


def test_without_a_label_the_study_is_the_patient_and_without_one_the_examination() -> None:
    bare = replace(FOUND, patient_label="")
    assert ONE.patient(bare) != ONE.patient(replace(bare, examination="exam-b"))
    study = replace(bare, study_sha256="cd" * 32)
    assert ONE.patient(study) == ONE.patient(replace(study, examination="exam-b"))


def test_two_body_parts_of_one_study_are_one_patient() -> None:
    hand, foot = (
        replace(FOUND, patient_label="", study_sha256=f"{'cd' * 20}-{shown * 23}") for shown in "12"
    )
    assert ONE.patient(hand) == ONE.patient(replace(foot, examination="exam-b"))


def test_uids_are_of_a_uuid_and_differ_by_kind_and_box() -> None:
    uids = [make(FOUND) for box in (ONE, OTHER) for make in (box.study, box.series, box.image)]
    assert len(set(uids)) == 6
    assert all(re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid) and len(uid) <= 64 for uid in uids)


def test_people_are_six_letters() -> None:
    assert re.fullmatch("[A-Z]{6}", ONE.actor("p1")) and ONE.actor("p1") != ONE.actor("p2")
    assert ONE.actor("p1") != OTHER.actor("p1")


def test_the_key_is_made_once_and_is_the_kiosks_alone(tmp_path: Path) -> None:
    key = export_key(tmp_path)
    assert len(key) == 32 and export_key(tmp_path) == key
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_key_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    key = export_key(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(key[:7])
    assert len(export_key(tmp_path)) == 32 and export_key(tmp_path) != key


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")
