from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import DEFAULT_FOLDER, render
from benchmarks.results import Result, load, save
from runtime.errors import InputError
from tests.architecture.tree import ROOT

RESULT = Result(
    "latency",
    (
        {"engine": "onnxruntime-int8", "p50_ms": 5.4321},
        {"engine": "a|b", "p50_ms": "", "note": "x\ny"},
        {"engine": "silent", "p50_ms": None},
    ),
    {"runs": 200},
    {"name": "ulna", "version": "1.0.0", "digest": "0123456789abcdef"},
)


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    save(RESULT, tmp_path / "deep" / "result.json")
    assert load(tmp_path / "deep" / "result.json") == RESULT


def test_a_result_names_the_device_and_the_versions() -> None:
    assert RESULT.device["cpu"]
    assert RESULT.device["usable_cores"] >= 1
    assert RESULT.versions["onnxruntime"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "kind": "latency"}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not a benchmark's result"):
        load(path)


def test_the_table_has_every_column_and_keeps_its_cells_apart() -> None:
    text = render([("box.json", RESULT)])
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table == [
        "| engine | p50_ms | note |",
        "| --- | --- | --- |",
        "| onnxruntime-int8 | 5.432 |  |",
        "| a\\|b |  | x y |",
        "| silent | none |  |",
    ]
    assert "- bundle: ulna 1.0.0 0123456789ab" in text


def test_the_results_in_the_repository_can_be_drawn() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.report", str(DEFAULT_FOLDER)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n## ") + done.stdout.startswith("## ") == len(
        list(DEFAULT_FOLDER.glob("*.json"))
    )
