"""The watch over an engine: whatever happens within, an answer, an error, or an end of waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest

from runtime.backends.base import INPUT_NAME, BackendOptions, TensorInfo
from runtime.backends.ort import OrtBackend
from runtime.backends.watched import WatchedBackend
from runtime.errors import InferenceError, InferenceTimeoutError
from tests.runtime.models import SIZE_PX, onnx_files

FEEDS = {INPUT_NAME: np.full((1, 1, SIZE_PX, SIZE_PX), 0.25, np.float32)}


class Gate:
    """An engine that answers when it is let."""

    name, device = "gate", "cpu"
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()

    def __init__(self) -> None:
        self.open, self.asked, self.closed = threading.Event(), 0, False

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.asked += 1
        self.open.wait()
        return {}

    def close(self) -> None:
        self.closed = True


def test_answers_are_those_of_the_engine_itself() -> None:
    plain, watched = OrtBackend(onnx_files()), WatchedBackend(OrtBackend(onnx_files()))
    assert (watched.name, watched.device) == (plain.name, plain.device)
    assert (watched.inputs, watched.outputs) == (plain.inputs, plain.outputs)
    expected = plain.infer(FEEDS)
    for _ in range(3):
        got = watched.infer(FEEDS)
        assert all(np.array_equal(got[name], expected[name]) for name in expected)
    assert len(watched.recent_ms) == 3 and not watched.hangs
    watched.close()


def test_errors_are_those_of_the_engine_itself_and_it_goes_on() -> None:
    watched = WatchedBackend(OrtBackend(onnx_files(), BackendOptions(threads=1)))
    with pytest.raises(InferenceError, match="image"):
        watched.infer({"other": FEEDS[INPUT_NAME]})
    assert watched.infer(FEEDS) and len(watched.recent_ms) == 1
    watched.close()


def test_one_that_gives_no_answer_in_time_is_never_asked_again() -> None:
    gate = Gate()
    watched = WatchedBackend(gate, limit_s=0.05)
    with pytest.raises(InferenceTimeoutError, match=r"gate gave no answer within 0\.05 s"):
        watched.infer(FEEDS)
    assert watched.hangs
    gate.open.set()
    with pytest.raises(InferenceTimeoutError, match="hangs since an earlier inference"):
        watched.infer(FEEDS)
    assert gate.asked == 1


def test_closing_does_not_wait_for_one_that_hangs() -> None:
    gate = Gate()
    watched = WatchedBackend(gate, limit_s=0.05)
    with pytest.raises(InferenceTimeoutError):
        watched.infer(FEEDS)
    watched.close()
    assert not gate.closed
    gate.open.set()


def test_closing_frees_the_engine_once_and_further_calls_fail() -> None:
    gate = Gate()
    watched = WatchedBackend(gate)
    watched.close()
    watched.close()
    assert gate.closed
    with pytest.raises(InferenceError, match="closed"):
        watched.infer(FEEDS)


def test_several_threads_are_served_one_after_the_other() -> None:
    watched = WatchedBackend(OrtBackend(onnx_files()))
    found: dict[int, float] = {}

    def ask(number: int) -> None:
        feeds = {INPUT_NAME: np.full((1, 1, SIZE_PX, SIZE_PX), number, np.float32)}
        found[number] = float(watched.infer(feeds)["logit"][0, 0])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: pytest.approx(4.0 * number, abs=1e-4) for number in range(8)}
    watched.close()


def test_it_is_said_for_as_long_as_the_engine_computes() -> None:
    seen: list[str] = []

    @contextmanager
    def at_work() -> Iterator[None]:
        seen.append("begins")
        yield
        seen.append("ends")

    gate = Gate()
    gate.open.set()
    WatchedBackend(gate, at_work=at_work).infer(FEEDS)
    assert seen == ["begins", "ends"]
