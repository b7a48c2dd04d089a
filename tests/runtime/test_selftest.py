"""The whole self-test, every engine in a process of its own, and the choice it leads to."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from runtime import isolated
from runtime.backends.base import BackendOptions
from runtime.backends.registry import availability, devices
from runtime.bundle import STATUS_DEFERRED, EngineEntry
from runtime.errors import BackendError
from runtime.golden import EngineResult
from runtime.latency import Latency, LatencyOptions
from runtime.selftest import SelfTestPlan, choose, pick, run
from tests.runtime.kit import ORT, Contents, entry, make
from tests.runtime.models import onnx_bytes, openvino_files

PLAN = SelfTestPlan(LatencyOptions(warmup=1, runs=5), timeout_s=60)
OPTIONS = BackendOptions(threads=1)


def result(key: str, p50_ms: float | None) -> EngineResult:
    engine, precision = key.split("-")
    latency = None if p50_ms is None else Latency(p50_ms, p50_ms + 1, p50_ms + 2, 30)
    return EngineResult(key, engine, precision, latency is not None, "words", latency)


def test_the_fastest_that_passed_is_chosen_and_the_reason_says_so() -> None:
    results = (
        result("openvino-int8", 4.04),
        result("onnxruntime-int8", 3.1),
        result("onnxruntime-fp32", 9.0),
    )
    choice = pick(results)
    assert choice.key == "onnxruntime-int8"
    assert choice.reason == "onnxruntime-int8: p50 3.1 ms, next openvino-int8 4.0 ms"
    assert choice.results == results


def test_the_only_one_that_passed_is_chosen() -> None:
    choice = pick((result("openvino-int8", None), result("onnxruntime-fp32", 9.0)))
    assert choice.reason == "onnxruntime-fp32: p50 9.0 ms, no other engine passed"


def test_when_none_passed_the_machine_must_not_answer() -> None:
    with pytest.raises(BackendError, match="must not answer") as caught:
        pick((result("openvino-int8", None), result("onnxruntime-fp32", None)))
    assert "openvino-int8: words; onnxruntime-fp32: words" in str(caught.value)
    assert "doctor" in caught.value.hint


def test_a_faulty_engine_does_not_stop_the_others(tmp_path: Path) -> None:
    files = openvino_files()
    engines = (
        entry(precision="int8", main="nan.onnx"),
        entry(precision="fp16", main="garbage.onnx"),
        EngineEntry("tensorrt", "int8", "plan.onnx", status=STATUS_DEFERRED, note="no GPU where it was made"),
        EngineEntry("tensorrt", "fp32", "classic.engine"),
        EngineEntry("tensorrt_rtx", "fp32", "rtx.engine"),
        EngineEntry("openvino", "fp32", "ov/model.xml", "ov/model.bin"),
        ORT,
    )
    contents = Contents(
        engines,
        files={
            "nan.onnx": onnx_bytes(bias=float("nan")),
            "garbage.onnx": b"garbage",
            "rtx.engine": b"garbage",
            "ov/model.xml": files.main,
            "ov/model.bin": files.weights,
        },
    )
    bundle = make(tmp_path / "bundle", contents)
    told: list[str] = []
    results = {one.key: one for one in run(bundle, OPTIONS, PLAN, told.append)}
    assert told == list(results) == [one.key for one in engines]
    assert {key for key, one in results.items() if one.passed} == {"onnxruntime-fp32", "openvino-fp32"}
    assert "not numbers" in results["onnxruntime-int8"].reason
    assert "cannot load" in results["onnxruntime-fp16"].reason
    assert results["tensorrt-int8"].reason == "deferred to the device: no GPU where it was made"
    assert "tensorrt" in results["tensorrt_rtx-fp32"].reason
    assert all(one.reason for one in results.values())
    passed = results["onnxruntime-fp32"]
    assert passed.memory_bytes > passed.base_memory_bytes > 0
    assert pick(tuple(results.values())).key in {"onnxruntime-fp32", "openvino-fp32"}


def test_a_deferred_entry_is_never_chosen_though_it_would_run(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle", Contents((entry(status=STATUS_DEFERRED),)))
    with pytest.raises(BackendError, match="deferred to the device"):
        choose(bundle, OPTIONS, PLAN)


def test_a_bundle_without_golden_cases_is_never_chosen_from(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="no golden cases"):
        choose(make(tmp_path / "bundle", Contents(golden=())), OPTIONS, PLAN)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder put first on the child's module path; a sitecustomize.py there runs inside the child."""
    folder = tmp_path / "inside_the_child"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


SABOTAGE = {
    "segfault": ("import ctypes; ctypes.string_at(0)", "crashed with SIGSEGV"),
    "abort": ("import os; os.abort()", "crashed with SIGABRT"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "crashed with SIGKILL"),
    "exit": ("import os; os._exit(7)", "ended with exit code 7"),
    "exception": ("raise SystemError('broken engine')", "broken engine"),
    "silence": ("import os; os._exit(0)", "ended without an answer"),
    "chatter": ("import os; os.write(1, b'{}'); os._exit(0)", "ended without an answer"),
    "hang": ("import time; time.sleep(600)", "gave no answer within"),
}


@pytest.mark.parametrize(("code", "words"), SABOTAGE.values(), ids=SABOTAGE)
def test_an_engine_that_crashes_or_hangs_is_a_failed_result(
    tmp_path: Path, child: Path, code: str, words: str
) -> None:
    """The sabotage happens where native code would run: when the child loads the model."""
    (child / "onnxruntime.py").write_text(code)
    bundle = make(tmp_path / "bundle")
    timeout_s = 3 if "sleep" in code else 60
    (one,) = run(bundle, OPTIONS, dataclasses.replace(PLAN, timeout_s=timeout_s))
    assert not one.passed
    assert words in one.reason


def test_what_an_engine_prints_is_not_taken_for_the_answer(tmp_path: Path, child: Path) -> None:
    (child / "onnxruntime.py").write_text(
        "import os, sys\nos.write(1, b'banner of an engine')\n"
        f"sys.path.remove({str(child)!r})\ndel sys.modules['onnxruntime']\nimport onnxruntime\n"
    )
    (one,) = run(make(tmp_path / "bundle"), OPTIONS, PLAN)
    assert one.passed


def test_the_child_does_not_import_from_the_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's USB stick with a file called numpy.py must not become part of the self-test."""
    bundle = make(tmp_path / "bundle")
    (tmp_path / "numpy.py").write_text("raise SystemError('taken over')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (one,) = run(bundle, OPTIONS, PLAN)
    assert one.passed


def test_a_bundle_switched_under_the_child_is_refused(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle")
    make(tmp_path / "bundle", Contents(files={"card.md": b"# Another bundle"}))
    (one,) = run(bundle, OPTIONS, PLAN)
    assert not one.passed
    assert "manifest.json has changed" in one.reason


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_an_engine_that_eats_the_memory_loses_its_own_process_first(tmp_path: Path, child: Path) -> None:
    code = "from pathlib import Path; raise SystemError(Path('/proc/self/oom_score_adj').read_text())"
    (child / "onnxruntime.py").write_text(code)
    (one,) = run(make(tmp_path / "bundle"), OPTIONS, PLAN)
    assert "does not load: 1000" in one.reason


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_hanging_child_dies_with_its_parent(tmp_path: Path, child: Path) -> None:
    """The parent is killed while its child hangs: no process is left that burns the box's processor."""
    import signal
    import subprocess
    import time

    (child / "onnxruntime.py").write_text(
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)\n"
    )
    bundle = make(tmp_path / "bundle")
    code = (
        "from pathlib import Path; from runtime.bundle import open_pinned; from runtime.selftest import run; "
        f"run(open_pinned(Path({str(bundle.root)!r}), {bundle.digest!r}, 'x'))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(child), *filter(None, sys.path)])}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as parent:
        pid = _wait_for_pid(tmp_path / "pid")
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not _is_running(pid):
            break
        time.sleep(0.05)
    assert not _is_running(pid)


def _wait_for_pid(path: Path) -> int:
    import time

    for _ in range(600):
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError("the child never started")


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_the_request_survives_its_way_to_the_child() -> None:
    from runtime import strict

    request = isolated.Request("/b", "0" * 64, "ab", "onnxruntime-fp32", OPTIONS, PLAN.timing)
    assert strict.build(isolated.Request, dataclasses.asdict(request), "request") == request


def test_an_engine_that_this_machine_cannot_build_says_why_and_another_is_chosen(tmp_path: Path) -> None:
    if availability("tensorrt_rtx").installed and devices("tensorrt_rtx"):
        pytest.skip("this machine has a GPU for which it would be built")
    deferred = EngineEntry("tensorrt_rtx", "int8", "models/trt/source.onnx", status=STATUS_DEFERRED)
    bundle = make(tmp_path / "bundle", Contents((entry(), deferred)))

    plain = run(bundle, OPTIONS, PLAN)
    assert [one.reason for one in plain if one.key == deferred.key] == [STATUS_DEFERRED]
    choice = choose(bundle, OPTIONS, dataclasses.replace(PLAN, engines=tmp_path / "built"))
    (tried,) = (one for one in choice.results if one.key == deferred.key)
    assert choice.key == "onnxruntime-fp32"
    assert not tried.passed and tried.reason.startswith(f"{STATUS_DEFERRED}: ") and "GPU" in tried.reason
