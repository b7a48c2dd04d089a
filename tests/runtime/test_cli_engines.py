"""The verbs of `ulna engines`, with a driver of the real interface and a TensorRT that computes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime import trust
from runtime.backends import trt
from runtime.bundle import STATUS_DEFERRED, Bundle, EngineEntry
from runtime.engine_store import EngineStore
from tests.runtime.backends.driver import compile_driver
from tests.runtime.kit import KEY, Contents, entry, make
from tests.runtime.models import onnx_bytes
from tests.runtime.test_cli import Done, ulna
from tests.runtime.trt_build import classic

DEFERRED = EngineEntry("tensorrt", "int8", "models/trt/source.onnx", status=STATUS_DEFERRED)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make(tmp_path / "bundle", Contents((entry(), DEFERRED)))


@pytest.fixture
def orin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children find this driver and this TensorRT."""
    (tmp_path / "driver").mkdir()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(compile_driver(tmp_path / "driver").parent))
    classic.install(tmp_path, monkeypatch, "10.3.0", dla_cores=2)


def engines(home: Path, verb: str, *arguments: str | Path) -> Done:
    pem = home / "maker.pem"
    if not pem.exists():
        trust.save_public_key(KEY.public_key(), pem)
    return ulna(home, "engines", verb, "--store", home / "store", *arguments, ULNA_TRUST=str(pem))


def built(home: Path, bundle: Bundle, *arguments: str) -> Done:
    return engines(home, "build", "--bundle", bundle.root, *arguments)


@pytest.mark.usefixtures("orin")
def test_an_engine_is_built_once_and_listed(tmp_path: Path, bundle: Bundle) -> None:
    first, second = built(tmp_path, bundle), built(tmp_path, bundle)
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout.startswith("tensorrt-int8: built in ")
    assert second.stdout.startswith("tensorrt-int8: built before, ")
    listed = json.loads(engines(tmp_path, "list", "--json").stdout)
    (record,) = [item["record"] for item in listed if item["record"]]
    assert record["key"]["place"]["gpu"]["name"] == "Made-up GPU"
    shown = engines(tmp_path, "list").stdout
    assert "Made-up GPU" in shown and "10.3.0" in shown and "timings" in shown


@pytest.mark.usefixtures("orin")
def test_layers_that_fell_back_to_the_gpu_are_told(tmp_path: Path, bundle: Bundle) -> None:
    done = built(tmp_path, bundle, "--dla-core", "1", "--workspace-mib", "64")
    assert "2 of 3 layers on DLA core 1" in done.stdout
    (item,) = [item for item in EngineStore(tmp_path / "store").held() if item.record]
    assert item.record is not None and item.record.key.spec.workspace_bytes == 64 << 20


@pytest.mark.usefixtures("orin")
def test_a_build_that_fails_ends_with_1_and_the_others_are_built(tmp_path: Path) -> None:
    odd = EngineEntry("openvino", "int8", "models/ov/model.xml", status=STATUS_DEFERRED)
    done = built(tmp_path, make(tmp_path / "bundle", Contents((odd, DEFERRED))))
    assert done.returncode == 1
    assert "tensorrt-int8: built in" in done.stdout
    assert "error: 1 of 2 engines were not built: openvino-int8 is deferred" in done.stderr


@pytest.mark.usefixtures("orin")
def test_an_accelerator_that_is_not_here_is_said_with_what_to_do(tmp_path: Path, bundle: Bundle) -> None:
    done = built(tmp_path, bundle, "--dla-core", "7")
    assert done.returncode == 1
    assert "no DLA core 7: tensorrt finds 2" in done.stderr
    assert "hint: leave the DLA core out" in done.stderr


def test_a_machine_without_a_gpu_says_so(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    classic.install(tmp_path, monkeypatch, "10.3.0")
    if trt.devices("tensorrt"):
        pytest.skip("this machine has a GPU")
    done = built(tmp_path, bundle)
    assert done.returncode == 1 and "NVIDIA" in done.stderr


def test_a_bundle_that_leaves_nothing_to_the_device_needs_no_gpu(tmp_path: Path) -> None:
    done = built(tmp_path, make(tmp_path / "bundle"))
    assert done.returncode == 0 and "there is nothing to build" in done.stdout
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("orin")
def test_prune_keeps_the_bundles_engines_and_removes_the_others(tmp_path: Path, bundle: Bundle) -> None:
    built(tmp_path, bundle)
    files = {DEFERRED.main: onnx_bytes(gain=3.0)}
    other = make(tmp_path / "other", Contents((DEFERRED,), files=files))
    built(tmp_path, other)
    done = engines(tmp_path, "prune", "--limit-mib", "0", "--bundle", other.root)
    assert done.returncode == 0, done.stderr
    left = [item.record for item in EngineStore(tmp_path / "store").held() if item.record]
    assert [record.key.model_sha256 for record in left] == [other.manifest.files[DEFERRED.main].sha256]
    assert "2 removed" in done.stdout  # the other engine and the timings, which nobody holds


@pytest.mark.usefixtures("orin")
def test_what_is_refused_is_listed_with_the_reason(tmp_path: Path, bundle: Bundle) -> None:
    built(tmp_path, bundle)
    next((tmp_path / "store" / "engines").glob("*/engine")).write_bytes(b"changed")
    problems = [item["problem"] for item in json.loads(engines(tmp_path, "list", "--json").stdout)]
    assert any("not the file that its record tells of" in problem for problem in problems)
    assert "refused" in engines(tmp_path, "list").stdout
    assert "1 removed" in engines(tmp_path, "prune").stdout


@pytest.mark.parametrize("verb", ["list", "prune"])
def test_to_look_for_a_store_makes_none(verb: str, tmp_path: Path) -> None:
    done = engines(tmp_path, verb)
    assert done.returncode == 1 and "no engine store at" in done.stderr
    assert not (tmp_path / "store").exists()
