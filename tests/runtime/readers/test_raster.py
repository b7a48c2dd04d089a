"""JPEG, PNG, TIFF, BMP and WebP through the readers' public door."""

from __future__ import annotations

import contextlib
import errno
import struct
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError, UnreadableImageError, UnsupportedImageError
from runtime.readers import ReadLimits, read_bytes
from tests.runtime.readers.makers import (
    encoded,
    oriented,
    plate,
    png_chunk,
    png_claiming,
    tiff,
    with_exif_orientation,
)

GRAY8, GRAY16 = plate(bits=8), plate(bits=16)
JPEG = encoded(".jpg", GRAY8)
PROGRESSIVE = encoded(".jpg", GRAY8, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTS = encoded(".jpg", GRAY8, cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
PNG8, PNG16 = encoded(".png", GRAY8), encoded(".png", GRAY16)
LZW = encoded(".tiff", GRAY16, cv2.IMWRITE_TIFF_COMPRESSION, 5)
BMP8, WEBP8 = encoded(".bmp", GRAY8), encoded(".webp", GRAY8, cv2.IMWRITE_WEBP_QUALITY, 101)  # without loss
SOUND = {
    "bmp": BMP8,
    "webp": WEBP8,
    "jpeg": JPEG,
    "progressive jpeg": PROGRESSIVE,
    "jpeg with restarts": RESTARTS,
    "png": PNG8,
    "16-bit png": PNG16,
    "tiff": tiff(GRAY8),
    "16-bit tiff": tiff(GRAY16, ">"),
    "lzw tiff": LZW,
}


@pytest.mark.parametrize(
    ("data", "pixels", "bits"), [(PNG8, GRAY8, 8), (PNG16, GRAY16, 16), (LZW, GRAY16, 16)]
)
def test_lossless_files_keep_every_value_and_their_depth(data: bytes, pixels: np.ndarray, bits: int) -> None:
    radiograph = read_bytes(data)

    assert np.array_equal(radiograph.pixels, pixels)
    assert radiograph.bit_depth == bits
    assert radiograph.colour_spread == 0.0


def test_jpeg_comes_out_within_its_own_loss_and_names_its_format() -> None:
    radiograph = read_bytes(JPEG)

    assert radiograph.format == "jpeg"
    assert np.abs(radiograph.pixels.astype(int) - GRAY8).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_of_a_jpeg_is_honoured(orientation: int, order: str) -> None:
    radiograph = read_bytes(with_exif_orientation(JPEG, orientation, order))

    assert np.array_equal(radiograph.pixels, oriented(read_bytes(JPEG).pixels, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [GRAY8, GRAY16], ids=["8 bit", "16 bit"])
def test_orientation_of_a_tiff_is_honoured_at_every_depth(orientation: int, pixels: np.ndarray) -> None:
    radiograph = read_bytes(tiff(pixels, orientation=orientation))

    assert np.array_equal(radiograph.pixels, oriented(pixels, orientation))


def test_orientation_of_a_png_is_honoured() -> None:
    exif = b"II*\x00" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    data = PNG8[:33] + png_chunk(b"eXIf", exif) + PNG8[33:]

    assert np.array_equal(read_bytes(data).pixels, oriented(GRAY8, 6))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_leaves_the_picture_as_stored(orientation: int) -> None:
    assert read_bytes(with_exif_orientation(JPEG, orientation)).pixels.shape == GRAY8.shape


@pytest.mark.parametrize("pixels", [GRAY8, GRAY16], ids=["8 bit", "16 bit"])
def test_a_tiff_whose_white_is_zero_is_inverted_at_every_depth(pixels: np.ndarray) -> None:
    full = np.iinfo(pixels.dtype).max

    assert np.array_equal(read_bytes(tiff(pixels, photometric=0)).pixels, full - pixels)


def test_gray_stored_as_colour_reads_as_the_same_gray_without_spread() -> None:
    radiograph = read_bytes(encoded(".png", cv2.merge([GRAY8] * 3)))

    assert np.array_equal(radiograph.pixels, GRAY8)
    assert radiograph.colour_spread == 0.0


@pytest.mark.parametrize("scale", [1, 257], ids=["8 bit", "16 bit"])
def test_colour_spread_is_in_255ths_at_every_depth(scale: int) -> None:
    kind = np.uint8 if scale == 1 else np.uint16
    picture = np.zeros((140, 140, 3), kind)
    picture[..., 2] = 51 * scale

    assert read_bytes(encoded(".png", picture)).colour_spread == pytest.approx(51, abs=0.5)


def test_transparent_areas_read_as_black_and_are_mentioned() -> None:
    alpha = np.full_like(GRAY8, 255)
    alpha[:, :50] = 0
    radiograph = read_bytes(encoded(".png", cv2.merge([GRAY8, GRAY8, GRAY8, alpha])))

    assert not radiograph.pixels[:, :50].any()
    assert np.array_equal(radiograph.pixels[:, 50:], GRAY8[:, 50:])
    assert "Transparent" in radiograph.warnings[0]


def test_an_alpha_channel_that_hides_nothing_is_not_mentioned() -> None:
    opaque = np.full_like(GRAY8, 255)

    assert read_bytes(encoded(".png", cv2.merge([GRAY8, GRAY8, GRAY8, opaque]))).warnings == ()


@pytest.mark.parametrize("name", SOUND)
def test_a_file_cut_anywhere_is_refused(name: str) -> None:
    data = SOUND[name]
    read_bytes(data)
    cuts = {1, 2, 3, 4, 8, len(data) // 2, len(data) - 1, *range(5, len(data), max(1, len(data) // 97))}

    for cut in sorted(cuts):
        with pytest.raises(InputError):
            read_bytes(data[:cut])


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "jpeg with restarts"])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_a_cut_jpeg_that_was_given_an_end_marker_is_refused(name: str, share: float) -> None:
    data = SOUND[name]

    with pytest.raises(UnreadableImageError, match="damaged"):
        read_bytes(data[: int(len(data) * share)] + b"\xff\xd9")


def with_a_later_jfif_version(data: bytes) -> bytes:
    return data.replace(b"JFIF\x00\x01", b"JFIF\x00\x02", 1)


def with_an_unknown_colour_transform(data: bytes) -> bytes:
    return data[:2] + b"\xff\xee\x00\x0eAdobe" + bytes((0, 100, 0, 0, 0, 0, 9)) + data[2:]


def with_spectral_bounds_in_a_sequential_scan(data: bytes) -> bytes:
    start = data.index(b"\xff\xda") + 5 + 2 * data[data.index(b"\xff\xda") + 4]
    return data[:start] + bytes((0, 1, 0)) + data[start + 3 :]


STRANGE = (
    with_a_later_jfif_version,
    with_an_unknown_colour_transform,
    with_spectral_bounds_in_a_sequential_scan,
)


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("colours", [1, 3])
def test_a_decoders_harmless_first_warning_does_not_hide_that_the_picture_is_cut(
    strange: Callable[[bytes], bytes], colours: int
) -> None:
    pixels = plate() if colours == 1 else np.dstack([plate(seed=seed) for seed in range(3)])
    sound = encoded(".jpg", pixels)
    assert strange(sound) != sound
    np.testing.assert_array_equal(read_bytes(strange(sound)).pixels, read_bytes(sound).pixels)
    scan = sound.index(b"\xff\xda")
    half = sound[: scan + (len(sound) - scan) // 2] + b"\xff\xd9"
    with pytest.raises(UnreadableImageError, match="damaged"):
        read_bytes(strange(half))


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\x00", b"\xff\xd0", b"\xff\xfe\x00\x02"])
def test_a_megabyte_of_one_marker_is_refused_and_not_searched_again_and_again(filler: bytes) -> None:
    sound = encoded(".jpg", plate())
    scan = sound.index(b"\xff\xda") + 40
    with pytest.raises(UnreadableImageError):
        read_bytes(sound[:scan] + filler * (1_000_000 // len(filler)) + b"\x00" + sound[scan:])


def test_a_jpeg_with_a_zeroed_stretch_is_refused() -> None:
    data = bytearray(JPEG)
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)

    with pytest.raises(UnreadableImageError):
        read_bytes(bytes(data))


def test_a_jpeg_with_trailing_bytes_after_its_end_is_read() -> None:
    assert read_bytes(JPEG + b"\x00" * 1000).pixels.shape == GRAY8.shape


def test_the_thumbnail_inside_a_cut_jpeg_is_not_taken_for_its_end() -> None:
    thumbnail = encoded(".jpg", plate(40, 40))
    data = JPEG[:2] + b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + JPEG[2:]

    assert read_bytes(data).pixels.shape == GRAY8.shape
    with pytest.raises(UnreadableImageError):
        read_bytes(data[:-40])


def test_a_png_whose_data_ends_early_behind_right_checksums_is_refused() -> None:
    with pytest.raises(UnreadableImageError):
        read_bytes(png_claiming(200, 200, b"\x00" * 201 * 150))


def test_one_flipped_bit_in_a_png_is_refused() -> None:
    data = bytearray(PNG8)
    data[len(data) // 2] ^= 1

    with pytest.raises(UnreadableImageError, match="checksum"):
        read_bytes(bytes(data))


@pytest.mark.parametrize("pixels", [GRAY8, GRAY16], ids=["8 bit", "16 bit"])
def test_a_tiff_whose_compressed_strip_holds_too_little_is_refused(pixels: np.ndarray) -> None:
    """The decoder reports this in its log only and returns black pixels."""
    half = zlib.compress(pixels[:80].tobytes())
    sound = tiff(pixels)
    directory = tiff(pixels, compression=8, strip_bytes=len(half))[8 + pixels.nbytes :]
    data = sound[:4] + struct.pack("<I", 8 + len(half)) + half + directory

    with pytest.raises(UnreadableImageError, match="damaged"):
        read_bytes(data)


def test_bmp_and_lossless_webp_give_the_stored_values() -> None:
    for data, form in ((BMP8, "bmp"), (WEBP8, "webp")):
        radiograph = read_bytes(data)
        assert radiograph.format == form
        assert np.array_equal(radiograph.pixels, GRAY8)
        assert radiograph.colour_spread == 0


def test_a_bmp_that_is_stored_from_the_top_is_not_turned_over() -> None:
    (height,) = struct.unpack_from("<i", BMP8, 22)
    upside_down = BMP8[:22] + struct.pack("<i", -height) + BMP8[26:]

    assert np.array_equal(read_bytes(upside_down).pixels, GRAY8[::-1])


def test_a_lossy_webp_is_read_as_its_decoder_gives_it() -> None:
    data = encoded(".webp", GRAY8, cv2.IMWRITE_WEBP_QUALITY, 80)
    radiograph = read_bytes(data)

    assert radiograph.pixels.shape == GRAY8.shape
    assert np.abs(radiograph.pixels.astype(int) - GRAY8).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_a_webp_is_applied(orientation: int) -> None:
    exif = b"II*\x00" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    height, width = GRAY8.shape
    canvas = bytes([8, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + _chunk(b"VP8X", canvas) + WEBP8[12:] + _chunk(b"EXIF", exif)
    data = b"RIFF" + struct.pack("<I", len(body)) + body

    assert np.array_equal(read_bytes(data).pixels, oriented(GRAY8, orientation))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


@pytest.mark.parametrize("whole", ["bmp", "webp"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_bmp_or_webp_is_refused(whole: str, share: float) -> None:
    data = BMP8 if whole == "bmp" else WEBP8
    with pytest.raises(UnreadableImageError):
        read_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("field", [18, 22])
def test_a_bmp_that_claims_a_huge_size_is_refused(field: int) -> None:
    with pytest.raises(InputError):
        read_bytes(BMP8[:field] + struct.pack("<i", 60_000) + BMP8[field + 4 :])


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (tiff(plate().astype(np.float32), bits=32, sample_format=3), "unsigned integers"),
        (tiff(GRAY16, sample_format=2), "unsigned integers"),
        (tiff(GRAY8, next_page=8), "several pages"),
        (tiff(GRAY8, compression=7), "compression 7"),
        (tiff(GRAY8, photometric=3), "photometric"),
        (PNG8[:33] + png_chunk(b"acTL", bytes(8)) + PNG8[33:], "animated"),
        (b"GIF89a" + bytes(100), "GIF"),
        (BMP8[:14] + b"\x0c" + BMP8[15:], "header of 12 bytes"),
        (BMP8[:30] + b"\x01" + BMP8[31:], "compression 1"),
        (BMP8[:28] + b"\x04" + BMP8[29:], "4 bits"),
        (b"RIFF" + bytes([22, 0, 0, 0]) + b"WEBPVP8X" + b"\x0a\x00\x00\x00\x02" + bytes(9), "animated"),
        (b"%PDF-1.7" + bytes(100), "PDF"),
        (b"\x1f\x8b" + bytes(100), "gzip"),
    ],
)
def test_sound_files_of_other_kinds_are_named_and_refused(data: bytes, word: str) -> None:
    with pytest.raises(UnsupportedImageError, match=word) as caught:
        read_bytes(data)
    assert caught.value.hint


def test_a_lossless_jpeg_and_a_cmyk_jpeg_are_refused_as_unsupported() -> None:
    frame = JPEG.index(b"\xff\xc0")
    lossless = JPEG[:frame] + b"\xff\xc3" + JPEG[frame + 2 :]
    cmyk = JPEG[: frame + 9] + b"\x04" + JPEG[frame + 10 :]

    for data in (lossless, cmyk):
        with pytest.raises(UnsupportedImageError):
            read_bytes(data)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (30_000, 10), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_what_its_header_declares(width: int, height: int) -> None:
    with pytest.raises(UnsupportedImageError, match="declares"):
        read_bytes(png_claiming(width, height))


def test_a_picture_without_extent_is_refused() -> None:
    with pytest.raises(UnreadableImageError):
        read_bytes(png_claiming(0, 10))


def test_limits_are_the_callers_to_tighten() -> None:
    with pytest.raises(UnsupportedImageError, match="MiB"):
        read_bytes(PNG8, limits=ReadLimits(max_file_bytes=len(PNG8) - 1))
    with pytest.raises(UnsupportedImageError, match="declares"):
        read_bytes(PNG8, limits=ReadLimits(max_pixels=GRAY8.size - 1))


def test_decoders_write_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    for data in (JPEG[:-500] + b"\xff\xd9", tiff(GRAY8, compression=8), png_claiming(200, 200)):
        with pytest.raises(UnreadableImageError):
            read_bytes(data)

    assert capfd.readouterr() == ("", "")


@given(st.sampled_from(sorted(SOUND)), st.data())
def test_mutated_files_are_read_or_refused_and_nothing_else(name: str, data: st.DataObject) -> None:
    changed = bytearray(SOUND[name])
    for _ in range(data.draw(st.integers(1, 6))):
        # Headers are where mutations hurt, so half of them go there.
        top = data.draw(st.sampled_from([min(400, len(changed)), len(changed)]))
        changed[data.draw(st.integers(0, top - 1))] = data.draw(st.integers(0, 255))

    _read_or_refuse(bytes(changed))


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b""]),
    st.binary(max_size=300),
)
def test_noise_behind_a_signature_is_refused(signature: bytes, noise: bytes) -> None:
    with pytest.raises(InputError):
        read_bytes(signature + noise)


def _read_or_refuse(data: bytes, read: Callable[..., object] = read_bytes) -> None:
    limits = ReadLimits(max_pixels=4_000_000, max_side_px=4000)
    try:
        read(data, limits=limits)
    except InputError as error:
        assert "\n" not in str(error)


def test_a_jpeg_of_endless_scans_is_refused_before_they_are_decoded() -> None:
    """A quarter of a megabyte with 300 scans of a large plate kept a decoder busy for a minute."""
    last = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]

    with pytest.raises(UnreadableImageError, match="scans"):
        read_bytes(PROGRESSIVE[:-2] + last * 300 + b"\xff\xd9")


def test_a_jpeg_ls_file_is_named_and_not_called_damaged() -> None:
    stream = b"\xff\xd8\xff\xf7\x00\x0b\x08\x00\xa0\x00\xc8\x01\x01\x11\x00" + bytes(100) + b"\xff\xd9"

    with pytest.raises(UnsupportedImageError, match="JPEG-LS"):
        read_bytes(stream)


def directory_of(tags: list[int], size_bytes: int) -> bytes:
    """A TIFF whose entries all claim, as bytes, the whole file."""
    entries = b"".join(struct.pack("<HHII", tag, 1, size_bytes, 0) for tag in tags)
    head = b"II*\x00" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(size_bytes, b"\x00")


@pytest.mark.parametrize("tag", [700, 273, 274])
@pytest.mark.parametrize("where", ["tiff", "jpeg"])
def test_thousands_of_entries_that_claim_the_whole_file_take_no_memory(tag: int, where: str) -> None:
    bomb = directory_of([tag] * 4000, 900_000 if where == "tiff" else 60_000)
    if where == "jpeg":
        exif = b"Exif\x00\x00" + bomb
        sound = encoded(".jpg", plate())
        bomb = sound[:2] + 40 * (b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif) + sound[2:]
    tracemalloc.start()
    try:
        with contextlib.suppress(UnreadableImageError, UnsupportedImageError):
            read_bytes(bomb)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 32_000_000


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_whose_white_is_zero_may_say_so_in_four_bytes(order: str) -> None:
    data = bytearray(tiff(GRAY16, order, photometric=0))
    entry = data.index(struct.pack(f"{order}HHI", 262, 3, 1))
    data[entry : entry + 12] = struct.pack(f"{order}HHII", 262, 4, 1, 0)

    assert np.array_equal(read_bytes(bytes(data)).pixels, 65535 - GRAY16)


def test_half_transparent_areas_are_as_bright_as_on_black_at_every_height() -> None:
    tall = plate(height=600, bits=16)
    picture = cv2.merge([tall, tall, tall, np.full_like(tall, 32768)])

    assert np.abs(read_bytes(encoded(".png", picture)).pixels - tall / 2.0).max() <= 1


def test_damage_is_noticed_where_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """libjpeg tells of damage on stderr alone; a file on a full disk would lose its words."""

    def full_disk() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full_disk)
    with pytest.raises(UnreadableImageError, match="damaged"):
        read_bytes(JPEG[: len(JPEG) // 2] + b"\xff\xd9")
    assert read_bytes(JPEG).height_px == GRAY8.shape[0]
