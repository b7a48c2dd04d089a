"""Writing to a stick: a new folder, nothing touched, and what goes wrong is said."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from device_app.export.target import Fault, StickFolder, TargetError, ZipFile
from device_app.intake.mounts import Mount
from device_app.intake.steady import Signature
from device_app.intake.stick import Stick
from tests.device_app import sample
from tests.device_app.export.conftest import Site
from tests.device_app.intake.disks import small_disk

DATE = "2026-02-03"


def stick_at(point: Path) -> Stick:
    return Stick("t" * 16, "CLINIC", Mount(1, "8:17", point), Signature.of(point.stat()), (), True)


def folder_on(point: Path) -> StickFolder:
    stick = stick_at(point)
    return StickFolder(stick.mount, stick.root, DATE)


def names(point: Path) -> list[str]:
    return sorted(path.name for path in point.iterdir())


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    made = tmp_path / "STICK"
    made.mkdir()
    return made


def test_a_folder_is_called_unfinished_until_its_end(stick: Path) -> None:
    target = folder_on(stick)
    target.add("images/000001.dcm", io.BytesIO(b"one"))
    assert names(stick) == [f"ulna-cases-{DATE}.unfinished"]
    target.add("cases.jsonl", io.BytesIO(b"{}"))
    assert target.finish() == f"ulna-cases-{DATE}"
    assert names(stick) == [f"ulna-cases-{DATE}"]
    assert (stick / f"ulna-cases-{DATE}" / "images" / "000001.dcm").read_bytes() == b"one"


def test_an_export_that_was_cut_off_stays_visibly_unfinished_and_is_repeated_beside_it(stick: Path) -> None:
    target = folder_on(stick)
    target.add("images/000001.dcm", io.BytesIO(b"one"))
    target.leave()
    again = folder_on(stick)
    assert again.finish() == f"ulna-cases-{DATE}-2"
    assert names(stick) == [f"ulna-cases-{DATE}-2", f"ulna-cases-{DATE}.unfinished"]


def test_what_is_there_is_never_written_over(stick: Path) -> None:
    for taken in (f"ulna-cases-{DATE}", f"ulna-cases-{DATE}-2"):
        (stick / taken).mkdir()
        (stick / taken / "mine").write_text("kept")
    target = folder_on(stick)
    (stick / f"ulna-cases-{DATE}-3").mkdir()  # somebody else was faster
    assert target.finish() == f"ulna-cases-{DATE}-4"
    assert (stick / f"ulna-cases-{DATE}" / "mine").read_text() == "kept"
    with pytest.raises(TargetError):
        target.add("cases.jsonl", io.BytesIO(b"late"))


def test_a_file_is_not_written_twice(stick: Path) -> None:
    target = folder_on(stick)
    target.add("cases.jsonl", io.BytesIO(b"one"))
    with pytest.raises(TargetError):
        target.add("cases.jsonl", io.BytesIO(b"two"))


def test_links_on_the_stick_are_not_followed(stick: Path, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (stick / f"ulna-cases-{DATE}").symlink_to(secret)
    (stick / f"ulna-cases-{DATE}-2.unfinished").symlink_to(secret)
    target = folder_on(stick)
    target.add("images/000001.dcm", io.BytesIO(b"one"))
    assert target.finish() == f"ulna-cases-{DATE}-3" and not list(secret.iterdir())
    again = folder_on(stick)
    made = next(stick.glob("*.unfinished/images"))
    assert not made.is_symlink()
    (stick / "point").symlink_to(secret)
    with pytest.raises(TargetError):
        folder_on(stick / "point")
    again.leave()


def test_a_stick_that_is_no_longer_mounted_is_not_the_boxs_own_disk(stick: Path) -> None:
    mount = Mount(1, "8:17", stick)
    elsewhere = Signature.of(Path("/proc").stat())
    with pytest.raises(TargetError) as error:
        StickFolder(mount, elsewhere, DATE)
    assert error.value.fault is Fault.GONE and names(stick) == []


@pytest.mark.parametrize("to", ["stick", "download"])
def test_no_room_is_said_and_what_is_there_is_unfinished(site: Site, tmp_path: Path, to: str) -> None:
    for seed in range(4):
        site.agreed(sample.picture(sample.NONE, seed), f"{seed}.png", f"P {seed}")
    site.looked_at()
    with small_disk(tmp_path / "disk", 1) as disk:
        if to == "stick":
            assert site.exports.start("admin", stick_at(disk))
        else:
            object.__setattr__(site.config, "reserve_bytes", 1 << 60)
            assert site.exports.start("admin", None)
        site.exports.wait(60)
        assert site.exports.state.phase == "failed" and site.exports.state.fault is Fault.FULL
        left = names(disk)
        assert all(name.endswith(".unfinished") for name in left) and len(left) == (to == "stick")
    assert site.exports.zip.get() is None and not list(site.store.files.incoming.iterdir())
    again = tmp_path / "large"
    again.mkdir()
    assert site.exports.start("admin", stick_at(again))
    site.exports.wait(60)
    assert site.exports.state.phase == "done" and site.exports.state.counts.done == 4


def test_a_stick_that_is_locked_is_said_to_be_locked(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(TargetError) as error:
            folder_on(disk)
        assert error.value.fault is Fault.READ_ONLY


def test_a_stick_that_is_pulled_out_in_the_middle_ends_the_export(stick: Path) -> None:
    target = folder_on(stick)
    gone = os.open("/dev/full", os.O_RDONLY)
    os.dup2(gone, target._images)
    with pytest.raises(TargetError):
        target.add("images/000001.dcm", io.BytesIO(b"one"))
    target.leave()
    os.close(gone)


def test_a_zip_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    target = ZipFile(tmp_path / "a.zip", 1 << 20, 0)
    target.add("images/1.dcm", io.BytesIO(b"x" * 1000))
    assert names(tmp_path) == ["a.part"]
    assert target.finish() == "a.zip" and names(tmp_path) == ["a.zip"]
    assert (tmp_path / "a.zip").stat().st_mode & 0o077 == 0


def test_a_zip_has_a_largest_size(tmp_path: Path) -> None:
    target = ZipFile(tmp_path / "a.zip", 10_000, 0)
    with pytest.raises(TargetError) as error:
        for number in range(20):
            target.add(f"images/{number}.dcm", io.BytesIO(os.urandom(4000)))
    assert error.value.fault is Fault.TOO_LARGE
    target.leave()
    assert names(tmp_path) == []
