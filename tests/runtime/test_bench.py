"""Measuring every engine of a bundle."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runtime.bench import BenchOptions, BenchReport, bench, versions
from runtime.bundle import Bundle
from runtime.tables import bench_tables
from tests.runtime.kit import ORT, Contents, entry, make
from tests.runtime.models import onnx_bytes

NAN = entry(precision="int8", main="nan.onnx")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    files = {NAN.main: onnx_bytes(bias=float("nan"))}
    return make(tmp_path_factory.mktemp("bench") / "bundle", Contents((ORT, NAN), files=files))


@pytest.fixture(scope="module")
def report(bundle: Bundle) -> BenchReport:
    return bench(bundle, BenchOptions(runs=12, warmup=1, threads=1))


def test_each_engine_is_measured(report: BenchReport) -> None:
    (measured, _) = report.results
    assert measured.latency is not None and measured.latency.runs == 12
    assert measured.size_bytes == len(onnx_bytes())
    assert measured.memory_bytes > measured.base_memory_bytes > 1 << 20
    assert measured.load_ms is not None and measured.load_ms > 0


def test_a_wrong_answer_is_never_timed(report: BenchReport) -> None:
    (_, wrong) = report.results
    assert not wrong.passed
    assert wrong.latency is None
    assert "not numbers" in wrong.reason


def test_the_json_says_what_the_figures_belong_to(report: BenchReport, bundle: Bundle) -> None:
    table = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert table["bundle"] == {"name": "brightness", "version": "1.2.3", "sha256": bundle.digest}
    assert table["threads"] == 1
    assert table["batch_size"] == 1
    assert table["machine"]["cores"] == os.cpu_count()
    assert {"ulna", "numpy", "onnxruntime"} <= set(table["versions"])
    first = table["engines"][0]
    assert first["key"] == "onnxruntime-fp32"
    assert first["model_sha256"] == bundle.manifest.files[ORT.main].sha256
    assert set(first["latency"]) == {"p50_ms", "p90_ms", "p99_ms", "runs"}
    assert first["version"] == table["versions"]["onnxruntime"]


def test_the_table_names_every_engine_in_full_in_eighty_columns(report: BenchReport) -> None:
    from rich.console import Console

    console = Console(width=80, record=True, file=Path(os.devnull).open("w"))  # noqa: SIM115
    for part in bench_tables(report):
        console.print(part)
    text = console.export_text()
    assert "onnxruntime-fp32" in text
    assert "onnxruntime-int8 not measured" in text
    assert max(map(len, text.splitlines())) <= 80


def test_only_installed_libraries_have_versions() -> None:
    found = versions()
    assert "tensorrt" not in found or found["tensorrt"]
    assert all(version[0].isdigit() for version in found.values())
