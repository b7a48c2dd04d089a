"""Whose picture a file says it is: told before its pixels are decoded, and whatever becomes of them."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

import psutil
import pytest
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from runtime.errors import InputError, UnreadableImageError
from runtime.radiograph import FileSays
from runtime.readers import guarded, read_bytes, read_header
from tests.runtime.readers.makers import dicom, encoded, plate

GRAY = plate(bits=12)
SAID: dict[str, Any] = {
    "StudyInstanceUID": "1.2.3",
    "PatientID": "P 17",
    "BodyPartExamined": "LOWER_LEG",
    "ImageLaterality": "L",
}


def heard(data: bytes) -> FileSays:
    """What is told once of this file."""
    told: list[FileSays] = []
    with contextlib.suppress(InputError):
        read_bytes(data, listener=told.append)
    (only,) = told
    return only


def study(**elements: Any) -> str:
    return heard(dicom(GRAY, **{**SAID, **elements})).study_sha256


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_what_a_header_says_is_told_in_words(syntax: str) -> None:
    says = heard(dicom(GRAY, syntax=syntax, **SAID))
    assert (says.patient, says.body_part, says.laterality) == ("P 17", "lower leg", "left")
    assert len(says.study_sha256) == 64 and says == heard(dicom(GRAY, **SAID))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_picture_that_is_cut_off_still_says_whose_it_is(syntax: str) -> None:
    whole = dicom(GRAY, syntax=syntax, **SAID)
    with pytest.raises(UnreadableImageError):
        read_bytes(whole[: len(whole) // 2])
    assert heard(whole[: len(whole) // 2]) == heard(whole)


@pytest.mark.parametrize(
    "elements",
    [
        {"Modality": "CT", "SOPClassUID": CTImageStorage},
        {"NumberOfFrames": 9},
        {"Rows": 9000, "Columns": 9000},
    ],
    ids=["another-modality", "frames", "size"],
)
def test_a_picture_that_is_refused_says_whose_it_is(elements: dict[str, Any]) -> None:
    data = dicom(GRAY, **{**SAID, **elements})
    with pytest.raises(InputError):
        read_bytes(data)
    assert heard(data) == heard(dicom(GRAY, **SAID))


def test_one_uid_for_two_patients_is_two_studies() -> None:
    assert study() == study(BodyPartExamined="HAND", ImageLaterality="R")
    assert len({study(), study(PatientID="P 18"), study(PatientID=""), study(IssuerOfPatientID="X")}) == 4
    assert study(StudyInstanceUID="") == ""


def test_patients_whose_number_is_nobodys_are_told_apart_by_name_and_date_of_birth() -> None:
    known: dict[str, Any] = {
        "PatientID": "UNKNOWN",
        "PatientName": "Abel^Amina",
        "PatientBirthDate": "19900101",
    }
    other_name, other_date = {"PatientName": "Berta^Fine"}, {"PatientBirthDate": "19900102"}
    assert len({study(**{**known, **more}) for more in ({}, other_name, other_date)}) == 3
    assert study(**known) == study(**{**known, "PatientName": "ABEL^AMINA^^"})


def test_a_side_in_words_of_its_own_is_no_unknown_side() -> None:
    sides = [heard(dicom(GRAY, ImageLaterality=word)).laterality for word in ("LEFT", "RIGHT", "U", "")]
    assert sides == ["left", "right", "u", ""]


@pytest.mark.parametrize(
    "data",
    [
        encoded(".png", plate()),
        b"nothing",
        bytes(128) + b"DICM" + b"\xff" * 99,
        dicom(GRAY, **SAID)[:300],
    ],
    ids=["png", "no-picture", "damaged", "cut-in-its-header"],
)
def test_other_files_and_damaged_headers_say_nothing(data: bytes) -> None:
    assert heard(data) == FileSays()


def test_nothing_is_told_of_a_file_whose_reading_did_not_get_so_far() -> None:
    data, told = dicom(GRAY, **SAID), list[FileSays]()
    read_bytes(data)
    assert guarded._holder.zygote is not None
    zygote = guarded._holder.zygote._process.pid
    for child in psutil.Process(zygote).children():
        os.kill(child.pid, signal.SIGKILL)
    read_bytes(data, listener=told.append)
    assert told == [heard(data)], "the second try tells it, and the first has told nothing else"


def test_what_the_listener_raises_ends_the_reading_and_the_next_picture_is_read() -> None:
    def full(_says: FileSays) -> None:
        raise KeyError("no room")

    with pytest.raises(KeyError, match="no room"):
        read_bytes(dicom(GRAY, **SAID), listener=full)
    assert (read_bytes(dicom(GRAY, **SAID)).pixels == GRAY).all()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("share", [1.0, 0.5], ids=["whole", "cut-off"])
def test_a_header_asked_for_by_itself_says_the_same(syntax: str, share: float) -> None:
    whole = dicom(GRAY, syntax=syntax, **SAID)
    assert read_header(whole[: int(len(whole) * share)]) == heard(whole)


@pytest.mark.parametrize(
    "data", [encoded(".png", plate()), bytes(128) + b"DICM" + b"\xff" * 99], ids=["png", "damaged"]
)
def test_a_header_asked_for_by_itself_says_nothing_of_other_files(data: bytes) -> None:
    assert read_header(data) == FileSays()


def test_no_picture_is_decoded_for_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    replies: list[guarded.Reply] = []
    ask = guarded.ask

    def kept(*asked: Any) -> guarded.Reply:
        replies.append(ask(*asked))
        return replies[-1]

    monkeypatch.setattr(guarded, "ask", kept)
    assert read_header(dicom(GRAY, **SAID)) == heard(dicom(GRAY, **SAID))
    header, whole = (reply.beside.pixels.size for reply in replies)
    assert (header, whole) == (0, GRAY.size)
