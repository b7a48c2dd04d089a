"""An engine with a right logit and a wrong map would show a nurse a box at a wrong place: it is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle, GoldenCase
from runtime.detector import from_bundle
from runtime.errors import BackendError
from runtime.golden import EngineResult, examine
from runtime.latency import LatencyOptions
from runtime.map_grid import pool
from runtime.preprocess import preprocess
from runtime.readers import read_bytes
from tests.runtime.kit import ORT, SPEC, Contents, corner_plate, entry, golden_case, make
from tests.runtime.models import (
    MAP_SIZE,
    Misplacing,
    expected_map,
    misplacing_onnx_bytes,
    onnx_bytes,
)

KEY = ORT.key
TOLERANCE = 0.2
"""Of maps whose cells lie between -4 and 4."""
BACK = tuple(reversed(range(MAP_SIZE)))
ON = (0, *range(MAP_SIZE - 1))
MISTAKES = {
    "transposed": Misplacing(transposed=True),
    "left for right": Misplacing(columns=BACK),
    "upside down": Misplacing(rows=BACK),
    "half a turn": Misplacing(rows=BACK, columns=BACK),
    "a quarter turn": Misplacing(transposed=True, rows=BACK),
    "a quarter turn back": Misplacing(transposed=True, columns=BACK),
    "a cell to the right": Misplacing(columns=ON),
    "a cell down": Misplacing(rows=ON),
    "zero": Misplacing(factor=0.0),
    "of the other sign": Misplacing(factor=-1.0),
    "a little weaker": Misplacing(factor=0.9),
}


def cases(grid: tuple[int, int] = (7, 7)) -> tuple[GoldenCase, ...]:
    """As a release of the sound network would write them."""
    return tuple(case(verdict, grid) for verdict in ("fracture", "doubt", "none"))


def case(verdict: str, grid: tuple[int, int]) -> GoldenCase:
    picture = corner_plate(verdict)
    tensor, _ = preprocess(read_bytes(picture), SPEC)
    cells = tuple(map(tuple, pool(expected_map(tensor), *grid).tolist()))
    return dataclasses.replace(golden_case(verdict, KEY, picture=picture), maps={KEY: cells})


def bundle_with(root: Path, model: bytes, grid: tuple[int, int] = (7, 7)) -> Bundle:
    pictures = {f"golden/{verdict}.png": corner_plate(verdict) for verdict in ("fracture", "doubt", "none")}
    engine = entry(map_tolerance=TOLERANCE)
    return make(root / "bundle", Contents((engine,), cases(grid), {**pictures, ORT.main: model}))


def result_of(bundle: Bundle) -> EngineResult:
    return examine(bundle, bundle.entry(KEY), BackendOptions(threads=1), LatencyOptions(warmup=1, runs=2))


@pytest.mark.parametrize("grid", [(7, 7), (1, 1), (8, 8), (3, 20)], ids=str)
def test_a_map_as_released_passes_on_any_grid(tmp_path: Path, grid: tuple[int, int]) -> None:
    result = result_of(bundle_with(tmp_path, onnx_bytes(), grid))
    assert result.passed
    assert result.reason == "3 golden cases answered as released"
    assert result.worst_map_error is not None and result.worst_map_error < 1e-3


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_map_beside_a_right_logit_fails_and_says_where(tmp_path: Path, mistake: str) -> None:
    result = result_of(bundle_with(tmp_path, misplacing_onnx_bytes(MISTAKES[mistake])))
    assert not result.passed and result.latency is None
    assert result.worst_logit_error is not None and result.worst_logit_error < 1e-3
    assert result.worst_map_error is not None and result.worst_map_error > TOLERANCE
    assert result.reason.startswith("evidence map off by ")
    assert "on golden case fracture at row " in result.reason
    assert "of 7 x 7, within 0.2" in result.reason


@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_process_answers_with_an_engine_that_shows_wrong_places(tmp_path: Path, mistake: str) -> None:
    wrong = bundle_with(tmp_path, misplacing_onnx_bytes(MISTAKES[mistake]))
    with pytest.raises(BackendError, match=r"evidence map off by .* on golden case fracture at row"):
        from_bundle(wrong, KEY)


def test_an_engine_that_looks_where_it_should_answers(tmp_path: Path) -> None:
    with from_bundle(bundle_with(tmp_path, onnx_bytes()), KEY) as detector:
        tensor, _ = preprocess(read_bytes(corner_plate("none")), SPEC)
        np.testing.assert_allclose(detector.score(tensor).map, expected_map(tensor), atol=1e-4)


def test_the_cell_that_is_off_is_named_as_people_count(tmp_path: Path) -> None:
    sound = bundle_with(tmp_path / "sound", onnx_bytes())
    first, *others = sound.manifest.golden
    rows = [list(row) for row in first.maps[KEY]]
    rows[1][3] += 3.1
    moved = dataclasses.replace(first, maps={KEY: tuple(map(tuple, rows))})
    files = {f"golden/{one.verdict}.png": corner_plate(one.verdict) for one in (moved, *others)}
    contents = Contents(sound.manifest.engines, (moved, *others), files)
    assert result_of(make(tmp_path / "moved", contents)).reason == (
        "evidence map off by 3.1 on golden case fracture at row 2, column 4 of 7 x 7, within 0.2"
    )


def test_a_wrong_decision_is_named_before_a_wrong_place_and_this_before_a_logit(tmp_path: Path) -> None:
    result = result_of(bundle_with(tmp_path / "dark", onnx_bytes(gain=-4.0)))
    assert result.reason.startswith("wrong decision on golden case fracture")
    shifted = result_of(bundle_with(tmp_path / "shifted", onnx_bytes(bias=0.3)))
    assert shifted.reason.startswith("evidence map off by 0.3") and shifted.reason.endswith("(and 5 more)")


def test_a_map_that_is_no_number_fails(tmp_path: Path) -> None:
    result = result_of(bundle_with(tmp_path, misplacing_onnx_bytes(Misplacing(factor=float("nan")))))
    assert not result.passed
    assert "golden case fracture" in result.reason and "not numbers" in result.reason


@pytest.mark.parametrize("mistake", [Misplacing(), MISTAKES["zero"]], ids=["sound", "zero"])
def test_a_bundle_from_before_maps_passes_and_says_that_no_place_was_checked(
    tmp_path: Path, mistake: Misplacing
) -> None:
    old = make(tmp_path / "bundle", Contents(files={ORT.main: misplacing_onnx_bytes(mistake)}))
    result = result_of(old)
    assert result.passed and result.worst_map_error is None
    assert result.reason == "3 golden cases answered as released, the place of findings not among them"
    assert b"map" not in old.manifest.to_json()


def test_the_result_holds_the_worst_map_error_for_other_processes(tmp_path: Path) -> None:
    result = result_of(bundle_with(tmp_path, misplacing_onnx_bytes(MISTAKES["zero"])))
    table = json.loads(json.dumps(dataclasses.asdict(result)))
    assert EngineResult(**table) == result and table["worst_map_error"] > 1
