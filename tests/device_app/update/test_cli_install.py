from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device_app.update.conftest import Workshop

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


@pytest.mark.parametrize("seconds", ["inf", "1e300", "1e9", "nan", "0"])
def test_a_timeout_that_no_clock_can_hold_is_wrong_usage(root: Path, seconds: str) -> None:
    assert ulna("rollback", "--root", root, "--timeout", seconds).returncode == 2
