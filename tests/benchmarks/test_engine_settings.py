"""Every setting that is compared can be set, and the command writes down a row for each."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import engine_settings
from benchmarks.engine_settings import VARIANTS, compare, measure_settings, others_compute
from runtime.bundle import EngineEntry
from tests.facts import informed_bundle
from tests.runtime import kit
from tests.runtime.models import openvino_files

FIGURES = ("own p50 ms", "changed p50 ms", "changed over own", "own MiB", "changed MiB")


def variants_of(engine: str) -> list[str]:
    return [variant.name for variant in VARIANTS if variant.engine == engine]


def require_measured(rows: list[dict[str, Any]], engine: str) -> None:
    assert [row["changed"] for row in rows] == variants_of(engine)
    for row in rows:
        assert row["engine"] == f"{engine}-fp32"
        assert all(row[figure] > 0 for figure in FIGURES)
        assert row["low"] <= row["changed over own"] <= row["high"]


def test_the_command_measures_a_row_for_each_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = kit.make(tmp_path / "bundle")
    monkeypatch.setattr(engine_settings, "open_named", lambda named, trust: bundle)
    app = typer.Typer()
    app.command()(engine_settings.main)
    done = CliRunner().invoke(
        app, ["--out", str(tmp_path / "out.json"), "--runs", "10"], catch_exceptions=False
    )

    assert done.exit_code == 0
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert result["bundle"]["name"] == bundle.manifest.name
    require_measured(result["rows"], "onnxruntime")
    assert done.stdout.count("of the time") == len(result["rows"])


def test_openvino_is_measured_too(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    files, entry = openvino_files(), EngineEntry("openvino", "fp32", "models/m.xml", "models/m.bin")
    contents = kit.Contents((entry,), files={"models/m.xml": files.main, "models/m.bin": files.weights})
    result = measure_settings(kit.make(tmp_path / "bundle", contents), 10, busy=False)

    require_measured(list(result.rows), "openvino")


def test_a_model_that_takes_facts_is_measured_without_any(tmp_path: Path) -> None:
    rows = measure_settings(informed_bundle(tmp_path / "bundle"), 10, busy=False).rows

    require_measured(list(rows), "onnxruntime")


def test_those_that_compute_beside_it_are_gone_afterwards() -> None:
    before = {*multiprocessing.active_children()}
    with others_compute(2):
        computing = {*multiprocessing.active_children()} - before
    assert len(computing) == 2
    assert not any(other.is_alive() for other in computing)


def test_flushed_denormals_do_not_outlive_their_measurement(tmp_path: Path) -> None:
    bundle = kit.make(tmp_path / "bundle")
    (variant,) = (one for one in VARIANTS if (one.engine, one.name) == ("onnxruntime", "denormals flushed"))
    compare(bundle, bundle.manifest.engines[0], variant, 10)

    assert np.float64(5e-324) * np.float64(1.0) > 0
