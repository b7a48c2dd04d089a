"""What the doctor finds."""

from __future__ import annotations

import json
from pathlib import Path

from runtime.backends.registry import ENGINES
from runtime.doctor import examine_machine
from tests.runtime.kit import Contents, make
from tests.runtime.models import onnx_bytes


def test_without_a_bundle_it_shows_machine_and_engines() -> None:
    report = examine_machine()
    assert tuple(engine.engine for engine in report.engines) == ENGINES
    assert (report.results, report.choice, report.failure) == ((), None, None)


def test_with_a_bundle_it_says_which_engine_would_be_used(tmp_path: Path) -> None:
    report = examine_machine(make(tmp_path / "bundle"), threads=1)
    assert report.choice is not None and report.choice.key == "onnxruntime-fp32"
    table = json.loads(json.dumps(report.to_json()))
    assert table["choice"]["reason"].startswith("onnxruntime-fp32: p50")
    assert table["results"][0]["passed"] is True
    assert table["failure"] is None


def test_with_a_bundle_that_fails_it_chooses_nothing(tmp_path: Path) -> None:
    files = {"models/model.onnx": onnx_bytes(gain=-4.0)}
    report = examine_machine(make(tmp_path / "bundle", Contents(files=files)), threads=1)
    assert report.choice is None
    assert "must not answer" in str(report.failure)
    assert report.to_json()["choice"] is None
    assert "wrong decision" in report.to_json()["failure"]
