"""What is here to build on: asked in a child, with a driver of the real interface where there is no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.backends import trt
from runtime.errors import BackendError, BackendMissingError, DeviceUnavailableError
from runtime.trt_build import place
from tests.runtime.backends.driver import compile_driver
from tests.runtime.trt_build import classic


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children find this driver before any other."""
    (tmp_path / "driver").mkdir()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(compile_driver(tmp_path / "driver").parent))


@pytest.mark.usefixtures("driver")
def test_gpu_driver_library_and_accelerators_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classic.install(tmp_path, monkeypatch, "10.3.0", dla_cores=2)
    here = place.look("tensorrt")
    assert (here.library, here.version, here.dla_cores) == ("tensorrt", "10.3.0", 2)
    assert (here.gpu.name, here.gpu.compute_capability, here.gpu.driver) == ("Made-up GPU", "8.9", "12.6")


@pytest.mark.usefixtures("driver")
def test_a_library_that_does_not_load_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.10 is missing')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendError, match=r"tensorrt is installed and does not work: .*libnvinfer\.so\.10"):
        place.look("tensorrt")


def test_a_machine_without_a_gpu_is_no_place_to_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classic.install(tmp_path, monkeypatch, "10.3.0")
    if trt.devices("tensorrt"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceUnavailableError, match="NVIDIA") as caught:
        place.look("tensorrt")
    assert caught.value.hint


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendMissingError, match="tensorrt_rtx is not installed"):
        place.look("tensorrt_rtx")
