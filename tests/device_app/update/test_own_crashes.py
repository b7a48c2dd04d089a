"""Killed while an engine is built: the box has what it had, and the next installation makes all whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device_app.update.box import Box
from device_app.update.installer import install
from device_app.update.slots import Phase
from tests.device_app.conftest import wait_until
from tests.device_app.update.faults import ONLY_IN, VARIABLE
from tests.device_app.update.made_tensorrt import MadeGpu
from tests.device_app.update.own import DEFERRED, OwnBox
from tests.device_app.update.test_own_engines import live_record, model, models_held
from tests.runtime.kit import ORT

INSTALLER, CHILD, BUILDER = (
    "tests.device_app.update.own",
    "device_app.update.kiosk_child",
    "runtime.trt_build.builder",
)
# Changes of the disk that a first installation with a build makes at least, in each of the two processes.
CHILD_CHANGES, INSTALLER_CHANGES = (0, 38), (4, 70)


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeGpu:
    return MadeGpu(tmp_path / "gpu", monkeypatch)


@pytest.fixture
def box(tmp_path: Path) -> OwnBox:
    return OwnBox(tmp_path)


@pytest.fixture
def fuse(gpu: MadeGpu, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every process of this machine's own obeys the variables of faults.py."""
    (gpu.folder / "sitecustomize.py").write_text(
        "from tests.device_app.update.faults import from_environment\nfrom_environment()\n"
    )
    return monkeypatch


def started(box: OwnBox, graph: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", INSTALLER, str(box.folder), str(box.bundle(graph))]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def running(module: str, gpu: MadeGpu) -> list[int]:
    """Processes of this test's that run the module."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if module.encode() in words and str(gpu.folder).encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def require_whole(box: OwnBox, graph: str) -> None:
    record = live_record(box)
    assert record.passed and record.failed == {}
    assert model(box, graph) in models_held(box)
    assert not list(box.kiosk.store.glob("work/*"))
    assert Box(box.root).read_journal().phase is Phase.IDLE
    assert not Box(box.root).incoming.exists()


def test_an_installation_killed_in_a_build_leaves_what_was_live_and_the_next_is_whole(
    gpu: MadeGpu, box: OwnBox
) -> None:
    install(box.bundle("one"), box.root, box.options())
    box.building.unlink()
    gpu.does("hang")
    cut_off = started(box, "two")
    wait_until(box.building.exists)
    assert running(BUILDER, gpu) and running(CHILD, gpu)
    cut_off.kill()
    cut_off.wait()
    wait_until(lambda: not running(BUILDER, gpu) and not running(CHILD, gpu), seconds=20)
    assert Box(box.root).live() == "a"
    gpu.does("build")
    assert install(box.bundle("two"), box.root, box.options()).slot == "b"
    require_whole(box, "two")


@pytest.mark.parametrize("seed", range(2))
def test_an_installer_killed_at_a_seeded_change_is_repeated_and_whole(
    seed: int, gpu: MadeGpu, box: OwnBox, fuse: pytest.MonkeyPatch
) -> None:
    fuse.setenv(ONLY_IN, INSTALLER)
    fuse.setenv(VARIABLE, str(random.Random(seed).randrange(*INSTALLER_CHANGES)))
    assert started(box, "one").wait() == -signal.SIGKILL
    fuse.delenv(VARIABLE)
    install(box.bundle("one"), box.root, box.options())
    require_whole(box, "one")


@pytest.mark.parametrize("seed", range(3))
def test_a_build_killed_at_a_seeded_change_costs_the_engine_until_the_next_installation(
    seed: int, gpu: MadeGpu, box: OwnBox, fuse: pytest.MonkeyPatch
) -> None:
    fuse.setenv(ONLY_IN, CHILD)
    fuse.setenv(VARIABLE, str(random.Random(seed).randrange(*CHILD_CHANGES)))
    assert install(box.bundle("one"), box.root, box.options()).engine == ORT.key
    assert "crashed with SIGKILL" in live_record(box).failed[DEFERRED.key]
    fuse.delenv(VARIABLE)
    assert not install(box.bundle("one"), box.root, box.options()).changed
    require_whole(box, "one")
