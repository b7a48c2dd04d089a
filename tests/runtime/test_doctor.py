"""What the doctor finds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from runtime.backends.registry import ENGINES
from runtime.doctor import examine_machine
from runtime.readers import guarded
from runtime.survey import look
from tests.runtime.kit import Contents, make
from tests.runtime.models import onnx_bytes


def test_without_a_bundle_it_shows_machine_and_engines() -> None:
    report = examine_machine()
    assert tuple(engine.engine for engine in report.engines) == ENGINES
    assert (report.results, report.choice, report.failure) == ((), None, None)
    assert report.to_json()["reading"] == {"confined": not guarded.missing(), "reason": report.reading}


def test_a_reading_process_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(guarded, "_holder", guarded._Holder())
    report = examine_machine()
    assert "gave no answer" in report.reading
    assert not report.to_json()["reading"]["confined"]


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


HALF_INSTALLED = {
    "segfault": ("import ctypes; ctypes.string_at(0)", "crashed with SIGSEGV"),
    "exit": ("import os; os._exit(0)", "ended without an answer"),
    "hang": ("import time; time.sleep(600)", "gave no answer within"),
    "no version": ("x = 1", "AttributeError"),
    "no plugins": (
        "__version__ = '1'\nclass Core:\n    def __init__(self): raise RuntimeError('no plugins')",
        "no plugins",
    ),
}


@pytest.mark.parametrize(("code", "words"), HALF_INSTALLED.values(), ids=HALF_INSTALLED)
def test_an_engine_that_crashes_or_hangs_while_it_is_looked_at_is_named_and_the_doctor_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    (tmp_path / "openvino.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    found = look("openvino", timeout_s=2 if "sleep" in code else 60).availability
    assert not found.installed
    assert words in found.reason
    assert found.reason.endswith("install it again")


def test_what_an_engine_prints_while_it_is_imported_does_not_reach_the_doctors_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "openvino.py").write_text("print('a banner')\nraise ImportError('no libtbb')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "no libtbb" in look("openvino").availability.reason
    assert capfd.readouterr().out == ""
