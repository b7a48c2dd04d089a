"""Engines that fail at work: the next certified one answers, and it is written down. These graphs do fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import runtime.detector
from runtime import golden, selftest
from runtime.backends import registry
from runtime.backends.base import Backend, BackendOptions
from runtime.backends.watched import Answer, Feeds
from runtime.bundle import Bundle, open_bundle
from runtime.detector import Detector
from runtime.errors import BackendError, InferenceError, ReaderUnavailableError
from runtime.findings import RefusalCode, Verdict
from runtime.latency import Latency
from runtime.service_record import ServiceRecord
from runtime.standby import Places, Standby, StandbyLimits, open_detector
from runtime.trust import public_pem
from tests.runtime import kit
from tests.runtime.faulty import OTHER, PICTURE, hanging_model, nan_model, slow_model
from tests.runtime.models import onnx_bytes

FAST, SPARE = "onnxruntime-int8", "onnxruntime-fp32"
ONE_THREAD = BackendOptions(threads=1)
LATENCY = Latency(1.0, 1.0, 1.0, 30)
CERTIFIED = {FAST: LATENCY, SPARE: LATENCY}
IMPATIENT = StandbyLimits(least_s=1.0, most_s=1.0)


def bundle_of(folder: Path, fast: bytes, spare: bytes) -> Bundle:
    """Two engines with a graph each; FAST is the first."""
    engines = (
        kit.entry(precision="int8", main="models/fast.onnx"),
        kit.entry(precision="fp32", main="models/spare.onnx"),
    )
    return kit.make(
        folder / "bundle",
        kit.Contents(engines=engines, files={"models/fast.onnx": fast, "models/spare.onnx": spare}),
    )


def detector_of(
    bundle: Bundle, record: ServiceRecord | None = None, limits: StandbyLimits = IMPATIENT
) -> tuple[Detector, Standby]:
    standby = Standby(bundle, CERTIFIED, ONE_THREAD, Places(record), limits)
    return Detector(standby.engine.backend, standby.engine.spec, standby), standby


def engine_of(detector: Detector) -> str:
    return f"{detector.spec.provenance.engine}-{detector.spec.provenance.precision}"


def test_an_engine_that_answers_no_number_is_replaced_and_the_same_picture_answered(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, nan_model(), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    detector, standby = detector_of(bundle, record)
    with detector:
        assert detector.detect(OTHER).provenance.precision == "int8"
        found = detector.detect(PICTURE)
        assert detector.detect(OTHER).provenance.precision == "fp32"

    assert found.verdict is not Verdict.UNREADABLE and found.provenance.precision == "fp32"
    (out,) = record.retired()
    assert out.key == FAST and "not numbers" in out.reason
    assert not standby.must_end


def test_an_engine_that_hangs_is_left_behind_and_the_process_should_end(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, hanging_model(), onnx_bytes())
    child = start_reading(bundle, tmp_path)
    assert child.stdout is not None
    _, *lines = child.stdout.read().splitlines()
    child.stdout.close()

    assert lines == ["fp32 answered", "must end: True"]
    (out,) = ServiceRecord(tmp_path / "engines", bundle.digest).retired()
    assert out.key == FAST and "no answer within 1 s" in out.reason
    assert child.wait() == 0


def test_a_picture_on_which_every_engine_fails_is_refused_and_the_next_one_answered(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, nan_model(), nan_model())
    detector, _ = detector_of(bundle)
    with detector:
        refused, answered = detector.detect(PICTURE), detector.detect(OTHER)

    assert refused.verdict is Verdict.UNREADABLE
    assert refused.refusal is not None and refused.refusal.code is RefusalCode.ENGINE
    assert answered.verdict is not Verdict.UNREADABLE


def test_an_engine_that_cannot_be_loaded_any_more_is_passed_over(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, b"no graph", onnx_bytes())
    detector, _ = detector_of(bundle)
    with detector:
        assert engine_of(detector) == SPARE


def test_an_engine_that_answers_its_golden_case_otherwise_in_this_process_is_not_used(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, onnx_bytes(gain=-4.0), onnx_bytes())
    detector, _ = detector_of(bundle)
    with detector:
        assert engine_of(detector) == SPARE


def test_no_engine_at_all_is_an_error_and_no_detector(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="no engine of the bundle can be loaded"):
        Standby(bundle_of(tmp_path, b"no graph", b"nor this"), CERTIFIED, ONE_THREAD)


def test_what_is_out_of_service_stays_so_in_the_next_process(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, onnx_bytes(), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    record.retire(FAST, "gave no answer")
    detector, _ = detector_of(bundle, record)
    with detector:
        assert engine_of(detector) == SPARE


def test_an_engine_that_became_slow_makes_way_for_one_that_is_faster_now(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, slow_model(200_000), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    detector, standby = detector_of(bundle, record, StandbyLimits())
    with detector:
        while len(standby.engine.backend.recent_ms) < 15:
            detector.tend()
            assert engine_of(detector) == FAST  # a few slow answers are no slow engine
            detector.detect(OTHER)
        detector.tend()
        assert engine_of(detector) == SPARE
        assert detector.detect(OTHER).provenance.precision == "fp32"
    assert record.retired()[0].reason.startswith("slow: ")


def test_on_a_machine_where_nobody_is_faster_the_engine_stays(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, onnx_bytes(), slow_model(200_000))
    impossible = {FAST: replace(LATENCY, p50_ms=1e-9), SPARE: LATENCY}
    standby = Standby(bundle, impossible, ONE_THREAD)
    with Detector(standby.engine.backend, standby.engine.spec, standby) as detector:
        for _ in range(20):
            detector.detect(OTHER)
        detector.tend()
        assert engine_of(detector) == FAST
        assert detector.detect(OTHER).verdict is not Verdict.UNREADABLE


def test_the_self_test_finds_the_engines_that_stand_by(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, nan_model(), onnx_bytes())
    choice = selftest.choose(bundle, ONE_THREAD)
    with open_detector(bundle, choice, ONE_THREAD) as detector:
        assert engine_of(detector) in CERTIFIED
        assert detector.detect(PICTURE).provenance.precision == "fp32"


class Spare:
    """An engine that does what a test wants in place of what `inner` does."""

    def __init__(self, inner: Backend, infer: object = None, close: object = None) -> None:
        self._inner, self._infer, self._close = inner, infer, close
        self.name, self.device = inner.name, inner.device
        self.inputs, self.outputs = inner.inputs, inner.outputs

    def infer(self, feeds: Feeds) -> Answer:
        return self._infer(feeds) if callable(self._infer) else self._inner.infer(feeds)

    def close(self) -> None:
        if callable(self._close):
            self._close()
        self._inner.close()


def fail(*_: object) -> Answer:
    raise InferenceError("the device is in an error")


def no_reader(*_: object) -> None:
    raise ReaderUnavailableError("the program that reads pictures gave no answer")


def swapped(monkeypatch: pytest.MonkeyPatch, **faults: object) -> None:
    """From now on engines are opened with these faults."""
    opened = registry.open_backend

    def open_faulty(*given: Any) -> Backend:
        return Spare(opened(*given), **faults)

    monkeypatch.setattr(registry, "open_backend", open_faulty)


def test_a_device_that_cannot_even_be_closed_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path, nan_model(), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    swapped(monkeypatch, close=fail)
    detector, _ = detector_of(bundle, record)
    found = detector.detect(PICTURE)
    assert found.verdict is not Verdict.UNREADABLE and found.provenance.precision == "fp32"
    assert [one.key for one in record.retired()] == [FAST]


def test_a_spare_whose_library_raises_anything_at_all_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path, nan_model(), onnx_bytes())
    detector, _ = detector_of(bundle)

    def no_memory(*_: object) -> Backend:
        raise MemoryError

    monkeypatch.setattr(registry, "open_backend", no_memory)
    with detector:
        found = detector.detect(PICTURE)
    assert found.refusal is not None and found.refusal.code is RefusalCode.ENGINE


def test_an_error_of_our_own_is_no_engines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundle_of(tmp_path, onnx_bytes(), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    detector, _ = detector_of(bundle, record)

    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(runtime.detector, "assess", no_memory)
    with detector:
        found = detector.detect(OTHER)
    assert found.refusal is not None and found.refusal.code is RefusalCode.ENGINE
    assert record.retired() == ()


def test_an_engines_own_exception_of_any_kind_is_its_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path, onnx_bytes(), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    detector, standby = detector_of(bundle, record)
    engine = standby.engine.backend

    def broken(_: Feeds) -> Answer:
        raise RuntimeError("of a native library")

    monkeypatch.setattr(engine, "_inner", Spare(engine._inner, infer=broken))
    with detector:
        found = detector.detect(OTHER)
    assert found.verdict is not Verdict.UNREADABLE and found.provenance.precision == "fp32"
    assert [(one.key, one.reason) for one in record.retired()] == [
        (FAST, "the engine failed with RuntimeError")
    ]


def test_a_record_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, nan_model(), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    detector, _ = detector_of(bundle, record)
    record.close()
    with detector:
        assert detector.detect(OTHER).verdict is not Verdict.UNREADABLE
        assert detector.detect(PICTURE).verdict is not Verdict.UNREADABLE


def test_golden_cases_that_cannot_be_read_here_take_no_engine_out_of_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path, onnx_bytes(), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    monkeypatch.setattr(golden, "read_bytes", no_reader)
    with pytest.raises(ReaderUnavailableError):
        detector_of(bundle, record)
    assert record.retired() == ()


def test_a_reader_that_is_gone_when_an_engine_fails_is_a_refusal_and_no_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path, nan_model(), onnx_bytes())
    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    detector, _ = detector_of(bundle, record)
    monkeypatch.setattr(golden, "read_bytes", no_reader)
    with detector:
        found = detector.detect(PICTURE)
        monkeypatch.undo()
        assert detector.detect(OTHER).verdict is not Verdict.UNREADABLE
    assert found.refusal is not None and found.refusal.code is RefusalCode.ENGINE
    assert [one.key for one in record.retired()] == [FAST]


def test_a_reader_that_is_gone_when_engines_shall_be_compared_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path, slow_model(200_000), onnx_bytes())
    detector, standby = detector_of(bundle, limits=StandbyLimits())
    with detector:
        while len(standby.engine.backend.recent_ms) < 15:
            detector.detect(OTHER)
        monkeypatch.setattr(golden, "read_bytes", no_reader)
        detector.tend()
        assert engine_of(detector) == FAST


_READ = """
import os, sys
from pathlib import Path
from runtime.bundle import open_bundle
from runtime.service_record import ServiceRecord
from runtime.trust import TrustStore
from tests.runtime.faulty import PICTURE
from tests.runtime.test_standby import detector_of
bundle = open_bundle(Path(sys.argv[1]), TrustStore.from_paths(Path(sys.argv[2])))
detector, _ = detector_of(bundle, ServiceRecord(Path(sys.argv[3]), bundle.digest))
print("ready", flush=True)
found = detector.detect(PICTURE)
print(found.provenance.precision, "answered" if found.refusal is None else found.refusal.message)
print(f"must end: {detector.must_end}", flush=True)
os._exit(0)
"""


def start_reading(bundle: Bundle, folder: Path) -> subprocess.Popen[str]:
    """A process that reads PICTURE and says how that went."""
    (folder / "maker.pem").write_bytes(public_pem(kit.KEY.public_key()))
    arguments = map(str, (bundle.root, folder / "maker.pem", folder / "engines"))
    return subprocess.Popen([sys.executable, "-c", _READ, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_process_that_died_while_an_engine_computed_costs_that_engine_its_place(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, hanging_model(), onnx_bytes())
    child = start_reading(bundle, tmp_path)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    wait_until_it_computes(tmp_path / "engines" / "at-work")
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()

    record = ServiceRecord(tmp_path / "engines", bundle.digest)
    assert [(one.key, one.reason) for one in record.retired()] == [
        (FAST, "the process ended while it computed")
    ]
    detector, _ = detector_of(open_bundle(bundle.root, kit.trusting()), record)
    with detector:
        assert engine_of(detector) == SPARE


def test_a_process_that_ended_between_two_pictures_costs_nobody_anything(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, onnx_bytes(), onnx_bytes())
    child = start_reading(bundle, tmp_path)
    assert child.stdout is not None and "int8 answered" in child.stdout.read()
    child.stdout.close()
    assert child.wait() == 0
    assert ServiceRecord(tmp_path / "engines", bundle.digest).retired() == ()


def wait_until_it_computes(mark: Path) -> None:
    deadline = time.monotonic() + 60
    while FAST not in mark.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
