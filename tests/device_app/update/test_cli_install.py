from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from device_app.cli import app
from device_app.update import own_engines
from tests.device_app.update.conftest import Workshop
from tests.device_app.update.made_tensorrt import MadeGpu
from tests.device_app.update.own import DEFERRED, OwnBox

ULNA = Path(sys.executable).with_name("ulna")


def ulna(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ULNA), *map(str, arguments)], capture_output=True, text=True, check=False, cwd="/"
    )


def test_a_box_is_set_up_updated_shown_and_rolled_back(workshop: Workshop, root: Path) -> None:
    first = ulna("install", "--bundle", workshop.bundle("1.0.0"), "--root", root, "--trust", workshop.trust())
    assert first.returncode == 0, first.stderr
    assert f"--bundle {root}/live" in first.stdout
    assert first.stdout.startswith("#")
    assert "test 1.0.0 is now live in slot a" in first.stderr

    update = ulna("install", "--bundle", workshop.bundle("2.0.0"), "--root", root)
    assert update.returncode == 0, update.stderr
    assert "test 1.0.0 -> test 2.0.0" in update.stderr
    assert "systemctl restart" in update.stderr

    table = ulna("slots", "--root", root)
    assert "test 1.0.0" in table.stdout
    assert "live" in table.stdout
    former, live = json.loads(ulna("slots", "--root", root, "--json").stdout)
    assert (former["live"], live["live"], live["bundle"]) == (False, True, "test 2.0.0")
    assert live["record"]["passed"] is True

    back = ulna("rollback", "--root", root)
    assert back.returncode == 0, back.stderr
    assert "test 1.0.0 is live again" in back.stderr


def test_a_failed_self_test_is_one_line_what_and_one_line_what_next(workshop: Workshop, root: Path) -> None:
    bundle = workshop.bundle("1.0.0", "golden")
    failed = ulna("install", "--bundle", bundle, "--root", root, "--trust", workshop.trust())
    assert failed.returncode == 1
    assert failed.stdout == ""
    *_, error, hint = failed.stderr.splitlines()
    assert error.startswith("error: test 1.0.0 fails its self-test on this box")
    assert error.endswith("nothing is live on this box yet")
    assert hint.startswith("hint: ")


def test_a_dry_run_changes_nothing(workshop: Workshop, root: Path) -> None:
    arguments = ("--root", root, "--trust", workshop.trust(), "--dry-run")
    would = ulna("install", "--bundle", workshop.bundle("1.0.0"), *arguments)
    assert would.returncode == 0, would.stderr
    assert "would be installed" in would.stderr
    assert ulna("install", "--bundle", workshop.bundle("1.0.0", "nan"), *arguments).returncode == 1
    assert not root.exists()


def test_a_user_that_no_unit_can_hold_is_refused_before_anything_changes(
    workshop: Workshop, root: Path
) -> None:
    bundle, trust = workshop.bundle("1.0.0"), workshop.trust()
    refused = ulna("install", "--bundle", bundle, "--root", root, "--trust", trust, "--user", "no one")
    assert refused.returncode == 1
    assert not root.exists()


def test_what_a_site_asks_of_its_kiosk_stands_in_the_unit(workshop: Workshop, root: Path) -> None:
    bundle, trust = workshop.bundle("1.0.0"), workshop.trust()
    asked = ("--watch", "/srv/in", "--dicom-port", "11112", "--dicom-from", "10.1.2.3", "--dicom-from", "CR1")
    done = ulna("install", "--bundle", bundle, "--root", root, "--trust", trust, "--", *asked)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert next(line for line in lines if line.startswith("ExecStart=")).endswith(" ".join(asked))
    assert "ReadWritePaths=-/media -/run/media -/srv/in" in lines
    assert "IPAddressAllow=localhost 10.1.2.3/32" in lines


def test_tablets_that_are_named_reach_the_kiosk(workshop: Workshop, root: Path) -> None:
    arguments = ("--root", root, "--trust", workshop.trust(), "--browsers", "192.168.1.7/24")
    done = ulna("install", "--bundle", workshop.bundle("1.0.0"), *arguments, "--", "--host", "192.168.1.5")
    assert done.returncode == 0, done.stderr
    assert "IPAddressAllow=localhost 192.168.1.0/24" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (("--wach", "/srv/in"), 2, "No such option"),
        (("--data", "/srv/data"), 1, "--data after -- is the unit's own"),
        (("--watch", "in"), 1, "in depends on where a program is started"),
        (("--host", "192.168.1.5"), 1, "would be reached by nobody"),
        (("--host", "0.0.0.0"), 1, "would be reached by nobody"),
        (("--dicom-port", "11112"), 1, "would let in every machine of the network"),
        (("--dicom-port", "11112", "--dicom-from", "CR1"), 1, "would let in every machine of the network"),
        (("--dicom-port", "11112", "--dicom-from", "10.0.0.0/99"), 1, "10.0.0.0/99"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_no_unit_can_carry_is_refused_before_anything_changes(
    workshop: Workshop, root: Path, asked: tuple[str, ...], code: int, said: str
) -> None:
    bundle, trust = workshop.bundle("1.0.0"), workshop.trust()
    refused = ulna("install", "--bundle", bundle, "--root", root, "--trust", trust, "--", *asked)
    assert refused.returncode == code
    assert said in refused.stderr
    assert not root.exists()


def test_tablets_that_could_not_reach_the_kiosk_anyway_are_told(workshop: Workshop, root: Path) -> None:
    arguments = ("--root", root, "--trust", workshop.trust(), "--browsers", "192.168.1.0/24")
    refused = ulna("install", "--bundle", workshop.bundle("1.0.0"), *arguments)
    assert refused.returncode == 1 and "which no other machine reaches" in refused.stderr
    assert not root.exists()


@pytest.mark.parametrize("seconds", ["inf", "1e300", "1e9", "nan", "0"])
def test_a_timeout_that_no_clock_can_hold_is_wrong_usage(root: Path, seconds: str) -> None:
    assert ulna("rollback", "--root", root, "--timeout", seconds).returncode == 2


def test_engines_of_the_boxs_own_are_built_shown_and_given_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process: the folder of the kiosk is the unit's, which no test may write to."""
    gpu, box = MadeGpu(tmp_path / "gpu", monkeypatch), OwnBox(tmp_path)
    monkeypatch.setattr(own_engines, "STATE_FOLDER", str(box.kiosk.state))
    trusting = ("--root", box.root, "--trust", box.key, "--user", box.user)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)

    done = run("install", "--bundle", box.bundle("one", (DEFERRED,)), *trusting)
    assert "Trying tensorrt-int8; what is not there is built" in done.stderr
    assert "Engine chosen here: tensorrt-int8" in done.stderr
    assert "PrivateDevices=no" in done.stdout.splitlines()
    gpu.does("refuse")
    update = run("install", "--bundle", box.bundle("two"), *trusting)
    assert "tensorrt-int8 cannot be used: deferred to the device: " in update.stderr
    monkeypatch.setenv("COLUMNS", "300")
    assert "tensorrt-int8 deferred to the device: " in run("slots", "--root", box.root).stdout
    former, live = json.loads(run("slots", "--root", box.root, "--json").stdout)
    assert former["record"]["engine"] == "tensorrt-int8" and former["record"]["failed"] == {}
    assert "no kernel takes layer 3" in live["record"]["failed"]["tensorrt-int8"]
    back = run("rollback", "--root", box.root, "--user", box.user)
    assert "brightness 1.2.3 is live again in slot a" in back.stderr


def test_a_dry_run_says_what_only_an_installation_can_find_out(tmp_path: Path) -> None:
    box = OwnBox(tmp_path)
    arguments = ("--root", box.root, "--trust", box.key, "--dry-run")
    would = ulna("install", "--bundle", box.bundle(), *arguments)
    assert would.returncode == 0, would.stderr
    assert "tensorrt-int8 was not tried: an installation builds and tests it on this box" in would.stderr
    unknown = ulna("install", "--bundle", box.bundle(engines=(DEFERRED,)), *arguments)
    assert unknown.returncode == 1
    assert "no engine that passes its self-test on this box as it is" in unknown.stderr
    assert "hint: install it" in unknown.stderr
    assert not box.root.exists()
