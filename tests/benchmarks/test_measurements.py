from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.accuracy import measure_accuracy
from benchmarks.latency import measure_latency
from benchmarks.memory import measure_memory
from compress.datasets.registry import open_dataset
from runtime.bench import BenchOptions
from runtime.bundle import Bundle, open_bundle
from runtime.trust import TrustStore, generate_key
from tests.bundles import BundleOptions, make_bundle, radiograph_png

QUICK = BenchOptions(runs=5, warmup=1)


def _bundle(folder: Path, fault: str = "") -> Bundle:
    key = generate_key()
    trust = TrustStore()
    trust.add(key.public_key())
    return open_bundle(make_bundle(folder, key, BundleOptions(fault=fault)), trust)


def test_latency_of_an_engine_has_three_percentiles(tmp_path: Path) -> None:
    result = measure_latency(_bundle(tmp_path / "b"), QUICK)
    (row,) = result.rows
    assert row["engine"] == "onnxruntime-fp32"
    assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
    assert result.bundle["digest"]


def test_an_engine_that_answers_wrongly_gets_no_latency(tmp_path: Path) -> None:
    (row,) = measure_latency(_bundle(tmp_path / "b", "golden"), QUICK).rows
    assert row["p50_ms"] == ""
    assert row["golden_cases"].startswith("FAILED")


def test_memory_of_an_engine_is_part_of_its_processs(tmp_path: Path) -> None:
    (row,) = measure_memory(_bundle(tmp_path / "b"), QUICK).rows
    assert 0 < row["engine_mib"] < row["peak_mib"]


def test_accuracy_is_measured_from_files_for_every_engine(tmp_path: Path) -> None:
    result = measure_accuracy(_bundle(tmp_path / "b"), open_dataset(_dataset(tmp_path / "data")))
    (row,) = result.rows
    assert row["auroc"] == pytest.approx(1.0)
    low, high = row["sensitivity (high_specificity) 95%"]
    assert low < 1.0 == high
    assert row["without an answer"] == 0
    assert result.data["digest"]


def _dataset(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    lines = ["image_id,file,fractured,body_part,group"]
    for index in range(12):
        fractured = index % 2
        (folder / "images" / f"{index}.png").write_bytes(radiograph_png(bool(fractured), seed=10 + index))
        lines.append(f"i{index},images/{index}.png,{fractured},hand,p{index}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder
