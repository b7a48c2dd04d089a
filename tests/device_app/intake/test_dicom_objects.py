"""A data set with its head is a DICOM file; the receiver takes what the reader reads, no more, no less."""

import io

import numpy as np
import pydicom.uid
import pytest
from pydicom import dcmread

from device_app.intake.dicom_objects import SOP_CLASSES, TRANSFER_SYNTAXES, file_head, is_uid
from runtime.errors import InputError
from runtime.readers import read_bytes
from tests.device_app.intake.senders import file_of
from tests.runtime.readers.makers import dicom

NATIVE = [*pydicom.uid.UncompressedTransferSyntaxes, pydicom.uid.DeflatedExplicitVRLittleEndian]
GRAY = np.full((16, 16), 7, np.uint16)


def data_set_of(file):
    """What stands behind the file meta information, whose own length is its first element."""
    return file[144 + dcmread(io.BytesIO(file)).file_meta.FileMetaInformationGroupLength :]


@pytest.mark.parametrize("instance", ["1.2.3", "1.2.34", "2.25.171741346326356631326644224245367585147"])
def test_a_head_and_a_data_set_are_a_file_that_is_read(instance):
    original = file_of(1)
    made = file_head("1.2.840.10008.5.1.4.1.1.1", instance, TRANSFER_SYNTAXES[0]) + data_set_of(original)
    assert np.array_equal(read_bytes(made).pixels, read_bytes(original).pixels)
    meta = dcmread(io.BytesIO(made)).file_meta
    assert meta.MediaStorageSOPInstanceUID == instance and meta.TransferSyntaxUID == TRANSFER_SYNTAXES[0]
    assert pydicom.uid.UID(meta.ImplementationClassUID).is_valid
    pydicom.dataset.validate_file_meta(meta)


@pytest.mark.parametrize("syntax", sorted({*pydicom.uid.AllTransferSyntaxes, *TRANSFER_SYNTAXES}))
def test_the_receiver_agrees_to_what_the_reader_reads(syntax):
    native = syntax in NATIVE
    file = dicom(GRAY, frame=None if native else b"\xff\xd8" * 8, syntax=syntax)
    try:
        read_bytes(file)
        said = ""
    except InputError as error:
        said = str(error)
    assert ("is not read" in said and "transfer syntax" in said) == (syntax not in TRANSFER_SYNTAXES), said


def test_no_class_of_moving_pictures_or_raw_data_is_taken():
    assert {pydicom.uid.UID(sop_class).name for sop_class in SOP_CLASSES} == set(SOP_CLASSES.values())


@pytest.mark.parametrize(
    "text", ["", "1", "1.2.", ".1.2", "1..2", "1.a", "1.2\n", "../1.2", "1.2/3", "1." + "2" * 63]
)
def test_what_is_no_uid_is_told(text):
    assert not is_uid(text)


@pytest.mark.parametrize("text", ["1.2", "1.2.840.10008.1", "2.25.0", "1.02.3", "1." + "2" * 62])
def test_what_is_one_is_too(text):
    assert is_uid(text)
