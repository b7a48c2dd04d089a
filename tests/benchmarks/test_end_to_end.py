"""The runtime beside its peers: all see the same picture, in turns, and the peers run the same network."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import end_to_end
from benchmarks.end_to_end import ONNX_RUNTIME, OURS, STAGES, TORCH, times_in_turns
from benchmarks.plain.decoding import tensor_of
from benchmarks.plain.peak import eight_bit_gops, float_gflops
from benchmarks.plain.peers import eager_torch, float_graph, network_of, plain_onnxruntime
from benchmarks.startup import measure_startup
from runtime.errors import BundleError
from runtime.preprocess import PreprocessSpec
from runtime.reference import open_named
from tests.bundles import radiograph_png
from tests.runtime.readers.makers import dicom, encoded, plate

SPEC = PreprocessSpec(size_px=448)


def test_every_call_sees_every_round_and_each_goes_first_equally_often() -> None:
    order: list[str] = []
    calls = {name: partial(_note, order, name) for name in "abc"}
    times = times_in_turns(calls, b"1234", 6)

    assert {name: len(kept) for name, kept in times.items()} == {"a": 6, "b": 6, "c": 6}
    rounds = [order[start : start + 3] for start in range(9, len(order), 3)]
    assert [first for first, *_ in rounds] == ["a4", "b4", "c4"] * 2
    assert all(sorted(turn) == ["a4", "b4", "c4"] for turn in rounds)


def _note(order: list[str], name: str, data: bytes) -> None:
    order.append(f"{name}{len(data)}")


def test_the_usual_decoding_puts_the_whole_picture_into_the_square() -> None:
    tall = plate(200, 100)
    for data in (encoded(".png", tall), dicom(tall)):
        tensor = tensor_of(data, PreprocessSpec(size_px=64))
        assert tensor.shape == (1, 1, 64, 64) and tensor.dtype == np.float32
        assert (tensor[0, 0, :, :16] == -1).all() and (tensor[0, 0, :, 48:] == -1).all()
        assert (tensor[0, 0, :, 17:47] > -1).all()


@pytest.mark.slow
def test_both_peers_run_the_bundles_own_network() -> None:
    bundle, data = open_named(None, None), radiograph_png(True)
    torch_says = eager_torch(network_of(bundle, data), bundle.manifest.preprocess)(data)
    plain_says = plain_onnxruntime(float_graph(bundle), bundle.manifest.preprocess)(data)

    assert torch_says == pytest.approx(plain_says, abs=1e-3)
    assert 0 < torch_says < 1


def test_what_a_processor_can_do_is_more_than_nothing() -> None:
    assert float_gflops() > 0.1
    assert eight_bit_gops() > 0.1


@pytest.mark.slow
def test_the_command_writes_a_row_a_contestant_and_the_share_of_the_peak(
    real_data: Path, tmp_path: Path
) -> None:
    app = typer.Typer()
    app.command()(end_to_end.main)
    pictures = [
        real_data / "fracatlas/images/IMG0000155.jpg",
        real_data / "dicom/real/cr_hip_jpeg_lossless.dcm",
    ]
    given = [word for path in pictures for word in ("--picture", str(path))]
    done = CliRunner().invoke(
        app, [*given, "--rounds", "10", "--engine", "onnxruntime-fp32", "--out", str(tmp_path / "out.json")]
    )
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    who = [row["who"] for row in result["rows"]]
    assert who == [f"{OURS} (onnxruntime-fp32)", TORCH, ONNX_RUNTIME] * 2
    ours = result["rows"][0]
    assert ours["p90 over ours"] == 1 and 0 < ours["before inference"] < 1
    assert all(ours[f"{stage} ms"] > 0 for stage in STAGES if stage != "inverse")
    assert ours["inverse ms"] >= 0 and 0 < ours["before inference"] < 1
    assert result["settings"]["share of that"] > 0


def test_a_picture_without_an_answer_is_no_measurement(real_data: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(end_to_end.main)
    given = ["--picture", str(real_data / "negatives/photo_chelsea.jpg"), "--out", str(tmp_path / "out.json")]
    done = CliRunner().invoke(app, [*given, "--engine", "onnxruntime-fp32"])
    assert isinstance(done.exception, ValueError) and "no answer to measure" in str(done.exception)
    assert not (tmp_path / "out.json").exists()


def test_a_bundle_without_a_float_graph_has_no_peers() -> None:
    bundle = open_named(None, None)
    others = tuple(entry for entry in bundle.manifest.engines if entry.key != "onnxruntime-fp32")
    without = replace(bundle, manifest=replace(bundle.manifest, engines=others))
    with pytest.raises(BundleError, match="onnxruntime-fp32"):
        float_graph(without)


@pytest.mark.slow
def test_a_start_is_timed_to_the_first_answer_and_its_memory_told(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(radiograph_png(True))
    bundle = open_named(None, None)
    rows = list(measure_startup(bundle, None, tmp_path / "picture.png", 1))

    assert [row["engine"] for row in rows] == [
        entry.key for entry in bundle.manifest.engines if entry.runs and entry.engine != "tensorrt"
    ]
    for row in rows:
        assert 0 < row["p50 s"] == row["p90 s"]
        assert row["resident MiB"] > row["reading process, own MiB"] > 1


@pytest.mark.slow
def test_a_start_that_gives_no_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="gave no answer for missing"):
        list(measure_startup(open_named(None, None), None, tmp_path / "missing.png", 1))
