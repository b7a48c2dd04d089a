"""The calls to the CUDA driver, made to a library of its interface that keeps device memory in the host.

It is compiled here from C, so that what ctypes passes is checked as a driver would see it: 64-bit addresses,
sizes, pointers to results. Skipped where there is no C compiler. It computes nothing; TensorRT itself needs a
GPU.
"""

from __future__ import annotations

import ctypes
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from runtime.backends import cuda
from runtime.backends.registry import availability, devices
from runtime.errors import DeviceUnavailableError, InferenceError
from tests.runtime.backends.driver import compile_driver


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def driver(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    """A fresh driver with counters at zero; a copy, because a loaded library keeps its state."""
    library = shutil.copy(built, tmp_path / "libcuda.so.1")
    monkeypatch.setattr(cuda, "LIBRARY", str(library))
    return ctypes.CDLL(str(library))


def counter(driver: ctypes.CDLL, name: str) -> int:
    return ctypes.c_int.in_dll(driver, name).value


def put(driver: ctypes.CDLL, name: str, value: int) -> None:
    ctypes.c_int.in_dll(driver, name).value = value


def test_arrays_go_to_the_device_and_come_back(driver: ctypes.CDLL) -> None:
    device = cuda.Cuda()
    sent = np.arange(1000, dtype=np.float32).reshape(10, 100)
    address = device.buffer("x", sent.nbytes)
    assert address >> 32
    device.copy_in(address, sent)
    received = np.zeros_like(sent)
    device.copy_out(received, address)
    device.synchronize()
    np.testing.assert_array_equal(received, sent)
    assert counter(driver, "synchronized") == 1
    assert device.stream


def test_a_buffer_is_used_again_and_grows_when_it_must(driver: ctypes.CDLL) -> None:
    device = cuda.Cuda()
    first = device.buffer("x", 100)
    assert device.buffer("x", 50) == device.buffer("x", 100) == first
    assert counter(driver, "live_buffers") == 1
    device.buffer("x", 1 << 20)
    assert counter(driver, "live_buffers") == 1
    device.buffer("y", 10)
    assert counter(driver, "live_buffers") == 2


def test_closing_gives_everything_back(driver: ctypes.CDLL) -> None:
    device = cuda.Cuda()
    device.buffer("x", 100)
    device.buffer("y", 100)
    device.close()
    left = {name: counter(driver, name) for name in ("live_buffers", "streams", "contexts")}
    assert left == {"live_buffers": 0, "streams": 0, "contexts": 0}


def test_a_full_device_is_an_error_that_says_so(driver: ctypes.CDLL) -> None:
    device = cuda.Cuda()
    device.buffer("x", 100)
    put(driver, "fail_alloc", 1)
    with pytest.raises(InferenceError, match=r"cuMemAlloc_v2 failed: out of memory \(error 2\)"):
        device.buffer("x", 1 << 20)
    put(driver, "fail_alloc", 0)
    assert device.buffer("x", 100)
    device.close()
    assert counter(driver, "live_buffers") == 0


def test_another_thread_must_activate_the_context_first(driver: ctypes.CDLL) -> None:
    device = cuda.Cuda()
    outcome: list[object] = []

    def work() -> None:
        try:
            device.buffer("x", 8)
        except InferenceError as error:
            outcome.append(str(error))
        device.activate()
        outcome.append(device.buffer("x", 8))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "invalid context" in str(outcome[0])
    assert outcome[1]


@pytest.mark.parametrize(("gpus", "words"), [(0, "finds no GPU"), (-1, "cuInit failed: no CUDA device")])
def test_a_driver_without_a_gpu_is_no_device(driver: ctypes.CDLL, gpus: int, words: str) -> None:
    put(driver, "gpus", gpus)
    with pytest.raises(DeviceUnavailableError, match=words) as caught:
        cuda.Cuda()
    assert "another engine" in caught.value.hint
    assert counter(driver, "contexts") == 0


def test_the_gpu_says_what_it_is(driver: ctypes.CDLL) -> None:
    assert cuda.gpu_facts() == cuda.GpuFacts("Made-up GPU", "8.9", "12.6")
    put(driver, "gpus", 0)
    with pytest.raises(DeviceUnavailableError, match="finds no GPU"):
        cuda.gpu_facts()


def test_no_driver_is_no_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cuda, "LIBRARY", str(tmp_path / "libcuda.so.1"))
    with pytest.raises(DeviceUnavailableError, match="no NVIDIA driver"):
        cuda.Cuda()
    if availability("tensorrt_rtx").installed:
        assert devices("tensorrt_rtx") == ()


def test_tensorrt_finds_the_gpu_that_the_driver_finds(driver: ctypes.CDLL) -> None:
    if not availability("tensorrt_rtx").installed:
        pytest.skip(availability("tensorrt_rtx").reason)
    assert devices("tensorrt_rtx") == ("gpu",)
    put(driver, "gpus", 0)
    assert devices("tensorrt_rtx") == ()
