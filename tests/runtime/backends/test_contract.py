"""What every engine promises, checked alike on each that is installed here."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME, Backend, BackendOptions, ModelFiles
from runtime.backends.registry import ENGINES, availability, open_backend, options_for
from runtime.backends.watched import WatchedBackend
from runtime.errors import BackendError, DeviceUnavailableError, InferenceError
from tests.runtime.models import MAP_SIZE, SIZE_PX, expected_logit, onnx_files, openvino_files, tensorrt_files

GAIN, BIAS = 4.0, -1.0
MAKERS: dict[str, Callable[[float, float], ModelFiles]] = {
    "onnxruntime": onnx_files,
    "openvino": openvino_files,
    "tensorrt": lambda gain, bias: tensorrt_files("tensorrt", gain, bias),
    "tensorrt_rtx": lambda gain, bias: tensorrt_files("tensorrt_rtx", gain, bias),
}


def _open(engine: str, gain: float = GAIN, bias: float = BIAS) -> Backend:
    found = availability(engine)
    if not found.installed:
        pytest.skip(found.reason)
    try:
        return open_backend(
            engine, MAKERS[engine](gain, bias), options_for(engine, BackendOptions(threads=1))
        )
    except DeviceUnavailableError as error:
        pytest.skip(f"{error}; {error.hint}")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _open_through_tensorrt() -> Backend:
    """ONNX Runtime with TensorRT as its provider."""
    options = BackendOptions(device="tensorrt", threads=1)
    try:
        return open_backend("onnxruntime", onnx_files(GAIN, BIAS), options)
    except DeviceUnavailableError as error:
        pytest.skip(f"{error}; {error.hint}")


OPENERS: dict[str, Callable[[], Backend]] = {
    **{engine: functools.partial(_open, engine) for engine in ENGINES},
    "onnxruntime through tensorrt": _open_through_tensorrt,
    "onnxruntime under watch": lambda: WatchedBackend(_open("onnxruntime")),
    "openvino under watch": lambda: WatchedBackend(_open("openvino")),
}


@pytest.fixture(params=OPENERS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    opened = OPENERS[str(request.param)]()
    yield opened
    opened.close()


def images(batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(batch, 1, SIZE_PX, SIZE_PX)).astype(np.float32)


def test_it_says_what_it_is(engine: str) -> None:
    backend = _open(engine)
    assert backend.name == engine
    assert backend.device == options_for(engine, BackendOptions()).device
    backend.close()


def test_it_describes_its_tensors(backend: Backend) -> None:
    (image,) = backend.inputs
    assert (image.name, image.shape, image.dtype) == (INPUT_NAME, (None, 1, SIZE_PX, SIZE_PX), "float32")
    described = {info.name: (info.shape[1:], info.dtype) for info in backend.outputs}
    assert described == {LOGIT_NAME: ((1,), "float32"), MAP_NAME: ((1, MAP_SIZE, MAP_SIZE), "float32")}


@pytest.mark.parametrize("batch", [1, 4])
def test_it_computes_the_model_at_this_batch_size(backend: Backend, batch: int) -> None:
    tensor = images(batch)
    outputs = backend.infer({INPUT_NAME: tensor})
    assert set(outputs) == {LOGIT_NAME, MAP_NAME}
    assert outputs[MAP_NAME].shape == (batch, 1, MAP_SIZE, MAP_SIZE)
    np.testing.assert_allclose(outputs[LOGIT_NAME], expected_logit(tensor, GAIN, BIAS), atol=1e-4)


def test_a_change_of_batch_size_back_and_forth_is_no_trouble(backend: Backend) -> None:
    for batch in (1, 4, 2, 1):
        tensor = images(batch, seed=batch)
        result = backend.infer({INPUT_NAME: tensor})[LOGIT_NAME]
        np.testing.assert_allclose(result, expected_logit(tensor, GAIN, BIAS), atol=1e-4)


def test_it_never_changes_its_input(backend: Backend) -> None:
    tensor = images(2)
    before = tensor.copy()
    backend.infer({INPUT_NAME: tensor})
    np.testing.assert_array_equal(tensor, before)


def test_it_takes_read_only_arrays(backend: Backend) -> None:
    tensor = images(1)
    tensor.flags.writeable = False
    result = backend.infer({INPUT_NAME: tensor})[LOGIT_NAME]
    np.testing.assert_allclose(result, expected_logit(tensor, GAIN, BIAS), atol=1e-4)


@pytest.mark.parametrize(
    "view",
    [lambda a: a[::2], lambda a: a.transpose(0, 1, 3, 2), lambda a: a[..., ::-1]],
    ids=["every_second", "transposed", "mirrored"],
)
def test_it_reads_arrays_that_are_not_contiguous(
    backend: Backend, view: Callable[[np.ndarray], np.ndarray]
) -> None:
    # A ramp, so that reading the memory in the wrong order gives another map.
    ramp = np.arange(4 * SIZE_PX * SIZE_PX, dtype=np.float32).reshape(4, 1, SIZE_PX, SIZE_PX) / 1e3
    strided = view(ramp)
    assert not strided.flags.c_contiguous
    got, wanted = (backend.infer({INPUT_NAME: a})[MAP_NAME] for a in (strided, strided.copy(order="C")))
    np.testing.assert_array_equal(got, wanted)


def test_outputs_belong_to_the_caller(backend: Backend) -> None:
    first = backend.infer({INPUT_NAME: images(1, seed=1)})
    kept = {name: array.copy() for name, array in first.items()}
    second = backend.infer({INPUT_NAME: images(1, seed=2)})
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])
        assert not np.shares_memory(array, second[name])
        assert array.flags.owndata and array.flags.writeable


REFUSED_FEEDS: dict[str, dict[str, object]] = {
    "float64": {INPUT_NAME: images(1).astype(np.float64)},
    "float16": {INPUT_NAME: images(1).astype(np.float16)},
    "uint8": {INPUT_NAME: (images(1) * 100).astype(np.uint8)},
    "big_endian": {INPUT_NAME: images(1).astype(">f4")},
    "no_batch": {INPUT_NAME: images(1)[0]},
    "too_low": {INPUT_NAME: images(1)[:, :, :-1]},
    "colour": {INPUT_NAME: np.zeros((1, 3, SIZE_PX, SIZE_PX), np.float32)},
    "empty_batch": {INPUT_NAME: np.zeros((0, 1, SIZE_PX, SIZE_PX), np.float32)},
    "scalar": {INPUT_NAME: np.float32(1.0)},
    "list": {INPUT_NAME: [[[[0.0]]]]},
    "misnamed": {"picture": images(1)},
    "additional": {INPUT_NAME: images(1), "more": images(1)},
    "none": {},
}


@pytest.mark.parametrize("feeds", REFUSED_FEEDS.values(), ids=REFUSED_FEEDS)
def test_it_refuses_what_the_model_does_not_take(backend: Backend, feeds: dict[str, np.ndarray]) -> None:
    with pytest.raises(InferenceError, match=INPUT_NAME):
        backend.infer(feeds)


def test_a_refusal_leaves_it_working(backend: Backend) -> None:
    with pytest.raises(InferenceError):
        backend.infer({})
    tensor = images(1)
    result = backend.infer({INPUT_NAME: tensor})[LOGIT_NAME]
    np.testing.assert_allclose(result, expected_logit(tensor, GAIN, BIAS), atol=1e-4)


def test_nan_goes_through_and_stays_visible(backend: Backend) -> None:
    tensor = images(1)
    tensor[0, 0, 5, 5] = np.nan
    assert np.isnan(backend.infer({INPUT_NAME: tensor})[LOGIT_NAME]).all()


def test_two_models_at_once_do_not_mix(backend: Backend) -> None:
    other = _open(backend.name, gain=-2.0, bias=7.0)
    tensor = images(2)
    for _ in range(3):
        first, second = (b.infer({INPUT_NAME: tensor})[LOGIT_NAME] for b in (backend, other))
        np.testing.assert_allclose(first, expected_logit(tensor, GAIN, BIAS), atol=1e-4)
        np.testing.assert_allclose(second, expected_logit(tensor, -2.0, 7.0), atol=1e-4)
    other.close()


def test_threads_that_share_it_get_their_own_answers(backend: Backend) -> None:
    failures: list[str] = []

    def work(seed: int) -> None:
        tensor = images(1, seed)
        for _ in range(20):
            got = backend.infer({INPUT_NAME: tensor})[LOGIT_NAME]
            if not np.allclose(got, expected_logit(tensor, GAIN, BIAS), atol=1e-4):
                failures.append(f"seed {seed}: {got}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_use_after_close_is_an_error(backend: Backend) -> None:
    backend.close()
    with pytest.raises(InferenceError, match="closed"):
        backend.infer({INPUT_NAME: images(1)})


def test_closing_twice_is_no_error(backend: Backend) -> None:
    backend.close()
    backend.close()


@pytest.mark.parametrize("data", [b"", b"this is no model", bytes(4096)], ids=["empty", "text", "zeros"])
def test_bytes_that_are_no_model_are_refused(engine: str, data: bytes) -> None:
    if not availability(engine).installed:
        pytest.skip(availability(engine).reason)
    with pytest.raises(BackendError) as caught:
        open_backend(engine, ModelFiles(data), options_for(engine, BackendOptions()))
    assert not isinstance(caught.value, DeviceUnavailableError)
    assert engine in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_model_is_refused(engine: str) -> None:
    if not availability(engine).installed:
        pytest.skip(availability(engine).reason)
    files = MAKERS[engine](GAIN, BIAS)
    cut = ModelFiles(files.main[: len(files.main) // 2], files.weights)
    with pytest.raises(BackendError):
        open_backend(engine, cut, options_for(engine, BackendOptions()))


def test_an_unknown_device_is_refused(engine: str) -> None:
    if not availability(engine).installed:
        pytest.skip(availability(engine).reason)
    with pytest.raises(DeviceUnavailableError, match="toaster"):
        open_backend(engine, MAKERS[engine](GAIN, BIAS), BackendOptions(device="toaster"))
