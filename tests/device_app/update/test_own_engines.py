"""Engines that a bundle leaves to the box: built at the installation, where the kiosk finds them.

The GPU's driver keeps its memory in the host, TensorRT is a module of its interface that ONNX Runtime
computes for (made_tensorrt.py); all processes between the installer and the two are the real ones.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from device_app.config import KioskConfig
from device_app.status import Phase
from device_app.store import open_store, prepare_store
from device_app.supervisor import Supervisor
from device_app.update.box import Box
from device_app.update.installer import check, install, rollback
from device_app.update.options import InstallOptions
from device_app.update.own_engines import Kiosk, OwnEngines
from device_app.update.slots import SlotRecord
from device_app.update.status import status
from runtime.backends.registry import availability, devices
from runtime.bundle import Bundle, open_bundle
from runtime.engine_store import EngineStore
from runtime.errors import BackendError
from runtime.trt_build.progress import BuildProgress
from runtime.trust import TrustStore
from tests.device_app.conftest import wait_until
from tests.device_app.update.made_tensorrt import MadeGpu
from tests.device_app.update.own import DEFERRED, OwnBox
from tests.runtime.kit import ORT

ALONE = (DEFERRED,)


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeGpu:
    return MadeGpu(tmp_path / "gpu", monkeypatch)


@pytest.fixture
def box(tmp_path: Path) -> OwnBox:
    return OwnBox(tmp_path)


@pytest.fixture
def own(box: OwnBox, said: tuple[list[str], Callable[[str], None]]) -> OwnEngines:
    return OwnEngines(box.kiosk, said[1])


def live_record(box: OwnBox) -> SlotRecord:
    (record,) = [slot.record for slot in status(box.root) if slot.live]
    assert record is not None
    return record


def models_held(box: OwnBox) -> set[str]:
    held = EngineStore(box.kiosk.store).held()
    assert not [item.problem for item in held if item.problem]
    return {item.record.key.model_sha256 for item in held if item.record}


def model(box: OwnBox, graph: str) -> str:
    return opened(box.bundle(graph)).manifest.files[DEFERRED.main].sha256


def opened(bundle: Path) -> Bundle:
    return open_bundle(bundle, TrustStore.from_paths(bundle.parent / "maker.pem"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_installation_builds_and_the_kiosk_finds_it_without_building(gpu: MadeGpu, box: OwnBox) -> None:
    done = install(box.bundle(engines=ALONE), box.root, box.options())
    assert (done.engine, live_record(box).engine) == ("tensorrt-int8", "tensorrt-int8")
    assert live_record(box).failed == {}
    built = contents(box.kiosk.store)
    gpu.does("refuse")
    config = KioskConfig(box.root / "live", box.kiosk.state, (box.root / "trusted",), port=0, threads=1)
    prepare_store(config)
    store = open_store(config)
    supervisor = Supervisor(config, store.queue)
    supervisor.start()
    try:
        wait_until(lambda: supervisor.status().phase in (Phase.READY, Phase.CANNOT_ANSWER))
        assert supervisor.status().phase is Phase.READY, supervisor.status().reason
        assert supervisor.status().engine == "tensorrt-int8"
    finally:
        supervisor.stop()
        store.close()
    assert contents(box.kiosk.store) == built


def test_an_engine_that_is_not_the_fastest_is_built_all_the_same(gpu: MadeGpu, box: OwnBox) -> None:
    done = install(box.bundle(), box.root, box.options())
    assert "tensorrt-int8" in done.reason and done.engines == (ORT.key, DEFERRED.key)
    assert models_held(box) == {model(box, "one")}


@pytest.mark.parametrize(
    ("does", "why"),
    [("refuse", "no kernel takes layer 3"), ("SIGKILL", "crashed with SIGKILL"), ("hang", "within 3 s")],
)
def test_a_build_that_fails_leaves_the_others_and_is_tried_once(
    gpu: MadeGpu, box: OwnBox, does: str, why: str
) -> None:
    gpu.does(does)
    heard: list[str] = []
    done = install(box.bundle(), box.root, box.options(heard.append, replace(box.kiosk, build_s=3)))
    assert (done.slot, done.engine) == ("a", ORT.key)
    assert why in live_record(box).failed[DEFERRED.key]
    assert len([line for line in heard if line.startswith("tensorrt-int8 cannot be used")]) == 1
    assert models_held(box) == set()
    assert not list(box.kiosk.store.glob("work/*"))


def test_a_bundle_with_no_other_engine_leaves_the_box_with_what_it_had(gpu: MadeGpu, box: OwnBox) -> None:
    install(box.bundle("one"), box.root, box.options())
    before = contents(box.root / "slots" / "a")
    gpu.does("refuse")
    with pytest.raises(BackendError, match=r"no kernel takes layer 3.*; slot a stays live"):
        install(box.bundle("two", ALONE), box.root, box.options())
    assert Box(box.root).live() == "a" and contents(box.root / "slots" / "a") == before
    assert models_held(box) == {model(box, "one")}


def test_an_engine_that_answers_wrongly_is_not_used(gpu: MadeGpu, box: OwnBox) -> None:
    source = (gpu.folder / "tensorrt.py").read_text()
    (gpu.folder / "tensorrt.py").write_text(source.replace("[...] = value", "[...] = value + 9"))
    done = install(box.bundle(), box.root, box.options())
    assert done.engine == ORT.key
    assert "golden" in live_record(box).failed[DEFERRED.key]


def test_installing_what_is_live_builds_what_could_not_be_built_before(gpu: MadeGpu, box: OwnBox) -> None:
    gpu.does("refuse")
    install(box.bundle(), box.root, box.options())
    gpu.does("build")
    again = install(box.bundle(), box.root, box.options())
    assert (again.changed, again.slot) == (False, "a")
    assert live_record(box).failed == {} and "tensorrt-int8" in again.reason


def test_a_live_bundle_that_fails_now_is_told_and_stays(gpu: MadeGpu, box: OwnBox) -> None:
    install(box.bundle(engines=ALONE), box.root, box.options())
    gpu.does("refuse", version="11.0.0")
    with pytest.raises(BackendError, match=r"no kernel takes layer 3.*; slot a stays live"):
        install(box.bundle(engines=ALONE), box.root, box.options())
    assert not live_record(box).passed


def test_a_rollback_builds_for_the_library_of_today(gpu: MadeGpu, box: OwnBox) -> None:
    for graph in ("one", "two"):
        install(box.bundle(graph, ALONE), box.root, box.options())
    gpu.does("build", version="11.0.0")
    assert rollback(box.root, box.options()).engine == "tensorrt-int8"
    held = [item.record.key for item in EngineStore(box.kiosk.store).held() if item.record]
    versions = {key.place.version for key in held if key.model_sha256 == model(box, "one")}
    assert "11.0.0" in versions


def test_a_rollback_that_cannot_build_leaves_what_is_live(gpu: MadeGpu, box: OwnBox) -> None:
    for graph in ("one", "two"):
        install(box.bundle(graph, ALONE), box.root, box.options())
    gpu.does("refuse", version="11.0.0")
    with pytest.raises(BackendError, match="slot b stays live"):
        rollback(box.root, box.options())
    assert Box(box.root).live() == "b"


def test_a_dry_run_builds_nothing_and_says_what_it_did_not_try(gpu: MadeGpu, box: OwnBox) -> None:
    found = check(box.bundle(), box.root, InstallOptions((box.key,)))
    assert found.passed and "not tried" in found.failed[DEFERRED.key]
    alone = check(box.bundle(engines=ALONE), box.root, InstallOptions((box.key,)))
    assert not alone.passed and "not tried" in alone.failed[DEFERRED.key]
    assert not box.root.exists() and not box.kiosk.state.exists()


def test_progress_is_told_below_the_engine_that_it_is_of(gpu: MadeGpu, box: OwnBox) -> None:
    heard: list[BuildProgress] = []
    own = OwnEngines(box.kiosk, lambda _: None, lambda: nullcontext(heard.append))
    (result,) = own.examine(opened(box.bundle()), ALONE, 60)
    assert result.passed
    assert [(one.phase, one.parent, one.ended) for one in heard] == [
        ("tensorrt-int8", "", False),
        ("Building engine", "tensorrt-int8", False),
        ("Building engine", "tensorrt-int8", False),
        ("Building engine", "tensorrt-int8", True),
        ("tensorrt-int8", "", True),
    ]


def test_engines_that_no_slot_needs_any_more_go_once_the_new_one_is_confirmed(
    gpu: MadeGpu, box: OwnBox
) -> None:
    for graph in ("one", "two"):
        install(box.bundle(graph), box.root, box.options())
    assert models_held(box) == {model(box, "one"), model(box, "two")}
    gpu.does("refuse")
    install(box.bundle("three"), box.root, box.options())
    assert models_held(box) == {model(box, "two")}
    assert [item for item in EngineStore(box.kiosk.store).held() if item.record is None], "timings stay"


def test_an_engine_that_a_kiosk_has_loaded_is_not_removed(gpu: MadeGpu, own: OwnEngines, box: OwnBox) -> None:
    assert own.examine(opened(box.bundle()), ALONE, 60)[0].passed
    store = EngineStore(box.kiosk.store)
    (name,) = [item.path.name for item in store.held() if item.record]
    loaded = store.load_digest(name)
    assert loaded is not None
    own.tidy(())
    assert models_held(box) == {model(box, "one")}
    loaded.lease.close()
    own.tidy(())
    assert models_held(box) == set()


def test_a_store_that_another_process_holds_is_not_tidied_and_that_is_said(
    gpu: MadeGpu, own: OwnEngines, box: OwnBox, said: tuple[list[str], Callable[[str], None]]
) -> None:
    assert own.examine(opened(box.bundle()), ALONE, 60)[0].passed
    with EngineStore(box.kiosk.store).locked():
        own.tidy(())
    assert "stay in" in said[0][-1] and "another process" in said[0][-1]
    assert models_held(box) == {model(box, "one")}


def test_without_the_kiosks_user_nothing_is_built_and_the_record_says_what_to_do(
    gpu: MadeGpu, box: OwnBox
) -> None:
    kiosk = Kiosk("nobody-of-this-name", box.folder / "kiosk")
    assert install(box.bundle(), box.root, box.options(kiosk=kiosk)).engine == ORT.key
    why = live_record(box).failed[DEFERRED.key]
    assert "no user nobody-of-this-name" in why and "useradd --system" in why
    assert not kiosk.state.exists()


def test_a_box_without_the_library_gets_no_store(box: OwnBox) -> None:
    if availability("tensorrt").installed:
        pytest.skip("classic TensorRT is installed")
    assert install(box.bundle(), box.root, box.options()).engine == ORT.key
    assert "tensorrt is not installed" in live_record(box).failed[DEFERRED.key]
    assert not box.kiosk.state.exists()


def test_a_box_without_a_gpu_says_so_with_the_real_library(box: OwnBox) -> None:
    if not availability("tensorrt_rtx").installed:
        pytest.skip("tensorrt_rtx is not installed")
    if devices("tensorrt_rtx"):
        pytest.skip("this machine has a GPU")
    rtx = replace(DEFERRED, engine="tensorrt_rtx")
    assert install(box.bundle(engines=(ORT, rtx)), box.root, box.options()).engine == ORT.key
    assert "GPU" in live_record(box).failed[rtx.key] or "driver" in live_record(box).failed[rtx.key]


def test_the_store_is_its_owners_alone(gpu: MadeGpu, box: OwnBox) -> None:
    install(box.bundle(), box.root, box.options())
    for path in (box.kiosk.state, *box.kiosk.state.rglob("*")):
        status = path.lstat()
        assert status.st_uid == os.geteuid()
        assert stat.S_IMODE(status.st_mode) & 0o077 == 0, path


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small disk")
def test_a_full_disk_costs_the_engine_and_not_the_box(gpu: MadeGpu, box: OwnBox) -> None:
    box.kiosk.state.mkdir()
    size = ("-o", "size=12k,mode=700")
    if subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", box.kiosk.state], check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        assert install(box.bundle(), box.root, box.options()).engine == ORT.key
        assert "No space left on device" in live_record(box).failed[DEFERRED.key]
        assert models_held(box) == set()
    finally:
        subprocess.run(["umount", box.kiosk.state], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_builds_as_the_kiosks_user_and_leaves_nothing_that_is_roots(public: OwnBox) -> None:
    """Also the environment is that user's: what lies in root's does not reach the engine's process."""
    done = install(public.bundle(engines=ALONE), public.root, public.options())
    assert done.engine == "tensorrt-int8"
    owners = {path.lstat().st_uid for path in (public.kiosk.state, *public.kiosk.state.rglob("*"))}
    assert owners == {65534}
    seen = json.loads((public.folder / "seen" / "builder.json").read_text())
    assert seen["ids"] == [[65534] * 3, [65534] * 3] and seen["groups"] == [65534]
    assert seen["environment"]["USER"] == "nobody" and "SECRET" not in seen["environment"]


SITE = """
import ctypes, json, os, sys
real = ctypes.CDLL
def find(name, *arguments, **options):
    return real({driver!r} if name == "libcuda.so.1" else name, *arguments, **options)
ctypes.CDLL = find
if "runtime.trt_build.builder" in sys.orig_argv:
    ids = [os.getresuid(), os.getresgid()]
    facts = dict(ids=ids, groups=os.getgroups(), environment=dict(os.environ))
    with open({seen!r}, "w") as file:
        json.dump(facts, file)
"""


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnBox]:
    """A box whose kiosk runs as `nobody`, in a folder that everybody may enter."""
    folder = Path(f"/tmp/ulna-test-{os.getpid()}")
    folder.mkdir()
    try:
        yield _public_box(folder, monkeypatch)
    finally:
        shutil.rmtree(folder)


def _public_box(folder: Path, patch: pytest.MonkeyPatch) -> OwnBox:
    try:
        subprocess.run([sys.executable, "-c", "import runtime"], user="nobody", cwd="/", check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("another user cannot run this interpreter")
    gpu = MadeGpu(folder / "gpu", patch)
    patch.delenv("LD_LIBRARY_PATH")
    patch.setenv("SECRET", "of root's")
    (folder / "seen").mkdir()
    (folder / "seen").chmod(0o777)
    site = SITE.format(driver=str(gpu.driver), seen=str(folder / "seen" / "builder.json"))
    (gpu.folder / "sitecustomize.py").write_text(site)
    return OwnBox(folder, "nobody")
