"""Large pictures are read at reduced size as meant, and what that changes is counted without flattery."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import reduced_decoding
from benchmarks.reduced_changes import BY_MEANS, CONTROL, Change, Group, changes_of, decode_in_turns, parity
from benchmarks.reduced_codecs import (
    AS_THEY_ARE,
    MADE_LARGE,
    Codec,
    Plate,
    codecs,
    divisible,
    enlarged,
    halved_by_means,
    levels_of,
    made_large,
    plates_of,
    rounded_anew,
)
from benchmarks.reduced_decoding import row_of
from benchmarks.refusals import Picture
from runtime.bundle import open_bundle
from runtime.detector import from_bundle
from runtime.findings import Verdict
from runtime.radiograph import Radiograph
from runtime.trust import TrustStore, generate_key
from tests.bundles import make_bundle, radiograph_pixels
from tests.compress.easy_data import write_easy_data
from tests.runtime.readers.makers import encoded

JPEG, JPEG_2000 = codecs()
ENGINE = "onnxruntime-fp32"
GROUP = Group(AS_THEY_ARE, "JPEG", "1/2", ENGINE)
ALIKE = Change("a", 1.0, 4.0, 0.01, 0.1, 0.02, Verdict.DOUBT, Verdict.DOUBT, False, (), 0.9)


def large(bits: int = 12, seed: int = 0) -> Radiograph:
    pixels = radiograph_pixels(True, seed, 640, 512)
    return Radiograph((pixels >> (12 - bits)).astype(np.uint16), bits, "0")


@pytest.mark.parametrize("bits", [8, 12])
def test_a_jpeg_2000_holds_the_picture_itself_and_at_lower_levels_its_means(bits: int) -> None:
    radiograph = large(bits)
    data = JPEG_2000.make(radiograph)
    full, half, quarter = (JPEG_2000.decode(data, level) for level in range(3))

    assert np.array_equal(full, radiograph.pixels)
    assert (half.shape, quarter.shape) == ((320, 256), (160, 128))
    means = halved_by_means(radiograph.pixels).astype(float)
    assert np.abs(half - means).mean() < 0.02 * means.mean()


def test_a_jpeg_holds_the_gray_levels_of_the_picture_in_eight_bits_and_its_means() -> None:
    radiograph = large()
    data = JPEG.make(radiograph)
    full, half, quarter = (JPEG.decode(data, level) for level in range(3))

    assert full.dtype == half.dtype == np.uint8
    assert full.min() < 10 and full.max() > 245
    assert np.abs(halved_by_means(full).astype(float) - half).mean() < 1
    assert quarter.shape == (160, 128)


def test_bytes_that_are_no_jpeg_2000_are_no_picture() -> None:
    with pytest.raises(ValueError, match="cannot decode"):
        JPEG_2000.decode(b"none", 0)


def test_without_pillow_only_jpeg_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert [codec.name for codec in codecs()] == ["JPEG"]


@pytest.mark.parametrize(("size_px", "levels"), [(513, (0,)), (257, (0,)), (256, (0, 1)), (128, (0, 1, 2))])
def test_a_picture_is_reduced_while_its_short_side_fills_the_network(
    size_px: int, levels: tuple[int, ...]
) -> None:
    assert levels_of(large(), size_px) == levels


def test_a_small_picture_is_made_as_large_as_a_plate_and_as_noisy() -> None:
    flat = np.full((100, 80), 100, np.uint16)
    flat[:, 40:] = 200
    plate = enlarged(Radiograph(flat, 8, "0"), 1000)

    assert (plate.pixels.shape, plate.bit_depth) == ((1000, 800), 12)
    left, right = plate.pixels[:, 40:360], plate.pixels[:, 440:760]
    assert left.mean() == pytest.approx(100 / 255 * 4095, rel=0.01)
    assert right.mean() == pytest.approx(200 / 255 * 4095, rel=0.01)
    assert left.std() == pytest.approx(0.004 * 4095, rel=0.1)
    assert np.array_equal(enlarged(Radiograph(flat, 8, "0"), 1000).pixels, plate.pixels)


def test_large_pictures_stay_as_they_are_and_small_ones_of_eight_bits_are_enlarged(tmp_path: Path) -> None:
    pixels = {"large": large().pixels, "small": large(8).pixels[:200, :200].astype(np.uint8)}
    pixels["deep"] = large().pixels[:200, :200]
    data = {name: encoded(".png", plane) for name, plane in pixels.items()}
    given = [Picture(name, name, lambda name=name: data[name]) for name in data]

    assert [(plate.name, plate.kind) for plate in made_large(given, 256, 640)] == [
        ("large", AS_THEY_ARE),
        ("small", MADE_LARGE),
    ]
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
    files = [tmp_path / name for name in data]
    assert [plate.name for plate in plates_of(files, 256)] == ["large"]


def test_sides_that_four_does_not_divide_are_cut() -> None:
    radiograph = large()
    odd = replace(radiograph, pixels=radiograph.pixels[:-1, :-3].copy())
    assert divisible(odd).pixels.shape == (636, 508)
    assert np.array_equal(divisible(radiograph).pixels, radiograph.pixels)


def test_rounding_anew_moves_half_of_the_pixels_by_one_level_and_none_at_the_ends() -> None:
    before = large().pixels
    after = rounded_anew(before)
    moved = after.astype(int) - before

    assert np.abs(moved).max() == 1
    assert (moved != 0).mean() == pytest.approx(0.5, abs=0.02)
    assert moved.mean() == pytest.approx(0, abs=0.02)
    ends = (before == before.min()) | (before == before.max())
    assert not moved[ends].any()


def test_every_level_is_decoded_every_round_and_each_goes_first_equally_often() -> None:
    order: list[int] = []

    def decode(data: bytes, level: int) -> np.ndarray:
        order.append(level)
        return np.full((2, 2), level, np.uint8)

    codec = Codec("noted", lambda radiograph: b"", decode)
    decoded = decode_in_turns(codec, b"", (0, 1, 2), 3)

    assert [order[start] for start in (0, 3, 6)] == [0, 1, 2]
    assert sorted(order) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert all((pixels == level).all() and taken >= 0 for level, (pixels, taken) in decoded.items())


@pytest.mark.parametrize(
    ("changed", "by_rounding", "equal"),
    [
        ({}, {}, True),
        ({"logit": 0.05}, {}, True),
        ({"logit": 0.051}, {"logit": 0.051}, False),
        ({"after": Verdict.NONE}, {}, False),
        ({"after": Verdict.NONE}, {"after": Verdict.FRACTURE}, True),
        ({"refused": True}, {"refused": True}, False),
        ({"warnings": ("The image is blurred.",)}, {}, False),
    ],
)
def test_one_picture_that_differs_is_no_parity_unless_rounding_flips_as_many(
    changed: dict[str, object], by_rounding: dict[str, object], equal: bool
) -> None:
    changes = [*[ALIKE] * 20, replace(ALIKE, **changed)]
    assert parity(changes, [*[ALIKE] * 20, replace(ALIKE, **by_rounding)], 0.05) is equal


def test_a_row_counts_what_changed_and_which_of_it_to_none() -> None:
    changes = [
        ALIKE,
        replace(ALIKE, logit=0.3, after=Verdict.NONE, overlap=0.2, decode_ms=2.0),
        replace(ALIKE, after=Verdict.UNREADABLE, refused=True, overlap=None, decode_ms=3.0),
        replace(ALIKE, before=Verdict.NONE, after=Verdict.NONE, warnings=("One.", "Two."), tensor_max=0.7),
    ]
    row = row_of(GROUP, changes, [ALIKE], 0.05)

    expected = {
        "asked": 4,
        "over full": 0.375,
        "tensor max": 0.7,
        "logit max": 0.3,
        "beyond it": 1,
        "verdicts changed": 2,
        "changed to none": 1,
        "refused otherwise": 1,
        "warned otherwise": 1,
        "IoU p50": 0.9,
        "IoU min": 0.2,
        "parity": False,
    }
    assert {name: row[name] for name in expected} == expected
    untimed = row_of(GROUP, [replace(ALIKE, decode_ms=None, full_ms=None, overlap=None)], [ALIKE], 0.05)
    assert (untimed["over full"], untimed["IoU min"], untimed["parity"]) == (None, None, True)


@pytest.mark.parametrize("codec", [JPEG, JPEG_2000], ids=lambda codec: codec.name)
def test_a_plate_is_compared_with_itself_in_full_at_every_size(tmp_path: Path, codec: Codec) -> None:
    key, trust = generate_key(), TrustStore()
    trust.add(key.public_key())
    bundle = open_bundle(make_bundle(tmp_path / "bundle", key), trust)
    with from_bundle(bundle, ENGINE) as detector:
        plate = Plate("plate", AS_THEY_ARE, large())
        found = {group.reading: change for group, change in changes_of(plate, codec, {ENGINE: detector}, 1)}

    assert list(found) == ["1/2", "1/4", CONTROL, BY_MEANS]
    for reading, change in found.items():
        assert (change.over_full is not None) is (reading in ("1/2", "1/4"))
        assert change.before is change.after is Verdict.FRACTURE
        assert 0 <= change.tensor_median < change.tensor_max < 0.5
        assert change.overlap is not None and change.overlap > 0.5
    assert found[CONTROL].logit < 0.05


@pytest.mark.slow
def test_the_command_compares_plates_and_a_data_set_and_writes_what_changed(tmp_path: Path) -> None:
    data = write_easy_data(tmp_path / "easy", patients=1, side_px=900)
    plate = tmp_path / "plate.png"
    cv2.imwrite(str(plate), radiograph_pixels(True, 1, 1000, 900))
    app = typer.Typer()
    app.command()(reduced_decoding.main)
    given = ["--plate", str(plate), "--data", str(data), "--most", "1", "--engine", ENGINE]
    outputs = ["--out", str(tmp_path / "out.json"), "--changed", str(tmp_path / "changed.txt")]
    done = CliRunner().invoke(app, [*given, *outputs], catch_exceptions=False)

    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [(row["codec"], row["reading"]) for row in result["rows"]] == [
        (codec.name, reading) for codec in (JPEG, JPEG_2000) for reading in ("1/2", CONTROL, BY_MEANS)
    ]
    assert all(row["asked"] == 2 and row["engine"] == ENGINE for row in result["rows"])
    assert list(result["settings"]["plates"]) == ["plate.png"] and result["data"]["digest"]
    lines = (tmp_path / "changed.txt").read_text(encoding="utf-8").splitlines()
    flips = sum(row["verdicts changed"] for row in result["rows"])
    assert len([line for line in lines if " in full, " in line]) == flips


def test_the_command_needs_something_to_read(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(reduced_decoding.main)
    done = CliRunner().invoke(app, ["--out", str(tmp_path / "out.json")])
    assert done.exit_code == 2 and "--plate" in done.output
    assert not (tmp_path / "out.json").exists()
