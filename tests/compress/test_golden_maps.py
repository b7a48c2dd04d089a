"""The maps of a release: written by its own engines, which pass; whoever looks elsewhere does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress.golden_maps import GRID, Engine, MapPlan, Placed, tells_places, write_maps
from runtime.backends.base import Backend, BackendOptions, ModelFiles
from runtime.backends.registry import open_backend
from runtime.bundle import EngineEntry, GoldenCase
from runtime.detector import DetectorSpec
from runtime.errors import InferenceError, UnreadableImageError
from runtime.findings import Provenance
from runtime.golden import EngineResult, examine
from runtime.latency import LatencyOptions
from tests.runtime.kit import POINTS, SPEC, Contents, corner_plate, golden_case, make
from tests.runtime.models import MAP_SIZE, Misplacing, misplacing_onnx_bytes, onnx_bytes, openvino_files

DETECTOR = DetectorSpec(SPEC, POINTS, (), Provenance("", "", "test", "1"))
VERDICTS = ("fracture", "doubt", "none")
ORT_KEY, OV_KEY = "onnxruntime-fp32", "openvino-int8"
SOUND, TRANSPOSED = onnx_bytes(), misplacing_onnx_bytes(Misplacing(transposed=True))
WEAKER = misplacing_onnx_bytes(Misplacing(factor=0.97))


def opened(model: bytes) -> Callable[[], Backend]:
    return lambda: open_backend("onnxruntime", ModelFiles(model))


def written(
    folder: Path, engines: Mapping[str, Engine], plates: Callable[[str], bytes] = corner_plate
) -> Placed:
    """Of one golden case a verdict, whose logits the engines answer as the sound network does."""
    golden = []
    for verdict in VERDICTS:
        path = folder / f"{verdict}.png"
        path.write_bytes(plates(verdict))
        golden.append((golden_case(verdict, *engines, picture=corner_plate(verdict)), path))
    return write_maps(golden, MapPlan(DETECTOR, opened(SOUND), engines))


def released(folder: Path, placed: Placed, model: bytes) -> EngineResult:
    """What the self-test says of a box that runs `model` as the bundle's one engine."""
    entry = EngineEntry(
        "onnxruntime",
        "fp32",
        "m.onnx",
        logit_tolerance=0.5,
        map_tolerance=placed.tolerances.get(ORT_KEY),
    )
    files = {f"golden/{verdict}.png": corner_plate(verdict) for verdict in VERDICTS}
    bundle = make(folder / "bundle", Contents((entry,), placed.golden, {**files, "m.onnx": model}))
    return examine(bundle, entry, BackendOptions(threads=1), LatencyOptions(warmup=1, runs=2))


def test_an_engine_passes_by_its_own_maps_and_another_place_does_not(tmp_path: Path) -> None:
    placed = written(tmp_path, {ORT_KEY: Engine(opened(SOUND), "fp32")})
    grids = [case.maps[ORT_KEY] for case in placed.golden]
    assert {(len(grid), len(row)) for grid in grids for row in grid} == {(GRID, GRID)}
    result = released(tmp_path / "right", placed, SOUND)
    assert result.passed and result.reason == "3 golden cases answered as released"
    wrong = released(tmp_path / "wrong", placed, TRANSPOSED)
    assert not wrong.passed and "evidence map off by" in wrong.reason


def test_each_engine_has_maps_of_its_own_and_a_tolerance_by_its_typical_error(tmp_path: Path) -> None:
    engines = {ORT_KEY: Engine(opened(SOUND), "fp32"), OV_KEY: Engine(opened(WEAKER), "int8")}
    placed = written(tmp_path, engines)
    for case in placed.golden:
        assert set(case.maps) == set(engines)
        assert np.allclose(case.maps[OV_KEY], 0.97 * np.array(case.maps[ORT_KEY]), atol=2e-3)
    # A block of the plates fills no cell: the maps go over 7 of 8 logits. The other engine is off by 3% of 4.
    assert placed.tolerances == {ORT_KEY: 0.07, OV_KEY: pytest.approx(0.24, abs=2e-3)}


def test_the_same_engine_in_another_library_passes(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    files = openvino_files()
    key = "openvino-fp32"
    placed = written(tmp_path, {key: Engine(lambda: open_backend("openvino", files), "fp32")})
    entry = EngineEntry("openvino", "fp32", "m.xml", "m.bin", map_tolerance=placed.tolerances[key])
    plates = {f"golden/{verdict}.png": corner_plate(verdict) for verdict in VERDICTS}
    contents = Contents((entry,), placed.golden, {**plates, "m.xml": files.main, "m.bin": files.weights})
    bundle = make(tmp_path / "bundle", contents)
    assert examine(bundle, entry, BackendOptions(threads=1), LatencyOptions(warmup=1, runs=2)).passed


def test_a_shift_that_own_thresholds_follow_is_no_error(tmp_path: Path) -> None:
    raised = opened(onnx_bytes(bias=6.0))
    assert written(tmp_path, {OV_KEY: Engine(raised, "int8")}).tolerances == {}
    engines = {ORT_KEY: Engine(opened(SOUND), "fp32"), OV_KEY: Engine(raised, "int8", shifted=True)}
    followed = written(tmp_path, engines)
    assert followed.tolerances == {ORT_KEY: 0.07, OV_KEY: 0.21}
    for case in followed.golden:
        assert np.allclose(case.maps[OV_KEY], np.add(case.maps[ORT_KEY], 6.0), atol=2e-3)


def test_an_engine_whose_errors_would_hide_a_wrong_place_gets_no_maps_and_the_box_says_so(
    tmp_path: Path,
) -> None:
    engines = {ORT_KEY: Engine(opened(TRANSPOSED), "fp32"), OV_KEY: Engine(opened(SOUND), "int8")}
    placed = written(tmp_path, engines)
    assert set(placed.tolerances) == {OV_KEY}
    assert all(set(case.maps) == {OV_KEY} for case in placed.golden)
    alone = replace(placed, golden=tuple(replace(case, maps={}) for case in placed.golden))
    assert released(tmp_path / "box", alone, TRANSPOSED).reason.endswith(
        "the place of findings not among them"
    )


def test_maps_without_any_place_are_not_written_down(tmp_path: Path) -> None:
    everywhere = misplacing_onnx_bytes(Misplacing(rows=(3,) * MAP_SIZE, columns=(3,) * MAP_SIZE))
    placed = written(tmp_path, {ORT_KEY: Engine(opened(everywhere), "fp32")})
    assert placed.tolerances == {}
    assert not any(case.maps for case in placed.golden)


@pytest.mark.parametrize(
    "hidden",
    [
        lambda grids: (grids + grids[:, ::-1]) / 2,
        lambda grids: (grids + grids[:, :, ::-1]) / 2,
        lambda grids: (grids + grids[:, ::-1, ::-1]) / 2,
        lambda grids: (grids + grids.transpose(0, 2, 1)) / 2,
        lambda grids: grids.mean(axis=1, keepdims=True) + 0 * grids,
        lambda grids: 0 * grids,
    ],
    ids=["upside down", "left for right", "half a turn", "transposed", "down", "none"],
)
def test_a_mistake_that_shows_on_no_map_is_noticed(hidden: Callable[[np.ndarray], np.ndarray]) -> None:
    grids = np.random.default_rng(2).normal(size=(3, GRID, GRID))
    assert tells_places(grids, 0.01)
    assert not tells_places(hidden(grids), 0.01)


def test_one_map_that_shows_it_is_enough() -> None:
    grids = np.zeros((3, GRID, GRID))
    grids[1] = np.random.default_rng(2).normal(size=(GRID, GRID))
    assert tells_places(grids, 0.01) and not tells_places(grids, 100.0)


def test_an_engine_that_answers_no_number_ends_the_release(tmp_path: Path) -> None:
    nothing = misplacing_onnx_bytes(Misplacing(factor=float("nan")))
    with pytest.raises(InferenceError, match="not numbers"):
        written(tmp_path, {ORT_KEY: Engine(opened(nothing), "fp32")})


def test_a_picture_that_a_box_could_not_read_ends_the_release(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError):
        written(tmp_path, {ORT_KEY: Engine(opened(SOUND), "fp32")}, lambda _: b"no picture")


def test_golden_cases_keep_all_else(tmp_path: Path) -> None:
    before = golden_case("none", ORT_KEY, picture=corner_plate("none"))
    placed = written(tmp_path, {ORT_KEY: Engine(opened(SOUND), "fp32")})
    after: GoldenCase = placed.golden[-1]
    assert replace(after, maps={}) == before
