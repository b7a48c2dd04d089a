"""A name is put into every place that can hold one; then all that leaves the box is searched for it."""

from __future__ import annotations

import json
import logging
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.facts import to_text
from device_app.readings import Draft, Judgement, Kind
from device_app.settings import Settings
from device_app.store.consent import Consents
from device_app.store.records import Upload
from runtime.metadata import PatientFacts
from runtime.readers import read_bytes
from tests.device_app import sample
from tests.device_app.export.conftest import Site
from tests.runtime.readers.makers import dicom, png_chunk

NAME = "ZQXNAMEJ"
_TEXT = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_BYTES = {"OB", "OW", "UN", "OB or OW"}
_READ = {
    "Modality", "SpecificCharacterSet", "PhotometricInterpretation", "PixelData", "PresentationIntentType",
    "PixelPresentation", "ShutterShape", "PresentationLUTShape", "VOILUTFunction",
}  # fmt: skip
"""What a reader decides by: with a name in it, the file is another one or none."""


def spoken(name: str) -> Iterator[bytes]:
    """Every way in which the bytes may hold it."""
    for text in (name, name.lower(), name.title()):
        for code in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
            yield text.encode(code)
    yield name.encode()[::-1]


def named_dicom() -> bytes:
    """In every element of the standard that can hold text or bytes, in private ones, in sequences."""
    data = pydicom.dcmread(BytesIO(dicom(sample.forearm(sample.FRACTURE, 3), BitsStored=12, HighBit=11)))
    for number, (vr, _, _, retired, keyword) in DicomDictionary.items():
        tag = Tag(number)
        group = tag.group
        if group in (0x0000, 0x0002, 0x0004, 0x0028, 0xFFFE) or keyword in _READ or not keyword:
            continue
        if vr in _TEXT:
            data.add_new(tag, vr, NAME if vr != "PN" else f"{NAME}^{NAME.title()}")
        elif vr in _BYTES and group != 0x7FE0:
            data.add_new(tag, "OB", NAME.encode() + b"\0" * (len(NAME) % 2))
        del retired
    inner = Dataset()
    inner.PatientName, inner.PatientComments = NAME, NAME
    for keyword in ("RequestAttributesSequence", "OtherPatientIDsSequence", "ReferencedStudySequence"):
        setattr(data, keyword, [inner])
    block = data.private_block(0x0011, NAME, create=True)
    for at, vr in enumerate(("LO", "UT", "PN"), start=1):
        block.add_new(at, vr, NAME)
    data.add_new(0x60000010, "US", 520)
    data.add_new(0x60000011, "US", 400)
    data.add_new(0x60003000, "OB", NAME.encode() * 3250)
    data.add_new(0x60000022, "LO", NAME)
    data.add_new(0x50003000, "OB", NAME.encode())
    data.ICCProfile = NAME.encode()
    data.PatientAge, data.BodyPartExamined = "041Y", f"{NAME} HAND"
    file = BytesIO()
    data.save_as(file)
    return file.getvalue() + NAME.encode()


def named_png() -> bytes:
    """In text, EXIF and profile chunks."""
    plain = sample.picture(sample.NONE, 5)
    text = png_chunk(b"tEXt", b"Author\0" + NAME.encode()) + png_chunk(
        b"iTXt", b"Title\0\0\0\0\0" + NAME.encode()
    )
    exif = png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0" + NAME.encode())
    packed = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(NAME.encode()))
    return plain[:33] + text + exif + packed + plain[33:] + NAME.encode()


def named_jpeg() -> bytes:
    """In a comment, EXIF, and after the end."""
    pixels = (sample.forearm(sample.DOUBT, 6) >> 4).astype(np.uint8)
    plain = bytes(cv2.imencode(".jpg", pixels)[1])
    body = b"Exif\0\0MM\0*\0\0\0\x08\0\0" + NAME.encode()
    exif = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    comment = b"\xff\xfe" + struct.pack(">H", len(NAME) + 2) + NAME.encode()
    return plain[:2] + exif + comment + plain[2:] + NAME.encode()


@pytest.mark.parametrize("made", [named_dicom, named_png, named_jpeg])
def test_a_name_that_is_everywhere_in_the_source_is_nowhere_in_what_leaves(
    site: Site,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    made: object,
) -> None:
    caplog.set_level(logging.DEBUG)
    assert callable(made)
    source = made()
    assert source.count(NAME.encode()) >= 3 and read_bytes(source).width_px == 400
    people = People(site.store.database)
    people.add(NAME, Role.READER, "830271", "box")
    Settings(site.store.database).change("box", clinic=NAME)
    reader = next(one.public_id for one in people.all())
    said = PatientFacts(age=NAME, sex=NAME, body_part=f"{NAME} wrist", view=NAME)
    upload = Upload(f"{NAME}.dcm", f"{NAME} 1", facts_json=to_text(said))
    examination = site.store.records.receive(BytesIO(source), upload).public_id
    site.work_off()
    site.say(examination, Draft(Kind.SECOND, Judgement.FRACTURE, note=f"{NAME} fell"), reader)
    site.say(examination, Draft(Kind.OUTCOME, Judgement.FRACTURE, note=NAME), reader)
    Consents(site.store.database).give(examination, reader)

    assert len(site.looked_at()) == 1
    folder = site.fetched(tmp_path)
    ready = site.exports.zip.get()
    assert ready is not None
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert len(files) == 5 and (folder / "labels.csv").read_text().count("\n") == 2
    written = [entry.entry for entry in site.store.log.written() if entry.entry.action not in _NAMES_THE_SITE]
    said_outside = [caplog.text, *capfd.readouterr(), *(json.dumps(vars(entry)) for entry in written)]
    everything = {str(one): one.read_bytes() for one in files}
    everything |= {
        "zip": ready.path.read_bytes(),
        "names": " ".join(str(one.relative_to(tmp_path)) for one in files).encode(),
    }
    everything |= {f"said {number}": text.encode() for number, text in enumerate(said_outside)}
    for place, data in everything.items():
        assert not [form for form in spoken(NAME) if form in data], place
    for one in folder.glob("images/*.dcm"):
        assert not [
            element
            for element in pydicom.dcmread(one).iterall()
            if NAME.lower() in str(element.value).lower()
        ]


_NAMES_THE_SITE = ("setting_changed",)
"""The clinic's own name is logged where it is changed; the log is the site's and no export."""


def test_the_search_finds_a_name_where_there_is_one() -> None:
    assert any(form in "x ZQXNAMEJ y".encode("utf-16-le") for form in spoken(NAME))
    assert any(form in zlib.decompress(zlib.compress(NAME.lower().encode())) for form in spoken(NAME))
