"""Entries that a bundle leaves to the device: built once, found again, and only from what can be checked."""

from __future__ import annotations

import dataclasses
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.backends.base import INPUT_NAME, LOGIT_NAME, BackendOptions
from runtime.backends.cuda import GpuFacts
from runtime.backends.registry import availability, devices, open_backend
from runtime.bundle import STATUS_DEFERRED, Bundle, EngineEntry
from runtime.device_engine import DeviceOptions, deferred, device_engine, engine_key, stored_engine
from runtime.engine_store import EngineStore
from runtime.errors import BackendError, BundleError, DeviceUnavailableError
from runtime.preprocess import preprocess
from runtime.readers import read_bytes
from runtime.trt_build.place import BuildPlace
from runtime.trt_build.progress import BuildProgress
from tests.runtime.kit import BRIGHT_SHARES, SPEC, Contents, entry, golden_cases, make, plate
from tests.runtime.models import SIZE_PX, expected_logit, onnx_bytes
from tests.runtime.trt_build import classic

DEFERRED = EngineEntry("tensorrt", "int8", "models/trt/source.onnx", status=STATUS_DEFERRED)
RTX = dataclasses.replace(DEFERRED, engine="tensorrt_rtx", precision="fp32")
ORIN = BuildPlace("tensorrt", "10.3.0", GpuFacts("Orin", "8.7", "12.6"), dla_cores=2)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make(tmp_path / "bundle", Contents((entry(), DEFERRED)))


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "store")


@pytest.fixture
def orin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildPlace:
    """JetPack's generation of classic TensorRT, computing nothing."""
    classic.install(tmp_path, monkeypatch, "10.3.0", dla_cores=2)
    return ORIN


def test_an_engine_is_built_once_and_found_by_the_next_process(
    bundle: Bundle, store: EngineStore, orin: BuildPlace
) -> None:
    heard: list[BuildProgress] = []
    first = device_engine(bundle, DEFERRED, store, progress=heard.append, place=orin)
    second = device_engine(bundle, DEFERRED, EngineStore(store.root), place=orin)
    assert (first.built, second.built) == (True, False)
    assert first.files == second.files == stored_engine(store, first.digest)
    assert [one.done for one in heard] == [0, 1, 1]
    assert first.record.key.model_sha256 == bundle.manifest.files[DEFERRED.main].sha256
    assert first.record.built_utc and first.record.seconds > 0


def test_tensorrt_for_rtx_builds_for_the_family_of_the_gpu_and_says_when_it_does_not_know_it(
    tmp_path: Path, store: EngineStore
) -> None:
    """The real library, told the family of a GPU that is not here."""
    version = availability("tensorrt_rtx").version
    if not version:
        pytest.skip(availability("tensorrt_rtx").reason)
    place = BuildPlace("tensorrt_rtx", version, GpuFacts("RTX 4000 Ada", "8.9", "13.0"))
    bundle = make(tmp_path / "bundle", Contents((RTX,)))
    made = device_engine(bundle, RTX, store, place=place)
    assert made.record.key.spec.capabilities == ("sm89",)
    assert made.record.layers >= 3 and made.record.log
    strange = dataclasses.replace(place, gpu=GpuFacts("of next year", "15.0", "20.0"))
    with pytest.raises(BackendError, match="cannot build for sm150"):
        device_engine(bundle, RTX, store, place=strange)


def test_two_processes_at_once_build_one_engine(bundle: Bundle, store: EngineStore, orin: BuildPlace) -> None:
    stores = (store, EngineStore(store.root))
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda one: device_engine(bundle, DEFERRED, one, place=orin), stores))
    assert sorted(one.built for one in made) == [False, True]


def test_an_engine_that_was_tampered_with_is_built_anew_and_that_is_logged(
    bundle: Bundle, store: EngineStore, orin: BuildPlace, caplog: pytest.LogCaptureFixture
) -> None:
    first = device_engine(bundle, DEFERRED, store, place=orin)
    path = store.root / "engines" / first.digest / "engine"
    path.write_bytes(b"code of a stranger's")
    with caplog.at_level(logging.WARNING, "ulna.engines"):
        again = device_engine(bundle, DEFERRED, store, place=orin)
    assert again.built and again.files == first.files
    assert "is refused and built anew" in caplog.text


def test_timings_of_one_build_serve_the_next(bundle: Bundle, store: EngineStore, orin: BuildPlace) -> None:
    device_engine(bundle, DEFERRED, store, place=orin)
    device_engine(bundle, DEFERRED, store, DeviceOptions(workspace_bytes=1 << 28), place=orin)
    assert store.load_timing(orin) == b"++"


def test_a_failed_build_leaves_nothing_and_its_timings_are_dropped(
    bundle: Bundle, store: EngineStore, orin: BuildPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device_engine(bundle, DEFERRED, store, DeviceOptions(workspace_bytes=1), place=orin)
    classic.install(tmp_path, monkeypatch, "10.3.0", does="SIGSEGV")
    with pytest.raises(BackendError, match="crashed with SIGSEGV"):
        device_engine(bundle, DEFERRED, store, place=orin)
    assert len(store.held()) == 1 and store.load_timing(orin) == b""
    assert not any((store.root / "work").iterdir())


def test_a_graph_that_the_library_refuses_is_an_error_with_its_reason(
    bundle: Bundle, store: EngineStore, orin: BuildPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classic.install(tmp_path, monkeypatch, "10.3.0", does="refuse")
    with pytest.raises(BackendError, match=r"tensorrt 10\.3\.0 does not build the graph: no kernel takes"):
        device_engine(bundle, DEFERRED, store, place=orin)
    assert store.held() == ()


def test_a_library_that_was_updated_meanwhile_is_noticed(
    bundle: Bundle, store: EngineStore, orin: BuildPlace
) -> None:
    old = dataclasses.replace(orin, version="10.2.0")
    with pytest.raises(BackendError, match=r"10\.3\.0 has built, 10\.2\.0 was here before"):
        device_engine(bundle, DEFERRED, store, place=old)


def test_old_engines_make_room_for_the_new_one(bundle: Bundle, store: EngineStore, orin: BuildPlace) -> None:
    store.limit_bytes = 1
    first = device_engine(bundle, DEFERRED, store, DeviceOptions(workspace_bytes=1), place=orin).digest
    second = device_engine(bundle, DEFERRED, store, place=orin)
    assert store.load_digest(first) is None and store.load_digest(second.digest) is not None
    with pytest.raises(BackendError, match="no engine"):
        stored_engine(store, first)


def test_layers_on_an_accelerator_are_counted_and_its_engine_is_another(
    bundle: Bundle, store: EngineStore, orin: BuildPlace
) -> None:
    plain = device_engine(bundle, DEFERRED, store, place=orin)
    made = device_engine(bundle, DEFERRED, store, DeviceOptions(dla_core=1), place=orin)
    assert made.digest != plain.digest
    assert (made.record.dla_layers, made.record.layers) == (2, 3)
    assert json.loads(made.files.main)["flags"] == ["GPU_FALLBACK"]


def test_an_accelerator_that_is_not_here_is_refused_before_anything_is_built(
    bundle: Bundle, store: EngineStore
) -> None:
    with pytest.raises(DeviceUnavailableError, match="no DLA core 2: tensorrt finds 2"):
        device_engine(bundle, DEFERRED, store, DeviceOptions(dla_core=2), place=ORIN)


def test_what_promises_nothing_that_could_be_checked_is_not_built(tmp_path: Path, store: EngineStore) -> None:
    silent = Contents((entry(), DEFERRED), golden_cases("onnxruntime-fp32"))
    with pytest.raises(BundleError, match="no expected logit for tensorrt-int8"):
        device_engine(make(tmp_path / "silent", silent), DEFERRED, store, place=ORIN)
    without = Contents((entry(), DEFERRED), ())
    with pytest.raises(BundleError, match="no golden cases"):
        device_engine(make(tmp_path / "without", without), DEFERRED, store, place=ORIN)


def test_only_deferred_entries_of_tensorrt_are_built(tmp_path: Path, store: EngineStore) -> None:
    odd = entry(status=STATUS_DEFERRED)
    bundle = make(tmp_path / "bundle", Contents((odd, dataclasses.replace(DEFERRED, status="ok"))))
    assert deferred(bundle) == (odd,)
    with pytest.raises(BundleError, match="possible for tensorrt, tensorrt_rtx only"):
        device_engine(bundle, odd, store, place=ORIN)
    with pytest.raises(BundleError, match="is not deferred to the device"):
        device_engine(bundle, bundle.manifest.engines[1], store, place=ORIN)


def test_a_model_that_changed_since_the_bundle_was_opened_is_not_built(
    bundle: Bundle, store: EngineStore, orin: BuildPlace
) -> None:
    (bundle.root / DEFERRED.main).write_bytes(onnx_bytes(gain=-4.0))
    with pytest.raises(BundleError, match="was altered"):
        device_engine(bundle, DEFERRED, store, place=orin)
    assert store.held() == ()


def planned(root: Path, **changes: Any) -> Bundle:
    """A bundle whose deferred entry has the toolchain's plan beside it."""
    bundle = make(root / "plain", Contents((DEFERRED,)))
    shape = [1, 1, SIZE_PX, SIZE_PX]
    plan = {
        "schema": 1,
        "onnx_sha256": bundle.manifest.files[DEFERRED.main].sha256,
        "shapes": {"image": {"min": shape, "opt": shape, "max": [4, *shape[1:]]}},
        "precision": "int8",
        "sparse": True,
        "strongly_typed": True,
        "tf32": False,
        "commands": {"tensorrt 10 and later": "trtexec"},
        **changes,
    }
    return make(
        root / "bundle", Contents((DEFERRED,), files={"models/trt/plan.json": json.dumps(plan).encode()})
    )


def test_the_plan_beside_the_graph_is_followed(tmp_path: Path) -> None:
    spec = engine_key(planned(tmp_path), DEFERRED, ORIN, DeviceOptions()).spec
    assert spec.shapes["image"]["max"] == (4, 1, SIZE_PX, SIZE_PX)
    assert (spec.sparse, spec.precision, spec.capabilities) == (True, "int8", ())


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"tf32": True},
        {"strongly_typed": False},
        {"onnx_sha256": "0" * 64},
        {"shapes": {"image": {}}},
    ],
)
def test_a_plan_for_something_else_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"plan\.json"):
        engine_key(planned(tmp_path, **changes), DEFERRED, ORIN, DeviceOptions())


@pytest.mark.gpu
@pytest.mark.parametrize("library", ["tensorrt", "tensorrt_rtx"])
def test_the_engine_answers_the_golden_cases_on_this_gpu(
    library: str, tmp_path: Path, store: EngineStore
) -> None:
    found = availability(library)
    if not found.installed or not devices(library):
        pytest.skip(found.reason or f"no GPU for {library}")
    item = dataclasses.replace(RTX, engine=library)
    made = device_engine(make(tmp_path / "bundle", Contents((item,))), item, store)
    backend = open_backend(library, made.files, BackendOptions(device="gpu"))
    for share in BRIGHT_SHARES.values():
        tensor, _ = preprocess(read_bytes(plate(share)), SPEC)
        logit = backend.infer({INPUT_NAME: tensor})[LOGIT_NAME]
        np.testing.assert_allclose(logit, expected_logit(tensor), atol=item.logit_tolerance)
    backend.close()
