"""DICOM objects: what is accepted, how gray values come out, what is refused."""

from __future__ import annotations

import builtins
import importlib.util
import struct
import warnings
import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

from runtime.errors import InputError, UnreadableImageError, UnsupportedImageError
from runtime.readers import ReadLimits, gdcm_codec, inside, jpeg2000, read_bytes
from tests.runtime.readers.makers import dicom, encoded, plate

GRAY8, GRAY12 = plate(bits=8), plate(bits=12)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
JPEG_IN_DICOM = dicom(GRAY8, frame=encoded(".jpg", GRAY8), syntax=JPEGBaseline8Bit)
NATIVE = dicom(GRAY12)


@pytest.mark.parametrize("modality", ["CR", "DX", "RG"])
def test_plain_radiographs_keep_their_stored_values(modality: str) -> None:
    radiograph = read_bytes(dicom(GRAY12, Modality=modality))

    assert radiograph.format == "dicom"
    assert radiograph.bit_depth == 12
    assert np.array_equal(radiograph.pixels, GRAY12)
    assert radiograph.warnings == ()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless])
def test_transfer_syntaxes_without_loss_give_the_same_pixels(syntax: str) -> None:
    if syntax == RLELossless:
        from pydicom import dcmread
        from pydicom.filebase import DicomBytesIO

        dataset = dcmread(DicomBytesIO(NATIVE))
        dataset.compress(RLELossless)
        file = DicomBytesIO()
        dataset.save_as(file)
        data = file.getvalue()
    else:
        data = dicom(GRAY12, syntax=syntax)

    assert np.array_equal(read_bytes(data).pixels, GRAY12)


def test_a_wrapped_jpeg_is_decoded() -> None:
    assert np.abs(read_bytes(JPEG_IN_DICOM).pixels.astype(int) - GRAY8).max() < 12


def test_monochrome1_comes_out_with_bone_bright() -> None:
    radiograph = read_bytes(dicom(GRAY12, PhotometricInterpretation="MONOCHROME1"))

    assert np.array_equal(radiograph.pixels, 4095 - GRAY12)


def test_signed_values_keep_their_order_and_distances() -> None:
    signed = GRAY12.astype(np.int16) - 2000
    radiograph = read_bytes(dicom(signed))

    assert np.array_equal(np.diff(radiograph.pixels.astype(int)), np.diff(signed.astype(int)))
    assert radiograph.pixels.max() < 4096


def test_signed_values_whose_sign_stops_at_the_stored_bits_are_understood() -> None:
    signed = GRAY12.astype(np.int16) - 2000
    masked = (signed & 0x0FFF).astype(np.int16)

    assert np.array_equal(read_bytes(dicom(masked)).pixels, read_bytes(dicom(signed)).pixels)


def test_big_endian_words_are_understood() -> None:
    data = dicom(GRAY12, syntax=ExplicitVRBigEndian, PixelData=GRAY12.astype(">u2").tobytes())

    assert np.array_equal(read_bytes(data).pixels, GRAY12)


@pytest.mark.parametrize("slope", [0.5, 3.0])
def test_a_rising_rescale_changes_nothing_that_preprocessing_sees(slope: float) -> None:
    radiograph = read_bytes(dicom(GRAY12, RescaleSlope=slope, RescaleIntercept=-1000))

    assert np.array_equal(radiograph.pixels, GRAY12)


def test_a_falling_rescale_inverts_and_undoes_monochrome1() -> None:
    falling = {"RescaleSlope": -1, "RescaleIntercept": 4095}

    assert np.array_equal(read_bytes(dicom(GRAY12, **falling)).pixels, 4095 - GRAY12)
    both = dicom(GRAY12, PhotometricInterpretation="MONOCHROME1", **falling)
    assert np.array_equal(read_bytes(both).pixels, GRAY12)


def test_a_modality_lookup_table_is_applied() -> None:
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.LUTData = ((255 - np.arange(256)) * 200).astype("<u2").tobytes()
    table.ModalityLUTType = "US"
    radiograph = read_bytes(dicom(GRAY8, ModalityLUTSequence=[table]))

    assert radiograph.bit_depth == 16
    assert np.array_equal(radiograph.pixels, (255 - GRAY8.astype(int)) * 200)


def _table(descriptor: list[int], entries: np.ndarray) -> Dataset:
    table = Dataset()
    table.LUTDescriptor = descriptor
    table.LUTData = entries.astype("<u2").tobytes()
    return table


def test_a_table_of_twelve_bits_that_begins_late_holds_its_ends() -> None:
    """What lies below the first value has the first entry, what lies above the last the last."""
    table = _table([100, 50, 12], np.arange(100) * 30 + 7)
    table.ModalityLUTType = "US"
    radiograph = read_bytes(dicom(GRAY8, ModalityLUTSequence=[table]))

    assert radiograph.bit_depth == 12
    assert np.array_equal(radiograph.pixels, np.clip(GRAY8.astype(int) - 50, 0, 99) * 30 + 7)


def test_a_voi_table_is_applied_where_no_window_says_how_the_picture_is_meant() -> None:
    curve = np.rint(4095 * (np.arange(4096) / 4095) ** 2).astype(int)
    table = _table([4096, 0, 12], curve)
    shown = read_bytes(dicom(GRAY12, VOILUTSequence=[table]))
    windowed = read_bytes(dicom(GRAY12, VOILUTSequence=[table], WindowCenter="2000", WindowWidth="3000"))

    assert shown.facts.window is None and windowed.facts.window == (2000, 3000)
    assert np.array_equal(shown.pixels, curve[GRAY12])
    assert np.array_equal(windowed.pixels, GRAY12)


def test_a_voi_table_takes_what_the_modality_gives_and_monochrome1_inverts_what_it_made() -> None:
    """Stored 0 to 2047 are modality values -1000 to 3094, and the table begins at -1000."""
    stored, table = (GRAY12 // 2).astype(np.int16), _table([8192, -1000, 12], np.arange(8192) // 2)
    elements = {"RescaleSlope": "2", "RescaleIntercept": "-1000", "PhotometricInterpretation": "MONOCHROME1"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = dicom(stored, VOILUTSequence=[table], PixelRepresentation=1, **elements)
    radiograph = read_bytes(data)

    assert radiograph.bit_depth == 12
    assert np.array_equal(radiograph.pixels, 4095 - stored)


@pytest.mark.parametrize(
    ("descriptor", "entries"), [([4096, 0, 12], 100), ([4096, 0, 20], 4096), ([4096, 0, 9], 4096)]
)
def test_a_table_that_contradicts_its_descriptor_is_refused(descriptor: list[int], entries: int) -> None:
    with pytest.raises(UnreadableImageError, match="lookup table"):
        read_bytes(dicom(GRAY12, VOILUTSequence=[_table(descriptor, np.arange(entries))]))


def _shuttered(**elements: Any) -> np.ndarray:
    """Where the picture was made dark, of one that is bright everywhere but in one corner."""
    bright = np.full((160, 200), 3000, np.uint16)
    bright[80, 100] = 500
    return read_bytes(dicom(bright, **elements)).pixels == 500


def test_a_rectangular_shutter_hides_what_lies_outside_its_edges() -> None:
    dark = _shuttered(
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=11,
        ShutterRightVerticalEdge=190,
        ShutterUpperHorizontalEdge=21,
        ShutterLowerHorizontalEdge=150,
    )
    expected = np.ones((160, 200), bool)
    expected[20:150, 10:190] = False
    expected[80, 100] = True
    assert np.array_equal(dark, expected)


def test_a_circular_and_a_polygonal_shutter_hide_what_either_of_them_covers() -> None:
    dark = _shuttered(
        ShutterShape=["CIRCULAR", "POLYGONAL"],
        CenterOfCircularShutter=[81, 101],
        RadiusOfCircularShutter=70,
        VerticesOfThePolygonalShutter=[1, 1, 1, 200, 100, 200, 100, 1],
    )
    row, column = np.mgrid[0:160, 0:200]
    distance = np.hypot(row - 80, column - 100)
    assert dark[distance > 72].all() and dark[100:].all()
    assert not dark[(distance < 68) & (row < 99) & (distance > 0)].any()


@pytest.mark.parametrize(
    "elements",
    [
        {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 500, "ShutterRightVerticalEdge": 400},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [1], "RadiusOfCircularShutter": 5},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [80, 100], "RadiusOfCircularShutter": -1},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 2, 3]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [2**30] * 8},
        {"ShutterShape": "BITMAP"},
    ],
)
def test_a_shutter_that_makes_no_sense_hides_nothing(elements: dict[str, Any]) -> None:
    assert int(np.count_nonzero(_shuttered(**elements))) == 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_becomes_as_dark_as_the_darkest_exposed_pixel(photometric: str) -> None:
    padded = GRAY12.copy()
    padded[:40] = 4095
    padded[-40:] = 0
    for value in (0, 4095):
        data = dicom(padded, PhotometricInterpretation=photometric, PixelPaddingValue=value)
        radiograph = read_bytes(data)
        outside = padded == value
        assert set(np.unique(radiograph.pixels[outside])) == {radiograph.pixels[~outside].min()}


def test_a_padding_range_covers_its_limits() -> None:
    padded = np.clip(GRAY12, 500, 4095)
    padded[:40] = np.arange(40)[:, None]
    data = dicom(padded, PixelPaddingValue=0, PixelPaddingRangeLimit=39)

    assert read_bytes(data).pixels.min() == padded[40:].min()


def test_values_beyond_the_declared_bits_are_kept_and_mentioned() -> None:
    radiograph = read_bytes(dicom(GRAY12, BitsStored=10, HighBit=9))

    assert np.array_equal(radiograph.pixels, GRAY12)
    assert radiograph.bit_depth == 12
    assert "declares 10" in radiograph.warnings[0]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("below", [1, 3, 4])
def test_pixels_in_the_upper_bits_are_the_same_picture(below: int, signed: bool, syntax: str) -> None:
    """Below the highest bits, the sign goes on up, or stops."""
    values = GRAY12.astype(np.int16) - 2000 if signed else GRAY12
    told = {"BitsStored": 12, "HighBit": 11 + below, "RescaleSlope": "2", "WindowCenter": "900"}
    usual = read_bytes(dicom(values, BitsStored=12, HighBit=11, RescaleSlope="2", WindowCenter="900"))
    for upper in (values << below, (values & 0x0FFF) << below):
        stored = upper.astype(values.dtype)
        order = {"PixelData": stored.byteswap().tobytes()} if syntax == ExplicitVRBigEndian else {}
        read = read_bytes(dicom(stored, syntax=syntax, **told, **order))

        assert np.array_equal(read.pixels, usual.pixels) and read.bit_depth == usual.bit_depth == 12
        assert (read.warnings, read.facts) == (usual.warnings, usual.facts)


def test_a_picture_of_eight_bits_may_stand_in_the_upper_ones_too() -> None:
    gray7 = GRAY8 >> 1
    assert np.array_equal(read_bytes(dicom(gray7 << 1, BitsStored=7, HighBit=7)).pixels, gray7)


@pytest.mark.parametrize("bit", [0, 3])
def test_an_overlay_below_the_pixels_bits_is_not_taken_for_brightness(bit: int) -> None:
    drawn = GRAY12 << 4
    drawn[40:80, 40:80] |= 1 << bit
    file = dcmread(BytesIO(dicom(drawn, BitsStored=12, HighBit=15)))
    file.add_new(0x60000102, "US", bit)
    data = BytesIO()
    file.save_as(data)

    assert np.array_equal(read_bytes(data.getvalue()).pixels, GRAY12)


@pytest.mark.parametrize("has_overlay", [False, True])
def test_one_that_only_claims_to_stand_in_the_upper_bits_loses_no_detail(has_overlay: bool) -> None:
    file = dcmread(BytesIO(dicom(GRAY12, BitsStored=12, HighBit=15)))
    if has_overlay:  # in an element of its own, of which the standard says that it lies in bit 0
        file.add_new(0x60000102, "US", 0)
        file.add_new(0x60003000, "OW", bytes(GRAY12.size // 8 + GRAY12.size // 8 % 2))
    data = BytesIO()
    file.save_as(data)

    with pytest.raises(UnreadableImageError, match="contradicts"):
        read_bytes(data.getvalue())


def test_compressed_pixels_in_the_upper_bits_are_called_another_kind_of_file() -> None:
    frame = _jpeg_2000(GRAY12 << 4)
    with pytest.raises(UnsupportedImageError, match="begin at bit 4") as caught:
        read_bytes(dicom(GRAY12, frame=frame, syntax=JPEG2000Lossless, BitsStored=12, HighBit=15))
    assert "uncompressed" in caught.value.hint


def test_facts_come_out_as_words_and_numbers_and_never_name_the_patient() -> None:
    radiograph = read_bytes(
        dicom(
            GRAY12,
            PatientName="Roe^Jane",
            PatientID="P-17",
            BodyPartExamined="LOWER_LEG",
            ViewPosition="AP",
            ImageLaterality="L",
            PatientAge="018M",
            PatientSex="F",
            ImagerPixelSpacing=[0.15, 0.15],
            WindowCenter=[2000, 1],
            WindowWidth=[3000, 1],
        )
    )
    facts = radiograph.facts

    assert (facts.modality, facts.body_part, facts.view, facts.laterality) == (
        "cr",
        "lower leg",
        "frontal",
        "left",
    )
    assert (facts.age_years, facts.sex, facts.pixel_spacing_mm) == (1.5, "female", (0.15, 0.15))
    assert facts.window == (2000, 3000)
    assert "Roe" not in repr(radiograph) and "P-17" not in repr(radiograph)


@pytest.mark.parametrize(
    ("written", "years"),
    [
        ("041Y", 41.0),
        ("006M", 0.5),
        ("000D", 0.0),
        ("41", 41.0),
        ("000Y", None),
        ("000", None),
        ("00Y", None),
        ("999Y", None),
        ("abc", None),
        ("", None),
    ],
)
def test_an_age_that_nobody_entered_is_no_age(written: str, years: float | None) -> None:
    assert read_bytes(dicom(GRAY12, PatientAge=written)).facts.age_years == years


def test_the_window_follows_rescale_and_inversion_into_pixel_values() -> None:
    shown = {"WindowCenter": 100, "WindowWidth": 200, "RescaleSlope": 0.1, "RescaleIntercept": 0}
    radiograph = read_bytes(dicom(GRAY12, PhotometricInterpretation="MONOCHROME1", **shown))

    assert radiograph.facts.window == (4095 - 1000, 2000)


def test_only_an_image_of_the_x_ray_system_itself_is_declared_a_radiograph() -> None:
    for modality in ("CR", "DX", "RG"):
        assert read_bytes(dicom(GRAY12, Modality=modality)).facts.declared
        captured = dicom(GRAY12, Modality=modality, SOPClassUID=SECONDARY_CAPTURE)
        assert not read_bytes(captured).facts.declared
    assert not read_bytes(encoded(".png", GRAY8)).facts.declared


def test_a_file_that_says_nothing_has_no_facts() -> None:
    facts = read_bytes(NATIVE).facts

    assert (facts.body_part, facts.view, facts.age_years, facts.window, facts.pixel_spacing_mm) == (None,) * 5


def test_the_anatomic_region_stands_in_for_a_missing_body_part() -> None:
    region = Dataset()
    region.CodeMeaning = "Upper arm"

    assert read_bytes(dicom(GRAY12, AnatomicRegionSequence=[region])).facts.body_part == "upper arm"


def test_burned_in_writing_and_odd_pixels_are_mentioned() -> None:
    data = dicom(GRAY12, BurnedInAnnotation="YES", PixelSpacing=[0.1, 0.2])

    assert [word in text for word, text in zip(["burned", "square"], read_bytes(data).warnings, strict=True)]


@pytest.mark.parametrize("modality", ["OT", "SC", "CR"])
def test_a_secondary_capture_is_read_and_mentioned(modality: str) -> None:
    radiograph = read_bytes(dicom(GRAY8, Modality=modality, SOPClassUID=SECONDARY_CAPTURE))

    assert "secondary capture" in radiograph.warnings[-1]


@pytest.mark.parametrize("modality", ["CT", "MR", "MG", "US", "PX", "XA", "SR", "OT"])
def test_other_modalities_are_refused_by_name(modality: str) -> None:
    with pytest.raises(UnsupportedImageError, match=f"modality {modality} "):
        read_bytes(dicom(GRAY12, Modality=modality))


@pytest.mark.parametrize(
    ("elements", "word"),
    [
        ({"Modality": None}, "not stated"),
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "RGB"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 bits"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw"),
        ({"Rows": 65535, "Columns": 65535}, "declares 65535"),
    ],
)
def test_what_is_no_single_gray_plane_is_refused_with_a_reason(elements: dict[str, Any], word: str) -> None:
    with pytest.raises(UnsupportedImageError, match=word) as caught:
        read_bytes(dicom(GRAY12, **elements))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("elements", "word"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"Rows": 161}, "declares"),
        ({"Rows": 80}, "declares"),
        ({"Rows": 0}, "declares"),
        ({"BitsStored": 17}, "contradicts"),
        ({"HighBit": 14}, "contradicts"),
        ({"HighBit": 10}, "contradicts"),
        ({"HighBit": 16}, "contradicts"),
        ({"PixelData": GRAY12.tobytes()[:-2]}, "declares"),
    ],
)
def test_a_data_set_that_contradicts_its_pixels_is_refused(elements: dict[str, Any], word: str) -> None:
    with pytest.raises(UnreadableImageError, match=word):
        read_bytes(dicom(GRAY12, **elements))


def test_a_wrapped_jpeg_of_another_size_than_declared_is_refused() -> None:
    frame = encoded(".jpg", plate(80, 100))

    with pytest.raises(UnreadableImageError, match="declares"):
        read_bytes(dicom(GRAY8, frame=frame, syntax=JPEGBaseline8Bit))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_wrapped_jpeg_that_ends_early_is_refused(share: float) -> None:
    frame = encoded(".jpg", GRAY8)

    with pytest.raises(UnreadableImageError):
        read_bytes(dicom(GRAY8, frame=frame[: int(len(frame) * share)], syntax=JPEGBaseline8Bit))


def test_lossy_jpeg_of_12_bits_is_refused_with_what_to_export() -> None:
    data = dicom(GRAY12, frame=encoded(".jpg", GRAY8), syntax=JPEGExtended12Bit)

    with pytest.raises(UnsupportedImageError, match="12 bits") as caught:
        read_bytes(data)
    assert "lossless" in caught.value.hint


def _deflated(data: bytes) -> bytes:
    """The file with everything behind its header deflated."""
    meta_ends = data.index(b"\x08\x00\x16\x00UI")
    packer = zlib.compressobj(9, wbits=-15)
    head = data[:meta_ends].replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.1.99")
    grown = len(head) - meta_ends
    at = head.index(b"\x02\x00\x10\x00UI") + 6
    (length,) = struct.unpack_from("<H", head, at)
    head = head[:at] + struct.pack("<H", length + grown) + head[at + 2 :]
    return head + packer.compress(data[meta_ends:]) + packer.flush()


def test_a_deflated_file_gives_the_same_pixels() -> None:
    radiograph = read_bytes(_deflated(NATIVE))

    assert np.array_equal(radiograph.pixels, GRAY12)


@pytest.mark.parametrize("cut", [1, 1000, 20_000])
def test_a_cut_deflated_file_is_refused(cut: int) -> None:
    with pytest.raises(UnreadableImageError):
        read_bytes(_deflated(NATIVE)[:-cut])


def test_a_deflated_bomb_is_refused_before_it_is_inflated() -> None:
    header = _deflated(NATIVE)[: NATIVE.index(b"\x08\x00\x16\x00UI") + 2]
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()

    with pytest.raises(UnsupportedImageError, match="inflates to more"):
        read_bytes(header + bomb)


@pytest.mark.parametrize("cut", [1, 100, 4000, 20_000, 60_000])
def test_a_native_file_cut_anywhere_is_refused(cut: int) -> None:
    with pytest.raises(InputError):
        read_bytes(NATIVE[:-cut])


@pytest.mark.parametrize("length", [0, 1, 131, 132, 133, 140, 200, 300])
def test_a_file_cut_within_its_header_is_refused(length: int) -> None:
    with pytest.raises(InputError):
        read_bytes(NATIVE[:length])


def test_a_tiff_header_in_the_preamble_does_not_hide_the_dicom() -> None:
    assert np.array_equal(read_bytes(b"II*\x00" + NATIVE[4:]).pixels, GRAY12)


def test_without_its_libraries_a_dicom_file_is_refused_with_the_command_to_install_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pydicom"):
            raise ImportError(name)
        return real_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UnsupportedImageError, match="pydicom") as caught:
        inside.read(NATIVE, "", ReadLimits())
    assert caught.value.hint == 'run pip install "ulna[dicom]"'


def test_without_gdcm_only_compressed_pictures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real_find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gdcm" else real_find(name))

    assert inside.read(NATIVE, "", ReadLimits()).pixels.shape == GRAY12.shape
    assert inside.read(JPEG_IN_DICOM, "", ReadLimits()).pixels.shape == GRAY8.shape
    assert inside.read(
        dicom(GRAY8, frame=_jpeg_2000(GRAY8), syntax=JPEG2000Lossless), "", ReadLimits()
    ).pixels.shape == (160, 200)
    signed = bytearray(_jpeg_2000(GRAY8))
    signed[42] |= 0x80
    with pytest.raises(UnsupportedImageError, match="gdcm"):
        inside.read(dicom(GRAY8, frame=bytes(signed), syntax=JPEG2000Lossless), "", ReadLimits())


def test_nothing_leaks_from_the_libraries(capfd: pytest.CaptureFixture[str]) -> None:
    j2k = encoded(".jp2", GRAY8, cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 500)
    stream = j2k[j2k.index(b"\xff\x4f\xff\x51") :]
    damaged = bytearray(stream)
    damaged[len(damaged) // 3 : len(damaged) // 2] = bytes(len(damaged) // 2 - len(damaged) // 3)
    odd = dicom(GRAY12, PatientAge="abc", PatientBirthDate="not a date", WindowCenter="1e999")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_bytes(odd)
        _read_or_refuse(dicom(GRAY8, frame=bytes(damaged), syntax="1.2.840.10008.1.2.4.91"))
    assert capfd.readouterr() == ("", "")


def _jpeg_2000(pixels: np.ndarray) -> bytes:
    file = encoded(".jp2", pixels, cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000)
    return file[file.index(b"\xff\x4f\xff\x51") :]


@pytest.mark.parametrize("pixels", [GRAY8, GRAY12], ids=["8 bits", "12 bits"])
def test_jpeg_2000_gives_the_stored_values(pixels: np.ndarray) -> None:
    stored = 16 if pixels is GRAY12 else 8  # as OpenCV writes them
    data = dicom(
        pixels, frame=_jpeg_2000(pixels), syntax=JPEG2000Lossless, BitsStored=stored, HighBit=stored - 1
    )

    assert np.array_equal(read_bytes(data).pixels, pixels)


def test_opencv_and_gdcm_give_the_same_values_of_a_jpeg_2000_picture() -> None:
    frame = _jpeg_2000(GRAY12)
    ours = jpeg2000.decode(frame)
    theirs = gdcm_codec.decode(gdcm_codec.Request(JPEG2000Lossless, *GRAY12.shape, 16, 16, 0), frame)

    assert ours is not None and np.array_equal(ours, theirs)


def test_signed_jpeg_2000_is_left_to_gdcm_and_keeps_its_sign() -> None:
    """OpenCV writes none: the sign is set in the header, which moves every value down by half the range."""
    frame = bytearray(_jpeg_2000(GRAY8))
    assert jpeg2000.declared(bytes(frame)) == jpeg2000.Codestream(160, 200, False)
    frame[42] |= 0x80
    assert jpeg2000.declared(bytes(frame)) == jpeg2000.Codestream(160, 200, True)
    data = dicom(GRAY8, frame=bytes(frame), syntax=JPEG2000Lossless, PixelRepresentation=1)

    radiograph = read_bytes(data)
    assert radiograph.bit_depth == 8
    assert np.array_equal(np.argsort(radiograph.pixels[0]), np.argsort(GRAY8[0]))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_jpeg_2000_picture_that_breaks_off_is_refused(share: float) -> None:
    frame = _jpeg_2000(GRAY8)
    cut = frame[: int(len(frame) * share)] + b"\xff\xd9"

    with pytest.raises(UnreadableImageError):
        read_bytes(dicom(GRAY8, frame=cut, syntax=JPEG2000Lossless))


def test_a_jpeg_2000_picture_of_the_largest_detector_is_read_within_the_limits() -> None:
    large = np.tile(plate(430, 430, bits=12), (10, 10))
    data = dicom(large, frame=_jpeg_2000(large), syntax=JPEG2000Lossless, BitsStored=16, HighBit=15)

    assert np.array_equal(read_bytes(data, limits=ReadLimits(cpu_s=30)).pixels, large)


def test_a_frame_that_makes_gdcm_abort_is_refused_and_this_process_lives() -> None:
    """A JPEG-LS header with 236 bits a sample: GDCM calls terminate()."""
    frame = (
        b"\xff\xd8\xff\xf7\x00\x0b\xec\x00\xa0\x00\xc8\x01\x01\x11\x00"
        + b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"
    )
    data = dicom(GRAY8, frame=frame + bytes(range(256)) + b"\xff\xd9", syntax=JPEGLSLossless)

    with pytest.raises(UnreadableImageError, match="its decoder crashed"):
        read_bytes(data)


@pytest.mark.parametrize("size", [(161, 200), (20_000, 20_000)])
def test_a_wrapped_jpeg_2000_of_another_size_than_declared_is_refused_before_decoding(
    size: tuple[int, int],
) -> None:
    frame = bytearray(_jpeg_2000(GRAY8))
    frame[8:16] = size[1].to_bytes(4, "big") + size[0].to_bytes(4, "big")

    with pytest.raises(UnreadableImageError, match="declares"):
        read_bytes(dicom(GRAY8, frame=bytes(frame), syntax=JPEG2000Lossless))


@given(st.sampled_from([NATIVE, JPEG_IN_DICOM]), st.data())
def test_mutated_files_are_read_or_refused_and_nothing_else(original: bytes, data: st.DataObject) -> None:
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        top = data.draw(st.sampled_from([900, len(changed)]))
        changed[data.draw(st.integers(132, top - 1))] = data.draw(st.integers(0, 255))

    _read_or_refuse(bytes(changed))


def _read_or_refuse(data: bytes) -> None:
    try:
        read_bytes(data, limits=ReadLimits(max_pixels=4_000_000, max_side_px=4000))
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("vr", [b"UI", b"\x18\x00"], ids=["explicit", "implicit"])
def test_a_second_transfer_syntax_does_not_smuggle_a_deflated_bomb_past_the_first(vr: bytes) -> None:
    """pydicom takes the last one that it finds, and would inflate."""
    deflated = DeflatedExplicitVRLittleEndian.encode() + b"\x00\x00"
    length = struct.pack("<H", len(deflated)) if vr == b"UI" else b"\x00\x00"
    first = NATIVE.index(b"\x02\x00\x10\x00UI")
    after = first + 8 + NATIVE[first + 6]
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    data = NATIVE[:after] + b"\x02\x00\x10\x00" + vr + length + deflated + bomb

    with pytest.raises(UnreadableImageError, match="transfer syntax"):
        read_bytes(data)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_a_cut_compressed_file_is_called_cut_and_not_another_modality(share: float) -> None:
    with pytest.raises(UnreadableImageError, match="ends before"):
        read_bytes(JPEG_IN_DICOM[: int(len(JPEG_IN_DICOM) * share)])


def test_a_file_cut_before_it_states_its_modality_is_called_cut() -> None:
    with pytest.raises(UnreadableImageError, match="cut off"):
        read_bytes(NATIVE[: NATIVE.index(b"\x08\x00\x60\x00CS")])


def test_empty_pixel_data_is_said_to_be_empty() -> None:
    with pytest.raises(UnreadableImageError, match="empty"):
        read_bytes(dicom(GRAY12, PixelData=b""))


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_an_overlay_drawn_into_the_unused_bits_is_not_taken_for_brightness(signed: bool) -> None:
    values = GRAY12.astype(np.int16) - 2000 if signed else GRAY12
    drawn = values & 0x0FFF
    drawn[40:80, 40:80] |= 0x1000
    file = dcmread(BytesIO(dicom(drawn)))
    file.add_new(0x60000102, "US", 12)
    data = BytesIO()
    file.save_as(data)
    radiograph = read_bytes(data.getvalue())

    assert np.array_equal(radiograph.pixels, read_bytes(dicom(values)).pixels)
    assert radiograph.warnings == ()


def test_signed_values_in_a_compressed_frame_keep_their_sign() -> None:
    signed = GRAY12.astype(np.int16) - 2000
    frame = _jpeg_2000((signed & 0x0FFF).astype(np.uint16))

    pixels = read_bytes(dicom(signed, frame=frame, syntax=JPEG2000Lossless)).pixels
    assert np.array_equal(pixels, read_bytes(dicom(signed)).pixels)
