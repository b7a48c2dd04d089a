"""Good radiographs are spoiled as meant, and what becomes of them is counted without flattery."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import degradations, degraded
from benchmarks.degradations import Degradation, as_png, every
from benchmarks.degraded import Outcome, Spoiled, outcome_of, row_of
from benchmarks.refusals import Picture
from runtime.detector import from_bundle
from runtime.findings import Verdict
from runtime.reference import open_named
from tests.bundles import radiograph_pixels
from tests.compress.easy_data import write_easy_data
from tests.runtime import kit

PLANE = (radiograph_pixels(False) >> 4).astype(np.uint8)
FAULT = Degradation("blur", "much", as_png)


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("fault", every(), ids=lambda fault: f"{fault.fault} {fault.strength}")
def test_every_fault_gives_a_picture_the_same_every_time_and_leaves_its_source_alone(
    fault: Degradation,
) -> None:
    before = PLANE.copy()
    data = fault.make(PLANE)

    assert data == fault.make(PLANE)
    assert np.array_equal(PLANE, before)
    assert decoded(data).dtype == np.uint8
    assert np.array_equal(decoded(data), PLANE) is (fault.fault == "untouched")


def test_fewer_photons_make_more_noise_and_most_of_it_in_bone() -> None:
    def noise(dose: float, rows: slice) -> float:
        flat = np.full((200, 200), 20, np.uint8)
        flat[100:] = 200
        return float(decoded(degradations.with_quantum_noise(flat, dose))[rows].std())

    air, bone = slice(0, 100), slice(100, 200)
    assert noise(0.05, bone) > 3 * noise(0.05, air)
    assert noise(0.01, air) > 1.7 * noise(0.05, air)


@pytest.mark.parametrize("white", [True, False])
def test_clipping_makes_the_share_that_was_asked_for_one_shade(white: bool) -> None:
    ramp = np.tile(np.linspace(10, 240, 300), (200, 1)).astype(np.uint8)
    clipped = decoded(degradations.with_clipping(ramp, 0.2, white=white))

    assert (clipped == (255 if white else 0)).mean() == pytest.approx(0.2, abs=0.01)


def spoiled(before: Verdict, after: Verdict, warned: bool = False, named: bool = False) -> Spoiled:
    name = f"{before}-{after}-{warned}-{named}"
    return Spoiled(Picture(name, name, bytes), Outcome(before, False, False), Outcome(after, warned, named))


def test_only_an_unmarked_none_that_was_something_else_counts_as_lost() -> None:
    row = row_of(
        FAULT,
        [
            spoiled(Verdict.FRACTURE, Verdict.NONE),
            spoiled(Verdict.DOUBT, Verdict.NONE, warned=True, named=True),
            spoiled(Verdict.NONE, Verdict.DOUBT),
            spoiled(Verdict.NONE, Verdict.NONE),
            spoiled(Verdict.UNREADABLE, Verdict.NONE, warned=True),
            spoiled(Verdict.FRACTURE, Verdict.UNREADABLE, named=True),
            spoiled(Verdict.NONE, Verdict.UNREADABLE, warned=True),
        ],
    )

    counted = {name: value for name, value in row.items() if isinstance(value, int)}
    assert counted == {
        "asked": 7,
        "refused": 2,
        "refused, fault named": 1,
        "warned": 2,
        "warned, fault named": 1,
        "silent": 3,
        "flipped": 3,
        "flipped in silence": 2,
        "none in silence": 1,
    }


def test_what_a_bundle_was_made_for_is_no_warning(tmp_path: Path) -> None:
    with from_bundle(kit.make(tmp_path / "bundle")) as detector:
        detector.spec = replace(detector.spec, ages_years=(18.0, 65.0), views=("lateral", "frontal"))
        outcome = outcome_of(detector, as_png(PLANE))

    assert not outcome.refused and not outcome.warned


def test_a_picture_is_never_enlarged() -> None:
    assert decoded(degradations.made_smaller(PLANE, 10_000)).shape == PLANE.shape
    assert max(decoded(degradations.made_smaller(PLANE, 200)).shape) == 200


@pytest.mark.slow
def test_the_command_spoils_each_picture_and_writes_what_became_of_it(tmp_path: Path) -> None:
    data = write_easy_data(tmp_path / "easy", patients=2, side_px=256)
    app = typer.Typer()
    app.command()(degraded.main)
    outputs = ["--out", str(tmp_path / "out.json"), "--lost", str(tmp_path / "lost.txt")]
    done = CliRunner().invoke(app, ["--data", str(data), "--most", "2", *outputs], catch_exceptions=False)

    assert done.exit_code == 0
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert result["bundle"]["name"] == open_named(None, None).manifest.name
    assert len(result["rows"]) == len(every())
    for row in result["rows"]:
        assert row["asked"] == 2 == row["refused"] + row["warned"] + row["silent"]
    lost = (tmp_path / "lost.txt").read_text(encoding="utf-8").splitlines()
    assert len(lost) == sum(row["none in silence"] for row in result["rows"])
