from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from device_app.update import durable
from runtime.errors import DiskFullError, StoreError


def test_a_link_is_switched_without_ever_being_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "live"
    durable.replace_link(link, "slots/a")
    seen: list[bool] = []
    for name in ("symlink", "replace", "fsync", "unlink"):
        _watch(monkeypatch, name, lambda: seen.append(link.is_symlink()))
    durable.replace_link(link, "slots/b")
    assert link.readlink() == Path("slots/b")
    assert seen
    assert all(seen)


def test_a_file_is_flushed_before_its_name_points_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name in ("fsync", "replace"):
        _watch(monkeypatch, name, lambda name=name: order.append(name))
    durable.replace_file(tmp_path / "slots.json", b"{}")
    assert order == ["fsync", "replace", "fsync"]
    assert (tmp_path / "slots.json").read_bytes() == b"{}"


def test_a_leftover_temporary_file_does_not_stop_the_next_write(tmp_path: Path) -> None:
    (tmp_path / ".slots.json.new").write_bytes(b"torn")
    (tmp_path / ".live.new").symlink_to("nowhere")
    durable.replace_file(tmp_path / "slots.json", b"{}")
    durable.replace_link(tmp_path / "live", "slots/a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live", "slots.json"]


def test_files_are_readable_by_the_kiosk_even_under_a_strict_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        durable.make_folder(tmp_path / "one" / "two")
        durable.write_file(tmp_path / "one" / "two" / "file", b"x")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("one", "one/two", "one/two/file")]
    assert modes == [0o755, 0o755, 0o644]


def test_removing_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    durable.remove(tmp_path / "link")
    durable.remove(tmp_path / "was never there")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_is_said_as_no_room(tmp_path: Path, code: int) -> None:
    with pytest.raises(DiskFullError, match="no room") as caught, durable.disk_errors(tmp_path):
        raise OSError(code, os.strerror(code), "/box/file")
    assert "/box/file" in str(caught.value)
    assert "free some space" in caught.value.hint


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EIO])
def test_other_disk_faults_are_store_errors_that_name_the_place(tmp_path: Path, code: int) -> None:
    with pytest.raises(StoreError, match=str(tmp_path)) as caught, durable.disk_errors(tmp_path):
        raise OSError(code, os.strerror(code))
    assert not isinstance(caught.value, DiskFullError)
    assert caught.value.hint


def test_the_lock_is_held_once_and_freed_on_leaving(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with (
        durable.exclusive(lock),
        pytest.raises(StoreError, match="another installation"),
        durable.exclusive(lock),
    ):
        pass
    with durable.exclusive(lock):
        pass


def _watch(monkeypatch: pytest.MonkeyPatch, name: str, note: object) -> None:
    real = getattr(os, name)

    def watched(*args: object, **kwargs: object) -> object:
        note()  # type: ignore[operator]
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, watched)
