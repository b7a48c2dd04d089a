from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from device_app.update import durable
from device_app.update.box import Box
from device_app.update.installer import check, install, rollback
from device_app.update.options import InstallOptions
from device_app.update.probe import ProbeResult, probe
from device_app.update.status import status
from runtime.errors import (
    BackendError,
    BundleError,
    DigestMismatchError,
    DiskFullError,
    SignatureError,
    StoreError,
)
from tests.device_app.update.conftest import Workshop
from tests.device_app.update.quick import quick_probe

QUICK = InstallOptions(probe=quick_probe)


@pytest.fixture
def first(workshop: Workshop) -> InstallOptions:
    return replace(QUICK, trust=(workshop.trust(),))


@pytest.fixture
def box(workshop: Workshop, root: Path, first: InstallOptions) -> Box:
    """A box with 1.0.0 live in slot a."""
    install(workshop.bundle("1.0.0"), root, first)
    return Box(root)


def live_version(box: Box) -> str:
    return str(json.loads((box.live_link / "manifest.json").read_bytes())["version"])


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_first_installation_makes_slot_a_live_and_keeps_the_keys(workshop: Workshop, root: Path) -> None:
    done = install(workshop.bundle("1.0.0"), root, InstallOptions(trust=(workshop.trust(),)))
    assert (done.slot, done.bundle, done.former, done.engine) == ("a", "test 1.0.0", "", "onnxruntime-fp32")
    assert (root / "live").readlink() == Path("slots/a")
    assert [key.public for key in Box(root).keys().keys]
    assert probe(root / "live", root / "trusted").passed


def test_an_update_goes_to_the_other_slot_and_leaves_the_former_one_untouched(
    workshop: Workshop, box: Box
) -> None:
    before = contents(box.slot("a"))
    done = install(workshop.bundle("2.0.0"), box.root, QUICK)
    assert (done.slot, done.former, live_version(box)) == ("b", "test 1.0.0", "2.0.0")
    assert contents(box.slot("a")) == before
    install(workshop.bundle("3.0.0"), box.root, QUICK)
    assert (box.live(), live_version(box)) == ("a", "3.0.0")


def test_an_older_version_is_installed_and_said(
    workshop: Workshop, root: Path, first: InstallOptions, said: tuple[list[str], Callable[[str], None]]
) -> None:
    install(workshop.bundle("2.0.0"), root, first)
    install(workshop.bundle("1.0.0"), root, replace(first, say=said[1]))
    assert any("test 2.0.0 -> test 1.0.0" in line for line in said[0])


def test_the_bundle_that_is_live_already_changes_nothing(workshop: Workshop, box: Box) -> None:
    before = contents(box.root)
    done = install(workshop.bundle("1.0.0"), box.root, QUICK)
    assert not done.changed
    assert contents(box.root) == before
    assert install(workshop.bundle("1.0.0"), box.root, replace(QUICK, force=True)).slot == "b"


@pytest.mark.parametrize("fault", ["golden", "nan", "garbage"])
def test_a_bundle_that_fails_its_self_test_never_becomes_live(
    workshop: Workshop, box: Box, fault: str
) -> None:
    before = contents(box.slot("a"))
    with pytest.raises(BackendError, match=r"fails its self-test on this box .*; slot a stays live"):
        install(workshop.bundle("2.0.0", fault), box.root, QUICK)
    assert live_version(box) == "1.0.0"
    assert contents(box.slot("a")) == before
    assert not box.slot("b").exists()
    assert not box.incoming.exists()


def test_an_engine_that_hangs_is_ended_and_the_box_goes_on(workshop: Workshop, box: Box) -> None:
    with pytest.raises(BackendError, match="no answer within 4 s"):
        install(workshop.bundle("2.0.0", "hang"), box.root, InstallOptions(timeout_s=4))
    assert live_version(box) == "1.0.0"


def test_a_first_installation_that_fails_leaves_nothing_live_and_no_keys(
    workshop: Workshop, root: Path, first: InstallOptions
) -> None:
    with pytest.raises(BackendError, match="nothing is live on this box yet"):
        install(workshop.bundle("1.0.0", "golden"), root, first)
    assert Box(root).live() is None
    assert not Box(root).is_set_up()
    assert install(workshop.bundle("1.0.0"), root, first).slot == "a"


def test_a_slot_that_fails_once_it_is_live_is_left_again(workshop: Workshop, box: Box) -> None:
    with pytest.raises(
        BackendError, match=r"fails its self-test on this box \(bad sector\); went back to slot a"
    ):
        install(workshop.bundle("2.0.0"), box.root, InstallOptions(probe=_fails_when_live))
    assert (box.live(), live_version(box)) == ("a", "1.0.0")


def test_a_first_slot_that_fails_once_it_is_live_is_not_live_any_more(
    workshop: Workshop, root: Path, first: InstallOptions
) -> None:
    with pytest.raises(BackendError, match="nothing is live on this box"):
        install(workshop.bundle("1.0.0"), root, replace(first, probe=_fails_when_live))
    assert Box(root).live() is None


def test_a_key_from_outside_cannot_replace_the_boxs_own(workshop: Workshop, box: Box) -> None:
    foreign = workshop.bundle("2.0.0", signer="stranger")
    with pytest.raises(SignatureError):
        install(foreign, box.root, QUICK)
    with pytest.raises(SignatureError, match="not one that this box was set up with"):
        install(foreign, box.root, replace(QUICK, trust=(workshop.trust("stranger"),)))
    assert live_version(box) == "1.0.0"


def test_this_machines_keys_do_not_count_on_a_box_with_keys_of_its_own(
    workshop: Workshop, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ULNA_TRUST", str(workshop.trust("stranger")))
    with pytest.raises(SignatureError):
        install(workshop.bundle("2.0.0", signer="stranger"), box.root, QUICK)


def test_the_same_command_with_its_key_works_for_updates_too(
    workshop: Workshop, box: Box, first: InstallOptions
) -> None:
    assert install(workshop.bundle("2.0.0"), box.root, first).changed


def test_without_any_key_nothing_is_installed(
    workshop: Workshop, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ULNA_TRUST", "")
    with pytest.raises(SignatureError):
        install(workshop.bundle("1.0.0"), root, QUICK)


def test_an_altered_source_is_refused_and_nothing_changes(
    workshop: Workshop, box: Box, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    shutil.copytree(workshop.bundle("2.0.0"), stick)
    model = stick / "models" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    before = contents(box.root)
    with pytest.raises(DigestMismatchError, match=r"model\.onnx"):
        install(stick, box.root, QUICK)
    assert contents(box.root) == before


def test_a_stick_that_changes_between_check_and_copy_is_refused(
    workshop: Workshop, box: Box, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    shutil.copytree(workshop.bundle("2.0.0"), stick)

    def swap(line: str) -> None:
        if line == "Copying":
            (stick / "models" / "model.onnx").write_bytes(b"another")

    with pytest.raises(BundleError):
        install(stick, box.root, replace(QUICK, say=swap))
    assert live_version(box) == "1.0.0"


def test_rollback_makes_the_former_bundle_live_and_again_the_newer(workshop: Workshop, box: Box) -> None:
    install(workshop.bundle("2.0.0"), box.root, QUICK)
    back = rollback(box.root, QUICK)
    assert (back.bundle, back.former, live_version(box)) == ("test 1.0.0", "test 2.0.0", "1.0.0")
    assert rollback(box.root, QUICK).bundle == "test 2.0.0"


def test_rollback_refuses_a_damaged_slot(workshop: Workshop, box: Box) -> None:
    install(workshop.bundle("2.0.0"), box.root, QUICK)
    (box.slot("a") / "models" / "model.onnx").write_bytes(b"rot")
    with pytest.raises(StoreError, match=r"slot a .* no sound bundle"):
        rollback(box.root, QUICK)
    assert live_version(box) == "2.0.0"


def test_rollback_refuses_a_slot_that_fails_its_self_test(workshop: Workshop, box: Box) -> None:
    install(workshop.bundle("2.0.0"), box.root, QUICK)
    with pytest.raises(BackendError, match="slot b stays live"):
        rollback(box.root, InstallOptions(probe=_always_fails))
    assert live_version(box) == "2.0.0"


def test_rollback_without_a_former_bundle_says_so(box: Box, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"slot b .* no sound bundle"):
        rollback(box.root, QUICK)
    with pytest.raises(StoreError, match="no box's folder"):
        rollback(tmp_path / "nowhere")


def test_a_damaged_live_slot_is_left_for_the_sound_one_before_anything_new_begins(
    workshop: Workshop, box: Box
) -> None:
    install(workshop.bundle("2.0.0"), box.root, QUICK)
    (box.slot("b") / "models" / "model.onnx").write_bytes(b"rot")
    with pytest.raises(BackendError, match="slot a stays live"):
        install(workshop.bundle("3.0.0", "golden"), box.root, QUICK)
    assert live_version(box) == "1.0.0"


def test_a_damaged_live_slot_is_mended_by_the_same_bundle(workshop: Workshop, box: Box) -> None:
    (box.slot("a") / "models" / "model.onnx").write_bytes(b"rot")
    assert install(workshop.bundle("1.0.0"), box.root, QUICK).slot == "b"
    assert probe(box.live_link, box.trusted).passed


@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema": 99}', b"\xff\xfe"])
def test_a_damaged_journal_does_not_stop_an_update(workshop: Workshop, box: Box, damage: bytes) -> None:
    box.journal_file.write_bytes(damage)
    assert status(box.root)[0].bundle == "test 1.0.0"
    assert install(workshop.bundle("2.0.0"), box.root, QUICK).changed


def test_a_link_that_ulna_did_not_make_is_not_touched(workshop: Workshop, box: Box) -> None:
    box.live_link.unlink()
    box.live_link.symlink_to("/etc")
    with pytest.raises(StoreError, match="expected slots/a or slots/b"):
        install(workshop.bundle("2.0.0"), box.root, QUICK)
    assert box.live_link.readlink() == Path("/etc")


def test_two_installations_cannot_interleave(workshop: Workshop, box: Box) -> None:
    with (
        durable.exclusive(box.root / ".lock"),
        pytest.raises(StoreError, match="another installation"),
    ):
        install(workshop.bundle("2.0.0"), box.root, QUICK)
    assert install(workshop.bundle("2.0.0"), box.root, QUICK).changed


def test_a_full_disk_in_the_middle_of_the_copy_leaves_the_box_as_it_was(workshop: Workshop, box: Box) -> None:
    before = contents(box.slot("a"))
    with _largest_file(2_000), pytest.raises(DiskFullError, match="no room") as caught:
        install(workshop.bundle("2.0.0"), box.root, QUICK)
    assert "nothing that was live has changed" in caught.value.hint
    assert live_version(box) == "1.0.0"
    assert contents(box.slot("a")) == before
    assert not box.incoming.exists()
    assert install(workshop.bundle("2.0.0"), box.root, QUICK).changed


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small disk")
def test_a_disk_too_small_for_the_bundle_is_said_before_anything_is_copied(
    workshop: Workshop, tmp_path: Path, first: InstallOptions
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], check=False)
    if mount.returncode != 0:
        pytest.skip("this container may not mount")
    try:
        with pytest.raises(DiskFullError, match="MB"):
            install(workshop.bundle("1.0.0"), disk / "box", first)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_check_says_what_would_happen_and_changes_nothing(
    workshop: Workshop, root: Path, first: InstallOptions
) -> None:
    assert check(workshop.bundle("1.0.0"), root, first).passed
    assert not check(workshop.bundle("1.0.0", "golden"), root, first).passed
    with pytest.raises(SignatureError):
        check(workshop.bundle("1.0.0", signer="stranger"), root, first)
    assert not root.exists()


def test_status_shows_both_slots_and_what_the_self_test_said(workshop: Workshop, box: Box) -> None:
    install(workshop.bundle("2.0.0"), box.root, QUICK)
    (box.slot("a") / "models" / "model.onnx").write_bytes(b"rot")
    former, live = status(box.root)
    assert (former.live, former.bundle, former.record) == (False, "", None)
    assert "model.onnx" in former.problem
    assert (live.live, live.bundle, live.problem) == (True, "test 2.0.0", "")
    assert live.record is not None
    assert live.record.passed


def test_status_of_a_folder_that_is_no_box_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no box's folder"):
        status(tmp_path)


def test_everything_is_flushed_before_live_is_switched(workshop: Workshop, box: Box, tmp_path: Path) -> None:
    """What a power cut would lose is what was not fsynced: every file and folder of the slot was."""
    trace = tmp_path / "trace.json"
    script = Path(__file__).with_name("flush_trace.py")
    command = [sys.executable, str(script), str(workshop.bundle("2.0.0")), str(box.root), str(trace)]
    subprocess.run(command, check=True, capture_output=True)
    flushed = set(json.loads(trace.read_text()))
    slot = box.slot("b")
    inodes = {path.stat().st_ino for path in (slot, *slot.rglob("*"), slot.parent)}
    assert inodes <= flushed


def _fails_when_live(bundle: Path, trust: Path, timeout_s: float) -> ProbeResult:
    result = quick_probe(bundle, trust, timeout_s)
    return result if bundle.name == ".incoming" else replace(result, passed=False, reason="bad sector")


def _always_fails(bundle: Path, trust: Path, timeout_s: float) -> ProbeResult:
    return ProbeResult(False, "", "no engine passes")


@contextmanager
def _largest_file(size_bytes: int) -> Iterator[None]:
    """Every write beyond this size fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("place", [".", "box", "models/box", "../again/box"])
def test_a_box_inside_the_bundle_is_refused_and_the_bundle_stays_whole(
    workshop: Workshop, tmp_path: Path, first: InstallOptions, place: str
) -> None:
    source = shutil.copytree(workshop.bundle("1.0.0"), tmp_path / "bundle")
    (tmp_path / "again").symlink_to(source)
    with pytest.raises(StoreError, match="in the folder of the bundle"):
        install(source, source / place, first)
    install(source, tmp_path / "box", first)


def test_a_strangers_bundle_is_not_answered_with_advice_that_the_box_would_ignore(
    workshop: Workshop, box: Box
) -> None:
    with pytest.raises(SignatureError, match="does not trust") as caught:
        install(workshop.bundle("2.0.0", signer="stranger"), box.root, QUICK)
    assert str(box.trusted) in caught.value.hint
    assert "keys trust" not in caught.value.hint


def test_a_broken_key_of_this_machine_does_not_stop_a_box_with_keys_of_its_own(
    workshop: Workshop, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("x")
    monkeypatch.setenv("ULNA_TRUST", str(broken))
    assert install(workshop.bundle("2.0.0"), box.root, QUICK).changed


def test_a_dangling_link_in_the_place_of_a_slot_is_replaced(workshop: Workshop, box: Box) -> None:
    box.slot("b").symlink_to("nowhere")
    install(workshop.bundle("2.0.0"), box.root, QUICK)
    assert live_version(box) == "2.0.0"
