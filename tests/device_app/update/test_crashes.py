"""Whatever moment the power goes, one slot works and the next installation puts everything in order."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device_app.update.box import Box
from device_app.update.installer import install
from device_app.update.options import InstallOptions
from tests.device_app.update.conftest import Workshop
from tests.device_app.update.faults import VARIABLE
from tests.device_app.update.quick import quick_probe

REPOSITORY = Path(__file__).parents[3]
ULNA = Path(sys.executable).with_name("ulna")


@pytest.mark.parametrize("scenario", ["first", "full", "rollback", "bad-slot", "recovery"])
def test_killed_before_any_single_change_of_the_disk(
    scenario: str, workshop: Workshop, tmp_path: Path
) -> None:
    request = {
        "scenario": scenario,
        "folder": str(tmp_path),
        "trust": str(workshop.trust()),
        "bundles": {version: str(workshop.bundle(version)) for version in ("1.0.0", "1.5.0", "2.0.0")},
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.device_app.update.crash_matrix", json.dumps(request)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["wrong"] == []
    assert report["points"] > 8
    if scenario != "recovery":
        assert len(set(report["live_seen"])) == 2, "some kills come before the switch and some after it"
        assert report["live_seen"][0] != "2.0.0", "the first kill comes before the switch"


@pytest.mark.parametrize("seed", range(3))
def test_the_real_command_killed_at_a_seeded_change_leaves_a_working_slot(
    seed: int, workshop: Workshop, root: Path, tmp_path: Path
) -> None:
    _prepare(workshop, root)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "from tests.device_app.update.faults import from_environment\nfrom_environment()\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), str(REPOSITORY)])
    at = random.Random(seed).randrange(4, 40)
    killed = _ulna(workshop, "2.0.0", root, {"PYTHONPATH": path, VARIABLE: str(at)})
    assert killed.returncode == -signal.SIGKILL
    _works_and_can_be_updated(workshop, root)


@pytest.mark.parametrize("seed", range(2))
def test_the_real_command_killed_after_a_seeded_delay_leaves_a_working_slot(
    seed: int, workshop: Workshop, root: Path
) -> None:
    _prepare(workshop, root)
    running = subprocess.Popen(
        _command(workshop, "2.0.0", root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(random.Random(seed).uniform(0.3, 4.0))
    running.kill()
    running.wait()
    _works_and_can_be_updated(workshop, root)


def _prepare(workshop: Workshop, root: Path) -> None:
    install(workshop.bundle("1.0.0"), root, InstallOptions(trust=(workshop.trust(),), probe=quick_probe))


def _works_and_can_be_updated(workshop: Workshop, root: Path) -> None:
    assert quick_probe(root / "live", root / "trusted").passed
    repeated = _ulna(workshop, "2.0.0", root, {})
    assert repeated.returncode == 0, repeated.stderr
    assert quick_probe(root / "live", root / "trusted").passed
    assert json.loads((root / "live" / "manifest.json").read_bytes())["version"] == "2.0.0"
    box = Box(root)
    assert not box.incoming.exists()
    assert not box.outgoing.exists()


def _ulna(
    workshop: Workshop, version: str, root: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(workshop, version, root),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _command(workshop: Workshop, version: str, root: Path) -> list[str]:
    bundle, trust = str(workshop.bundle(version)), str(workshop.trust())
    return [str(ULNA), "install", "--bundle", bundle, "--root", str(root), "--trust", trust]
