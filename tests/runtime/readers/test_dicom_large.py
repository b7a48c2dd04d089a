"""Plates of real size, whose uncompressed pixels are looked at where they lie: the same values as ever."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from runtime.errors import UnreadableImageError
from runtime.readers import read_bytes
from tests.runtime.readers.makers import dicom, plate

HEIGHT_PX, WIDTH_PX = 1201, 901
GRAY8, GRAY12 = plate(HEIGHT_PX, WIDTH_PX, bits=8), plate(HEIGHT_PX, WIDTH_PX, bits=12)
SIGNED = GRAY12.astype(np.int16) - 2000


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: dicom(GRAY12), GRAY12),
        (lambda: dicom(GRAY12, syntax=ImplicitVRLittleEndian), GRAY12),
        (lambda: dicom(GRAY12, syntax=DeflatedExplicitVRLittleEndian), GRAY12),
        (
            lambda: dicom(GRAY12, syntax=ExplicitVRBigEndian, PixelData=GRAY12.astype(">u2").tobytes()),
            GRAY12,
        ),
        (lambda: dicom(GRAY12, PhotometricInterpretation="MONOCHROME1"), 4095 - GRAY12),
        (lambda: dicom(GRAY12, RescaleSlope=-1, RescaleIntercept=4095), 4095 - GRAY12),
        (lambda: dicom(SIGNED), (SIGNED + 2048).astype(np.uint16)),
        (lambda: dicom((SIGNED & 0x0FFF).astype(np.int16)), (SIGNED + 2048).astype(np.uint16)),
        (
            lambda: dicom(SIGNED, PhotometricInterpretation="MONOCHROME1"),
            (4095 - (SIGNED.astype(np.int32) + 2048)).astype(np.uint16),
        ),
        (lambda: dicom(GRAY8), GRAY8.astype(np.uint16)),
        (lambda: dicom(GRAY8, PhotometricInterpretation="MONOCHROME1"), 255 - GRAY8.astype(np.uint16)),
    ],
)
def test_every_form_of_uncompressed_pixels_keeps_its_values(
    make: Callable[[], bytes], expected: np.ndarray
) -> None:
    assert np.array_equal(read_bytes(make()).pixels, expected)


def test_an_overlay_in_the_unused_bits_is_left_out() -> None:
    drawn = GRAY12 | (np.arange(GRAY12.size, dtype=np.uint16).reshape(GRAY12.shape) % 3 << 12)
    dataset = dcmread(BytesIO(dicom(drawn)))
    dataset.add_new(0x60000102, "US", 12)
    file = BytesIO()
    dataset.save_as(file)
    assert np.array_equal(read_bytes(file.getvalue()).pixels, GRAY12)


def test_padding_is_as_dark_as_the_darkest_exposed_pixel() -> None:
    padded = GRAY12.copy()
    padded[:100] = 4095
    radiograph = read_bytes(dicom(padded, PixelPaddingValue=4095))
    assert np.array_equal(radiograph.pixels[100:], GRAY12[100:])
    assert (radiograph.pixels[:100] == GRAY12[100:].min()).all()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, None])
@pytest.mark.parametrize("lost", [1, 2, 100_000])
def test_a_plate_that_was_cut_off_is_refused(syntax: str | None, lost: int) -> None:
    data = dicom(GRAY12) if syntax is None else dicom(GRAY12, syntax=syntax)
    with pytest.raises(UnreadableImageError, match=r"ends before its data does|declares"):
        read_bytes(data[:-lost])


def test_a_large_element_beside_the_pixels_that_was_cut_off_is_refused() -> None:
    data = dicom(GRAY12, DataSetTrailingPadding=bytes(2 << 20))
    assert np.array_equal(read_bytes(data).pixels, GRAY12)
    with pytest.raises(UnreadableImageError, match="ends before its data does"):
        read_bytes(data[: -(1 << 20)])


def test_pixels_of_another_length_than_declared_are_refused() -> None:
    with pytest.raises(UnreadableImageError, match="declares"):
        read_bytes(dicom(GRAY12, PixelData=GRAY12[:-1].tobytes()))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_lookup_tables_that_are_large_together_are_applied(count: int) -> None:
    """One of 65,536 words is smaller than what the parser passes over, several are not."""
    table = Dataset()
    table.LUTDescriptor = [0, 0, 16]
    table["LUTDescriptor"].VR = "US"
    table.LUTData = (65535 - np.arange(1 << 16)).astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    gray = plate(400, 500, bits=12).astype(np.uint16) * 16
    radiograph = read_bytes(dicom(gray, BitsStored=16, HighBit=15, VOILUTSequence=[table] * count))
    assert np.array_equal(radiograph.pixels, 65535 - gray)
