"""Builds in a child: real ones by TensorRT for RTX, which needs no GPU, and what classic TensorRT is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.backends.base import BackendOptions, ModelFiles
from runtime.backends.registry import open_backend
from runtime.errors import BackendError, DeviceUnavailableError
from runtime.trt_build.process import BuildJob, Built, build
from runtime.trt_build.progress import BuildProgress
from runtime.trt_build.spec import EngineSpec
from tests.runtime.models import SIZE_PX, onnx_bytes
from tests.runtime.trt_build import classic

ONNX = onnx_bytes()
IMAGE = (1, 1, SIZE_PX, SIZE_PX)
SHAPES = {"image": {"min": IMAGE, "opt": IMAGE, "max": (4, *IMAGE[1:])}}
TIMEOUT_S = 120.0


def spec(**changes: Any) -> EngineSpec:
    return EngineSpec(**{"shapes": SHAPES, "precision": "fp32", **changes})


def rtx(folder: Path, onnx: bytes = ONNX, progress: Any = None, **changes: Any) -> Built:
    pytest.importorskip("tensorrt_rtx")
    job = BuildJob("tensorrt_rtx", onnx, spec(**{"capabilities": ("sm89",), **changes}))
    return build(job, folder, TIMEOUT_S, progress)


def told(built: Built) -> Any:
    """What the fake of classic TensorRT was told."""
    assert built.result.errors == ()
    return json.loads(built.engine)


@pytest.mark.parametrize("family", ["sm75", "sm80", "sm86", "sm89", "sm120"])
def test_an_engine_is_built_for_each_family_of_gpus(family: str, tmp_path: Path) -> None:
    built = rtx(tmp_path, capabilities=(family,))
    assert built.result.errors == ()
    assert built.result.tensors["logit"] == ["FLOAT", [-1, 1]]
    assert built.result.layers["CONVOLUTION"] == 1
    assert built.result.seconds > 0 and built.result.peak_memory_bytes > 0
    # It is an engine to the library: what is missing is a GPU, or one of that family.
    try:
        open_backend("tensorrt_rtx", ModelFiles(built.engine), BackendOptions(device="gpu")).close()
    except DeviceUnavailableError as error:
        assert "NVIDIA" in str(error) or "CUDA" in str(error)
    except BackendError as error:
        assert "the bytes are no engine" not in str(error)


def test_progress_comes_over_as_it_is_made(tmp_path: Path) -> None:
    heard: list[BuildProgress] = []
    rtx(tmp_path, progress=heard.append)
    whole = [one for one in heard if one.phase == "Building engine"]
    assert whole[0].done == 0 and whole[0].parent == "" and whole[-1].ended
    assert all(0 <= one.done <= one.total for one in heard)
    assert any(one.parent == "Building engine" for one in heard)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_fails_costs_lines_and_not_the_build(tmp_path: Path) -> None:
    def stumble(_: BuildProgress) -> None:
        raise SystemExit

    assert rtx(tmp_path, progress=stumble).engine


def test_timings_of_kernels_are_not_kept_where_the_library_takes_none(tmp_path: Path) -> None:
    assert rtx(tmp_path).timing_cache == b""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capabilities": ("sm42",)}, "cannot build for sm42"),
        ({"dla_core": 0}, "no DLA core 0"),
        ({"shapes": {}}, "profile"),
        ({"onnx": b"this is no graph"}, ""),
    ],
)
def test_what_the_library_refuses_is_a_result_with_its_reason(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    built = rtx(tmp_path, **changes)
    assert built.engine == b""
    assert words in " ".join(built.result.errors) and any(built.result.errors)


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("SIGSEGV", "crashed with SIGSEGV"),
        ("SIGKILL", "crashed with SIGKILL"),
        ("hang", "no answer within 2 s"),
    ],
)
def test_a_builder_that_ends_badly_is_an_error_that_says_how(
    does: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL is what the system sends to a process that eats the memory."""
    classic.install(tmp_path, monkeypatch, "10.3.0", does=does)
    with pytest.raises(BackendError, match=f"the build by tensorrt .*{words}"):
        build(BuildJob("tensorrt", ONNX, spec()), tmp_path, 2.0, lambda _: None)


def test_a_library_that_does_not_load_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10 is missing')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendError, match=r"libnvinfer\.so\.10 is missing"):
        build(BuildJob("tensorrt", ONNX, spec()), tmp_path, TIMEOUT_S)


@pytest.fixture(params=["8.6.1", "10.3.0", "11.4.1"])
def version(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    classic.install(tmp_path, monkeypatch, request.param)
    return str(request.param)


def test_each_generation_of_classic_tensorrt_is_told_the_types_in_its_own_way(
    version: str, tmp_path: Path
) -> None:
    heard: list[BuildProgress] = []
    built = build(BuildJob("tensorrt", ONNX, spec(precision="int8")), tmp_path, TIMEOUT_S, heard.append)
    calls = told(built)
    assert built.result.version == version
    weakly = version.startswith("8")
    assert calls["network"] == (["EXPLICIT_BATCH"] if weakly else ["STRONGLY_TYPED"])
    assert calls["flags"] == (["INT8"] if weakly else [])
    assert calls["hardware_compatibility_level"] == classic.HardwareCompatibilityLevel.NONE
    assert calls["graph"] == len(ONNX)
    assert calls["profile"]["image"] == [[*IMAGE], [*IMAGE], [4, *IMAGE[1:]]]
    assert [one.done for one in heard] == ([] if weakly else [0, 1, 1])


def test_options_reach_classic_tensorrt(version: str, tmp_path: Path) -> None:
    job = BuildJob("tensorrt", ONNX, spec(sparse=True, workspace_bytes=1 << 28))
    calls = told(build(job, tmp_path, TIMEOUT_S))
    assert calls["pools"] == {"WORKSPACE": 1 << 28}
    assert calls["flags"] == ["SPARSE_WEIGHTS"]
    assert (calls["DLA_core"], calls["default_device_type"]) == (-1, classic.DeviceType.GPU)


def test_timings_of_kernels_come_back_and_are_used_again(version: str, tmp_path: Path) -> None:
    assert build(BuildJob("tensorrt", ONNX, spec()), tmp_path, TIMEOUT_S).timing_cache == b"+"
    again = BuildJob("tensorrt", ONNX, spec(), timing_cache=b"known")
    assert build(again, tmp_path, TIMEOUT_S).timing_cache == b"known+"


def test_an_accelerator_takes_one_size_and_the_gpu_the_rest_which_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classic.install(tmp_path, monkeypatch, "10.3.0", dla_cores=2)
    built = build(BuildJob("tensorrt", ONNX, spec(dla_core=1)), tmp_path, TIMEOUT_S)
    calls = told(built)
    assert (calls["DLA_core"], calls["default_device_type"]) == (1, classic.DeviceType.DLA)
    assert calls["flags"] == ["GPU_FALLBACK"]
    assert calls["profile"]["image"] == [[*IMAGE]] * 3
    assert (built.result.dla_layers, sum(built.result.layers.values())) == (2, 3)


def test_an_accelerator_that_is_not_there_is_refused(version: str, tmp_path: Path) -> None:
    built = build(BuildJob("tensorrt", ONNX, spec(dla_core=0)), tmp_path, TIMEOUT_S)
    assert built.result.errors == ("no DLA core 0: tensorrt finds 0 on this machine",)


def test_a_node_that_classic_tensorrt_does_not_take_is_named(version: str, tmp_path: Path) -> None:
    built = build(BuildJob("tensorrt", b"not taken", spec()), tmp_path, TIMEOUT_S)
    assert built.result.errors == ("number 7: no importer for it",)


def test_a_build_that_the_library_gives_up_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classic.install(tmp_path, monkeypatch, "10.3.0", does="refuse")
    built = build(BuildJob("tensorrt", ONNX, spec()), tmp_path, TIMEOUT_S)
    assert built.result.errors == ("no kernel takes layer 3",)
    assert built.result.log == ("error: no kernel takes layer 3",)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "int4"},
        {"workspace_bytes": -1},
        {"dla_core": -1},
        {"shapes": {"image": {"min": IMAGE, "opt": IMAGE}}},
        {"shapes": {"image": {"min": IMAGE, "opt": IMAGE, "max": IMAGE[1:]}}},
        {"shapes": {"image": {"min": (4, *IMAGE[1:]), "opt": IMAGE, "max": IMAGE}}},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|argument"):
        spec(**changes)
