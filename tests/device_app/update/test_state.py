from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from device_app.update import state
from device_app.update.state import KioskUser, find_user, make_state_folder, require_reachable
from device_app.update.unit import render_unit
from runtime.errors import StoreError
from tests.device_app.update.own import OwnBox

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")


@pytest.fixture
def me(tmp_path: Path) -> KioskUser:
    return find_user(OwnBox(tmp_path).user)


def test_a_user_is_found_with_all_of_its_groups(me: KioskUser) -> None:
    assert me.uid == os.geteuid()
    assert me.gid in me.groups


def test_a_user_that_is_not_there_is_refused_with_what_makes_it() -> None:
    with pytest.raises(StoreError, match="no user nobody-of-this-name") as caught:
        find_user("nobody-of-this-name")
    assert caught.value.hint.startswith("run `useradd --system --home-dir /var/lib/ulna-kiosk ")


def test_only_root_and_the_user_itself_may_build(me: KioskUser, monkeypatch: pytest.MonkeyPatch) -> None:
    require_reachable(me)
    monkeypatch.setattr(os, "geteuid", lambda: 65533)
    with pytest.raises(StoreError, match="only root and user"):
        require_reachable(me)


def test_the_folder_is_its_users_alone(tmp_path: Path, me: KioskUser) -> None:
    make_state_folder(tmp_path / "kiosk", me)
    status = (tmp_path / "kiosk").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, me.uid)


@needs_root
def test_root_makes_the_folder_for_the_kiosks_user_also_after_a_kill_in_between(tmp_path: Path) -> None:
    nobody, folder = find_user("nobody"), tmp_path / "kiosk"
    folder.mkdir(mode=0o700)
    make_state_folder(folder, nobody)
    assert (folder.stat().st_uid, folder.stat().st_gid) == (nobody.uid, nobody.gid)


@needs_root
def test_a_folder_that_is_in_use_keeps_its_owner(tmp_path: Path) -> None:
    (tmp_path / "kiosk").mkdir()
    (tmp_path / "kiosk" / "kiosk.sqlite3").touch()
    make_state_folder(tmp_path / "kiosk", find_user("nobody"))
    assert (tmp_path / "kiosk").stat().st_uid == 0


def test_the_unit_serves_from_the_folder_in_which_engines_are_built() -> None:
    lines = render_unit(Path("/opt/ulna"), "ulna", gpu=False).splitlines()
    assert any(line.endswith(f" --data {state.STATE_FOLDER}") for line in lines)
    assert f"StateDirectory={Path(state.STATE_FOLDER).name}" in lines
    assert "StateDirectoryMode=0700" in lines
