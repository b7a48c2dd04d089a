"""Finding engines by name, and what is said about those that are not here."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from runtime.backends import registry
from runtime.backends.base import BackendOptions, ModelFiles
from runtime.errors import BackendError, BackendMissingError, DeviceUnavailableError
from tests.runtime.models import onnx_files, openvino_files, tensorrt_files

EXTRAS = {"openvino": "ulna[openvino]", "tensorrt_rtx": "ulna[tensorrt]", "tensorrt": "JetPack"}


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a library look as if it were not installed."""
    find = importlib.util.find_spec

    def hide_one(library: str) -> None:
        def find_others(name: str, package: str | None = None) -> object:
            return None if name == library else find(name, package)

        monkeypatch.setattr(importlib.util, "find_spec", find_others)

    return hide_one


def test_the_bare_install_has_onnxruntime() -> None:
    found = registry.availability("onnxruntime")
    assert found.installed
    assert found.version[0].isdigit()
    assert found.reason == ""


@pytest.mark.parametrize("engine", sorted(EXTRAS))
def test_a_missing_library_is_named_with_what_installs_it(engine: str, hide: Callable[[str], None]) -> None:
    hide(engine)
    with pytest.raises(BackendMissingError, match=f"{engine} is not installed") as caught:
        registry.open_backend(engine, ModelFiles(b""))
    assert EXTRAS[engine] in caught.value.hint
    found = registry.availability(engine)
    assert not found.installed
    assert "not installed" in found.reason and EXTRAS[engine] in found.reason


@pytest.mark.parametrize(
    "error", [ImportError, OSError, AttributeError, SyntaxError], ids=lambda e: e.__name__
)
def test_a_library_that_does_not_load_is_not_called_installed(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Half an installation raises whatever it likes."""
    real = importlib.import_module

    def broken(name: str, package: str | None = None) -> object:
        if name == "onnxruntime":
            raise error("libonnx.so.1: cannot open\nshared object file")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", broken)
    found = registry.availability("onnxruntime")
    assert not found.installed
    assert "does not load: libonnx.so.1: cannot open shared object file" in found.reason


def test_onnxruntime_reads_no_weights_that_nobody_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph whose weights lie in a file of the current folder, where anybody may have put it."""
    from onnx.external_data_helper import convert_model_to_external_data

    monkeypatch.chdir(tmp_path)
    model = onnx.load_from_string(onnx_files().main)
    convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, "model.onnx")
    assert Path("weights.bin").exists()
    with pytest.raises(BackendError, match="cannot load the model"):
        registry.open_backend("onnxruntime", ModelFiles(Path("model.onnx").read_bytes()))


def test_an_unknown_engine_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(BackendError, match="torchscript") as caught:
        registry.open_backend("torchscript", ModelFiles(b""))
    assert all(engine in caught.value.hint for engine in registry.ENGINES)


@pytest.mark.parametrize(
    ("device", "provider"), [("gpu", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider")]
)
def test_onnxruntime_without_a_gpu_does_not_fall_back_to_the_cpu(device: str, provider: str) -> None:
    import onnxruntime

    if provider in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has {provider}")
    with pytest.raises(DeviceUnavailableError, match=provider):
        registry.open_backend("onnxruntime", onnx_files(), BackendOptions(device=device))


def test_openvino_without_a_gpu_does_not_fall_back_to_the_cpu() -> None:
    pytest.importorskip("openvino")
    from runtime.backends.quiet import import_openvino

    if any(device.startswith("GPU") for device in import_openvino().Core().available_devices):
        pytest.skip("openvino finds a GPU here")
    with pytest.raises(DeviceUnavailableError, match="finds no GPU"):
        registry.open_backend("openvino", openvino_files(), BackendOptions(device="gpu"))


def test_tensorrt_asked_for_the_cpu_refuses() -> None:
    if not registry.availability("tensorrt_rtx").installed:
        pytest.skip(registry.availability("tensorrt_rtx").reason)
    with pytest.raises(DeviceUnavailableError, match="NVIDIA GPUs only"):
        registry.open_backend("tensorrt_rtx", ModelFiles(b""), BackendOptions(device="cpu"))


def test_a_sound_tensorrt_engine_without_a_gpu_says_that_the_gpu_is_missing() -> None:
    if not registry.availability("tensorrt_rtx").installed:
        pytest.skip(registry.availability("tensorrt_rtx").reason)
    if _has_nvidia_gpu():
        pytest.skip("this machine has an NVIDIA GPU")
    with pytest.raises(DeviceUnavailableError, match="NVIDIA") as caught:
        registry.open_backend("tensorrt_rtx", tensorrt_files("tensorrt_rtx"), BackendOptions(device="gpu"))
    assert "another engine" in caught.value.hint


def test_tensorrt_is_tried_on_the_gpu_and_the_others_where_asked() -> None:
    asked = BackendOptions(device="cpu", threads=3)
    assert registry.options_for("tensorrt", asked) == BackendOptions(device="gpu", threads=3)
    assert registry.options_for("openvino", asked) == asked


def test_openvino_comes_without_its_telemetry() -> None:
    pytest.importorskip("openvino")
    import subprocess

    code = (
        "import sys; from runtime.backends.registry import availability; "
        "assert availability('openvino').installed; "
        "assert sys.modules['openvino_telemetry'] is None; "
        "assert 'openvino.tools.ovc.telemetry_stub' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def _has_nvidia_gpu() -> bool:
    from runtime.backends.cuda import Cuda

    try:
        Cuda().close()
    except DeviceUnavailableError:
        return False
    return True
