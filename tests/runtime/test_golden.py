"""One engine against the golden cases, in this process."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from runtime.backends.base import BackendOptions
from runtime.bundle import EngineEntry, GoldenCase
from runtime.golden import EngineResult, examine, refused
from runtime.latency import LatencyOptions
from tests.runtime.kit import ORT, Contents, entry, golden_case, golden_cases, make
from tests.runtime.models import onnx_bytes, openvino_files

TIMING = LatencyOptions(warmup=1, runs=5)


def result_of(root: Path, contents: Contents | None = None, key: str = "onnxruntime-fp32") -> EngineResult:
    bundle = make(root / "bundle", contents or Contents())
    return examine(bundle, bundle.entry(key), BackendOptions(threads=1), TIMING)


def test_an_engine_that_answers_as_released_passes_and_is_timed(tmp_path: Path) -> None:
    result = result_of(tmp_path)
    assert result.passed
    assert result.reason == "3 golden cases answered as released, the place of findings not among them"
    assert result.latency is not None and result.latency.runs == 5
    assert result.worst_logit_error is not None and result.worst_logit_error < 1e-3
    assert (result.key, result.engine, result.precision) == ("onnxruntime-fp32", "onnxruntime", "fp32")
    assert (result.device, result.size_bytes) == ("cpu", len(onnx_bytes()))
    assert result.version and result.load_ms is not None and result.load_ms > 0


def test_openvino_passes_with_its_two_files(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    files = openvino_files()
    engines = (EngineEntry("openvino", "fp32", "ov/model.xml", "ov/model.bin"),)
    contents = Contents(engines, files={"ov/model.xml": files.main, "ov/model.bin": files.weights})
    assert result_of(tmp_path, contents, "openvino-fp32").passed


def test_a_logit_beyond_the_tolerance_fails_with_its_size(tmp_path: Path) -> None:
    result = result_of(tmp_path, Contents(files={ORT.main: onnx_bytes(bias=0.06)}))
    assert not result.passed
    assert result.latency is None
    assert "logit off by 0.06 on golden case fracture" in result.reason and "within 0.05" in result.reason
    assert result.reason.endswith("(and 2 more)")
    assert result.worst_logit_error == pytest.approx(0.06, abs=1e-3)


def test_a_logit_within_the_tolerance_passes(tmp_path: Path) -> None:
    assert result_of(tmp_path, Contents(files={ORT.main: onnx_bytes(bias=0.04)})).passed


def test_the_tolerance_is_that_of_the_entry(tmp_path: Path) -> None:
    wide = Contents((entry(logit_tolerance=0.5),), files={ORT.main: onnx_bytes(bias=0.4)})
    assert result_of(tmp_path, wide).passed


def test_a_wrong_decision_fails_even_within_the_tolerance_and_is_named_first(tmp_path: Path) -> None:
    wide = Contents((entry(logit_tolerance=50.0),), files={ORT.main: onnx_bytes(gain=-4.0)})
    result = result_of(tmp_path, wide)
    assert not result.passed
    assert result.reason.startswith("wrong decision on golden case fracture: none, expected fracture")


def test_a_model_that_always_finds_nothing_fails(tmp_path: Path) -> None:
    result = result_of(tmp_path, Contents(files={ORT.main: onnx_bytes(gain=0.0, bias=-9.0)}))
    assert "wrong decision on golden case fracture: none, expected fracture" in result.reason


@pytest.mark.parametrize("bias", [float("nan"), float("inf"), float("-inf")])
def test_a_logit_that_is_no_number_fails(tmp_path: Path, bias: float) -> None:
    result = result_of(tmp_path, Contents(files={ORT.main: onnx_bytes(bias=bias)}))
    assert not result.passed
    assert "golden case fracture" in result.reason and "not numbers" in result.reason


def test_a_bundle_without_golden_cases_shows_nothing_and_fails(tmp_path: Path) -> None:
    result = result_of(tmp_path, Contents(golden=()))
    assert not result.passed
    assert "no golden cases" in result.reason


def test_a_golden_case_without_a_logit_for_this_engine_fails(tmp_path: Path) -> None:
    result = result_of(tmp_path, Contents(golden=golden_cases("openvino-fp32")))
    assert not result.passed
    assert "no expected logit for onnxruntime-fp32" in result.reason


def test_a_model_that_does_not_load_fails_with_what_the_engine_said(tmp_path: Path) -> None:
    result = result_of(tmp_path, Contents(files={ORT.main: b"no model"}))
    assert not result.passed
    assert "onnxruntime cannot load the model" in result.reason


def test_a_golden_image_that_cannot_be_read_fails(tmp_path: Path) -> None:
    result = result_of(tmp_path, Contents(files={"golden/doubt.png": b"no image"}))
    assert not result.passed
    assert "golden/doubt.png" in result.reason


def test_a_device_that_is_not_there_fails(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle")
    result = examine(bundle, bundle.entry("onnxruntime-fp32"), BackendOptions(device="toaster"), TIMING)
    assert not result.passed
    assert "toaster" in result.reason


def test_a_bundle_that_changed_since_it_was_opened_fails(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle")
    (bundle.root / ORT.main).write_bytes(onnx_bytes(bias=0.001))
    result = examine(bundle, bundle.entry("onnxruntime-fp32"), BackendOptions(), TIMING)
    assert not result.passed
    assert "was altered" in result.reason


def test_a_bug_in_an_engine_is_a_result_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("runtime.golden.registry.open_backend", explode)
    result = result_of(tmp_path)
    assert not result.passed
    assert result.reason == "failed with ZeroDivisionError: division by zero"


def test_a_refused_entry_still_has_its_size(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle")
    result = refused(bundle, bundle.entry("onnxruntime-fp32"), "because")
    assert (result.passed, result.reason, result.size_bytes) == (False, "because", len(onnx_bytes()))


def test_the_worst_error_is_over_all_cases(tmp_path: Path) -> None:
    right, wrong = golden_case("none", "onnxruntime-fp32"), golden_case("fracture", "onnxruntime-fp32")
    off: GoldenCase = dataclasses.replace(
        wrong, logits={"onnxruntime-fp32": wrong.logits["onnxruntime-fp32"] + 0.2}
    )
    result = result_of(tmp_path, Contents(golden=(right, off)))
    assert result.worst_logit_error == pytest.approx(0.2, abs=1e-3)
