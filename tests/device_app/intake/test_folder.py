"""The watched folder on a real disk, a real store: what is taken, what stays, what nobody may do to it."""

import errno
import os
import shutil
import socket
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from device_app.config import IntakePace
from device_app.intake.door import Door, Fate, Outcome
from device_app.intake.folder import WatchFolder, check_folder
from device_app.intake.sources import SourceKind, Trouble
from device_app.intake.tree import TreeLimits
from device_app.store import open_store, prepare_store
from device_app.store.records import Upload
from runtime.errors import InputError
from tests.device_app import sample
from tests.device_app.conftest import wait_until
from tests.device_app.intake.conftest import PACE
from tests.device_app.intake.disks import small_disk

needs_small_disk = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small disk"
)
NAME = "hand.png"


def picture(seed=0):
    return sample.picture(sample.NONE, seed)


def put(folder, name=NAME, data=None):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture() if data is None else data)
    return path


def look(watch, times=2):
    return [watch.once() for _ in range(times)][-1]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def state(sources):
    return sources.one(SourceKind.FOLDER)


@pytest.fixture
def taking(folder, watch, stored, sources):
    """All that most tests need."""
    return folder, watch, stored, sources


def test_a_picture_is_stored_and_then_moved_to_taken(folder, watch, store, stored, bell, sources):
    data = picture()
    put(folder)
    assert watch.once() and files(folder) == [NAME] and stored() == [], (
        "taken before it was known to be whole"
    )
    assert watch.once() and files(folder) == ["taken/hand.png"] and stored() == [NAME]
    assert (folder / "taken" / NAME).read_bytes() == data and bell.rung == 1
    (image,) = store.records.history(1, 1).examinations[0].images
    assert store.files.read(image.sha256) == data
    assert (state(sources).taken, state(sources).trouble) == (1, Trouble.NONE)


def test_the_log_says_that_the_box_took_it(folder, watch, store):
    put(folder)
    look(watch)
    (entry,) = store.log.page(1, 10).entries
    assert (entry.actor, entry.action) == ("box", "received") and NAME not in str(entry.detail)


def test_the_same_bytes_again_are_no_second_picture(folder, watch, stored, sources):
    put(folder)
    look(watch)
    put(folder)
    put(folder, "copy.png")
    look(watch)
    assert stored() == [NAME] and state(sources).known == 2
    assert files(folder) == ["taken/copy.png", "taken/hand (2).png", "taken/hand.png"]


def test_subfolders_are_looked_into_and_told_apart(folder, watch, stored):
    put(folder, "a/IMG1.png", picture(1))
    put(folder, "b/c/IMG1.png", picture(2))
    look(watch)
    assert stored() == ["IMG1.png", "IMG1.png"]
    assert files(folder) == ["taken/a - IMG1.png", "taken/b - c - IMG1.png"]


def test_a_file_that_is_still_growing_is_left_alone(folder, watch, stored):
    data = picture()
    path = put(folder, data=data[:1000])
    for end in range(2000, 8000, 1000):
        watch.once()
        path.write_bytes(data[:end])
    assert stored() == []
    path.write_bytes(data)
    look(watch)
    assert stored() == [NAME]


def test_a_file_that_is_replaced_while_it_is_read_is_not_taken_as_a_mixture(folder, store, sources, stored):
    put(folder)

    class Meddling(Door):
        def take(self, stream, upload):
            first = stream.read(100)
            (folder / NAME).write_bytes(b"\x89PNG\r\n\x1a\n" + b"other" * 50_000)
            assert first
            return super().take(stream, upload)

    watch = WatchFolder(folder, Meddling(store.records, lambda: None), sources, PACE)
    look(watch)
    assert stored() == [] and files(folder) == [NAME]
    assert not list(store.files.incoming.iterdir())


def test_a_file_that_grows_after_it_was_read_stays_and_is_taken_again(folder, store, sources, stored):
    whole = picture()
    put(folder, data=whole[:-10])

    class Slow(Door):
        def take(self, stream, upload):
            outcome = super().take(stream, upload)
            if (folder / NAME).stat().st_size < len(whole):
                (folder / NAME).write_bytes(whole)
            return outcome

    watch = WatchFolder(folder, Slow(store.records, lambda: None), sources, PACE)
    look(watch)
    assert files(folder) == [NAME], "what the box has not read was put away"
    look(watch, 2)
    assert stored() == [NAME, NAME] and files(folder) == [f"taken/{NAME}"]
    assert (folder / "taken" / NAME).read_bytes() == whole


def test_hidden_and_unfinished_files_are_left_alone(folder, watch, stored):
    left = [".a.png", "b.png.part", "c.tmp", ".d/e.png", "Thumbs.db"]
    for name in left:
        put(folder, name)
    look(watch, 3)
    assert stored() == [] and files(folder) == sorted(left)


def test_links_pipes_and_sockets_are_left_alone(folder, watch, stored, tmp_path, monkeypatch):
    outside = put(tmp_path / "outside", "secret.png")
    (folder / "link.png").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    os.mkfifo(folder / "pipe.png")
    monkeypatch.chdir(folder)  # the path of a socket may have 107 bytes, and a temporary folder is longer
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket.png")
        look(watch, 3)
    assert stored() == [] and outside.exists() and (folder / "link.png").is_symlink()


def test_a_folder_that_becomes_a_link_is_not_followed(folder, store, sources, stored, tmp_path):
    """Whoever may write into the folder must not make the box move files that lie elsewhere."""
    outside = put(tmp_path / "outside", NAME)
    put(folder, f"sub/{NAME}")
    swapped = []

    class Swapping(Door):
        def take(self, stream, upload):
            outcome = super().take(stream, upload)
            shutil.move(folder / "sub", tmp_path / "aside")
            (folder / "sub").symlink_to(outside.parent)
            swapped.append(True)
            return outcome

    watch = WatchFolder(folder, Swapping(store.records, lambda: None), sources, PACE)
    look(watch)
    assert swapped and stored() == [NAME] and outside.exists() and not (folder / "taken" / NAME).exists()
    assert state(sources).trouble is Trouble.STUCK


def test_taken_that_is_a_link_is_not_followed(folder, watch, sources, stored, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "taken").symlink_to(tmp_path / "elsewhere")
    put(folder)
    look(watch)
    assert stored() == [NAME] and files(folder) == [NAME] and not list((tmp_path / "elsewhere").iterdir())
    assert state(sources).trouble is Trouble.STUCK


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("letter.pdf", b"%PDF-1.7 " * 100, ["no picture of a kind that is read", "Export it as JPEG"]),
        (
            "page.html",
            b"<script>alert(1)</script>",
            ["no picture of a kind that is read", "Export it as JPEG"],
        ),
        ("large.png", b"\x89PNG\r\n\x1a\n" + bytes(65 << 20), ["larger than 64 MB", "Export it smaller"]),
    ],
)
def test_what_cannot_be_taken_is_moved_to_refused_with_the_reason(taking, name, data, why):
    folder, watch, stored, sources = taking
    put(folder, name, data)
    put(folder)
    look(watch)
    assert files(folder) == [f"refused/{name}", f"refused/{name}.txt", f"taken/{NAME}"]
    note = (folder / "refused" / f"{name}.txt").read_text()
    assert all(part in note for part in [*why, "What to do: ", "Nothing of it was stored"])
    assert stored() == [NAME] and (state(sources).refused, state(sources).taken) == (1, 1)


def mode_of(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.fixture
def closed_umask():
    """Of the unit that the box runs under."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    ("mode", "file_mode"), [(0o2775, 0o660), (0o770, 0o660), (0o700, 0o600), (0o570, 0o660)]
)
def test_shelves_and_notes_are_open_to_the_folders_group_and_to_us_and_to_nobody_else(
    folder, watch, closed_umask, monkeypatch, mode, file_mode
):
    folder.chmod(mode)
    put(folder, "letter.pdf", b"%PDF-1.7 " * 100)
    put(folder)
    refused = []
    whole = os.fchmod

    def restricted(descriptor, wanted):
        """As under RestrictSUIDSGID of the unit."""
        if wanted & 0o6000:
            refused.append(wanted)
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        whole(descriptor, wanted)

    monkeypatch.setattr(os, "fchmod", restricted)
    look(watch)
    assert not refused
    assert [mode_of(folder / shelf) for shelf in ("taken", "refused")] == [oct(mode & 0o770 | 0o700)] * 2
    assert mode_of(folder / "refused" / "letter.pdf.txt") == oct(file_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another group")
def test_shelves_and_notes_belong_to_the_group_of_the_folder(folder, watch, closed_umask):
    os.chown(folder, -1, 4321)
    put(folder, "letter.pdf", b"%PDF-1.7 " * 100)
    look(watch)
    made = [folder / "refused", folder / "refused" / "letter.pdf.txt"]
    assert [path.stat().st_gid for path in made] == [4321] * 2


def test_a_shelf_that_somebody_has_closed_stays_closed(folder, watch):
    folder.chmod(0o777)
    (folder / "taken").mkdir()
    (folder / "taken").chmod(0o700)
    put(folder)
    look(watch)
    assert files(folder) == [f"taken/{NAME}"] and mode_of(folder / "taken") == oct(0o700)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_that_is_replaced_while_it_is_moved_is_moved_back_and_read(
    folder, watch, stored, monkeypatch, in_place
):
    """What lies in `taken` has been read."""
    put(folder)
    whole, second = os.rename, picture(2)

    def late(name, *arguments, **named):
        monkeypatch.setattr(os, "rename", whole)
        if in_place:
            (folder / name).write_bytes(second)
        else:
            put(folder, ".new", second).replace(folder / name)
        whole(name, *arguments, **named)

    monkeypatch.setattr(os, "rename", late)
    look(watch)
    assert files(folder) == [NAME], "what the box has not read was put away"
    look(watch)
    assert stored() == [NAME, NAME] and files(folder) == [f"taken/{NAME}"]
    assert (folder / "taken" / NAME).read_bytes() == second


def test_an_empty_file_is_refused_after_a_while(folder, watch, stored):
    put(folder, "empty.png", b"")
    look(watch, 29)
    assert files(folder) == ["empty.png"]
    watch.once()
    assert files(folder) == ["refused/empty.png", "refused/empty.png.txt"] and stored() == []


@pytest.mark.parametrize(
    "name",
    [
        "two\nlines.png",
        "<b>bold</b>.png",
        "x" * 251 + ".png",
        "Ürün \u202egnp.exe.png",
        "%s%n.png",
        "-rf.png",
    ],
)
def test_odd_names_do_no_harm(folder, watch, stored, name):
    put(folder, name)
    look(watch)
    (shown,) = stored()
    assert "\n" not in shown and shown.isprintable()
    (kept,) = (folder / "taken").iterdir()
    assert kept.read_bytes() == picture() and os.fsencode(kept.name)


def test_a_name_that_is_no_utf8_does_no_harm(folder, watch, stored):
    (folder / os.fsdecode(b"\xff\xfe.png")).write_bytes(picture())
    look(watch)
    assert len(stored()) == 1 and len(list((folder / "taken").iterdir())) == 1


def test_a_full_queue_leaves_the_files_and_takes_them_when_there_is_room(
    folder, config, clock, sources, store, stored
):
    tight = open_store(replace(config, max_waiting=2))
    watch = WatchFolder(folder, Door(tight.records, lambda: None), sources, PACE, clock)
    for number in range(4):
        put(folder, f"{number}.png", picture(number))
    assert not look(watch) and state(sources).trouble is Trouble.QUEUE_FULL
    assert len(stored()) == 2 and len([name for name in files(folder) if "/" not in name]) == 2
    while (claim := store.queue.claim("here")) is not None:
        store.queue.fail(claim, "died")
    assert look(watch, 1) and len(stored()) == 4 and state(sources).trouble is Trouble.NONE
    tight.close()


def test_a_full_disk_leaves_the_files_and_says_so(folder, config, clock, sources, stored, store):
    full = open_store(replace(config, reserve_bytes=1 << 60))
    watch = WatchFolder(folder, Door(full.records, lambda: None), sources, PACE, clock)
    put(folder)
    assert not look(watch) and stored() == [] and files(folder) == [NAME]
    assert state(sources).trouble is Trouble.DISK_FULL
    full.close()


@needs_small_disk
def test_a_disk_that_is_really_full_loses_nothing(folder, config, clock, sources, tmp_path):
    """The store on a disk of 3 MB: pictures come until nothing fits, and all go in once there is room."""
    data = {f"{n}.png": b"\x89PNG\r\n\x1a\n" + os.urandom(400_000) for n in range(8)}
    for name, content in data.items():
        put(folder, name, content)
    with small_disk(tmp_path / "disk", megabytes=3) as disk:
        cramped = replace(config, data_dir=disk / "data")
        prepare_store(cramped)
        tight = open_store(cramped)
        watch = WatchFolder(folder, Door(tight.records, lambda: None), sources, PACE, clock)
        assert not look(watch) and state(sources).trouble is Trouble.DISK_FULL
        held = len(tight.records.known_digests())
        assert 0 < held < len(data)
        kept = {path.read_bytes() for path in folder.rglob("*.png")}
        assert kept == set(data.values()), "a picture is neither in the store nor in the folder"
        assert len(list((folder / "taken").iterdir())) == held
        tight.close()


def test_a_folder_that_is_away_is_said_and_found_again(folder, watch, sources, stored):
    put(folder)
    folder.rename(folder.with_name("unplugged"))
    assert not look(watch, 3) and state(sources).trouble is Trouble.AWAY
    folder.with_name("unplugged").rename(folder)
    assert look(watch) and stored() == [NAME] and state(sources).trouble is Trouble.NONE


def test_a_file_that_vanishes_between_two_steps_harms_nothing(folder, store, sources, stored):
    put(folder)
    put(folder, "other.png", picture(5))

    class Vanishing(Door):
        def take(self, stream, upload):
            (folder / NAME).unlink(missing_ok=True)
            return super().take(stream, upload)

    watch = WatchFolder(folder, Vanishing(store.records, lambda: None), sources, PACE)
    look(watch, 3)
    assert "other.png" in stored() and files(folder) == ["taken/other.png"]


def test_a_file_that_cannot_be_read_is_said_and_holds_nothing_up(folder, store, sources, clock, stored):
    put(folder)
    put(folder, "other.png", picture(5))

    class Failing(Door):
        """Its disk fails under one of the files."""

        def take(self, stream, upload):
            if upload.file_name == NAME and broken:
                with Path(os.devnull).open("w") as nothing:
                    os.dup2(nothing.fileno(), stream.descriptor)
            return super().take(stream, upload)

    broken = [True]
    watch = WatchFolder(folder, Failing(store.records, lambda: None), sources, PACE, clock)
    look(watch)
    assert stored() == ["other.png"] and files(folder) == [NAME, "taken/other.png"]
    assert (state(sources).trouble, state(sources).detail) == (Trouble.UNREADABLE, "1")
    broken.clear()
    assert look(watch, 1) and NAME in files(folder), "it was not left to rest"
    clock.now_s += PACE.longest_pause_s + 1
    assert look(watch, 1) and stored() == ["other.png", NAME] and state(sources).trouble is Trouble.NONE


def test_what_cannot_be_moved_is_handed_over_once(folder, store, sources, clock, stored):
    """A share that may only be read: each look would otherwise read every picture again."""
    handed = []

    class Counting(Door):
        def take(self, stream, upload):
            handed.append(upload)
            return super().take(stream, upload)

    (folder / "taken").write_text("a file where the folder should be")
    put(folder)
    watch = WatchFolder(folder, Counting(store.records, lambda: None), sources, PACE, clock)
    look(watch, 5)
    assert len(handed) == 1 and stored() == [NAME] and state(sources).trouble is Trouble.STUCK
    (folder / "taken").unlink()
    clock.now_s += PACE.longest_pause_s + 1
    assert look(watch, 2) and files(folder) == [f"taken/{NAME}"]
    assert len(handed) == 1 and state(sources).trouble is Trouble.NONE


def test_more_files_than_one_look_takes_note_of_are_all_taken_in_the_end(folder, watch, stored):
    watch.limits = TreeLimits(files=3)
    for number in range(8):
        put(folder, f"{number}.png", b"\x89PNG\r\n\x1a\n" + bytes([number]) * 50)
    for _ in range(8):
        watch.once()
    assert len(stored()) == 8


def test_a_deep_tree_ends_the_look_not_the_kiosk(folder, watch, sources, stored):
    put(folder, "/".join(["d"] * 60) + "/deep.png")
    put(folder)
    look(watch)
    assert stored() == [NAME] and state(sources).trouble is Trouble.TOO_MANY


def test_the_thread_takes_what_comes_and_outlives_a_fault(folder, store, sources, stored):
    class Faulty(Door):
        faults = 2

        def take(self, stream, upload: Upload):
            if self.faults:
                self.faults -= 1
                raise RuntimeError("a fault of ours")
            return super().take(stream, upload)

    watch = WatchFolder(folder, Faulty(store.records, lambda: None), sources, PACE)
    watch.start()
    put(folder)
    wait_until(lambda: stored() == [NAME])
    wait_until(lambda: state(sources).trouble is Trouble.NONE)
    watch.stop()


@pytest.mark.parametrize("inside", ["data/sub", ".", "data"])
def test_a_folder_that_holds_or_lies_in_the_data_folder_is_refused(tmp_path, inside):
    with pytest.raises(InputError, match="lie in each other"):
        check_folder(tmp_path / inside, tmp_path / "data")


SLOW = IntakePace(look_every_s=1.0, settled_s=4.0, refuse_after_s=20.0)


def test_a_writer_that_pauses_inside_a_picture_is_waited_for(folder, door, sources, clock, stored, store):
    watch, data = WatchFolder(folder, door, sources, SLOW, clock), picture()
    path = put(folder, data=data[: len(data) // 2])
    look(watch, 4)
    with path.open("ab") as file:
        file.write(data[len(data) // 2 :])
    look(watch, 4)
    assert stored() == [] and files(folder) == [NAME]
    watch.once()
    assert stored() == [NAME]
    (image,) = store.records.history(1, 1).examinations[0].images
    assert image.size_bytes == len(data)


def test_room_that_was_made_for_a_picture_is_no_refused_picture(folder, door, sources, clock, stored):
    watch, data = WatchFolder(folder, door, sources, SLOW, clock), picture()
    path = put(folder, data=bytes(len(data)))
    look(watch, 15)
    assert files(folder) == [NAME]
    path.write_bytes(data)
    look(watch, 5)
    assert stored() == [NAME] and state(sources).refused == 0


def test_what_stays_no_picture_is_refused_in_the_end(folder, door, sources, clock):
    watch = WatchFolder(folder, door, sources, SLOW, clock)
    put(folder, data=b"words" * 100)
    look(watch, 22)
    assert files(folder) == [f"refused/{NAME}", f"refused/{NAME}.txt"] and state(sources).refused == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_that_may_not_be_entered_is_said(folder, watch, stored, sources):
    closed = folder / "closed"
    put(closed)
    put(folder, "other.png", picture(5))
    closed.chmod(0)
    look(watch)
    closed.chmod(0o700)
    assert stored() == ["other.png"]
    assert (state(sources).trouble, state(sources).detail) == (Trouble.UNREADABLE, "1")


def test_a_folder_that_fails_is_said_and_holds_nothing_up(folder, watch, stored, sources, monkeypatch):
    put(folder / "failing")
    put(folder, "other.png", picture(5))
    whole = os.open

    def failing(path, flags, *arguments, **named):
        if path == "failing":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", failing)
    look(watch)
    assert stored() == ["other.png"]
    assert (state(sources).trouble, state(sources).detail) == (Trouble.UNREADABLE, "1")


def test_folders_that_have_long_been_empty_are_removed_and_fresh_ones_stay(folder, watch):
    for name in ("old", "fresh"):
        (folder / name / "series").mkdir(parents=True)
    put(folder / "held")
    yesterday = time.time() - 25 * 3600
    for path in (folder / "old" / "series", folder / "old", folder / "held"):
        os.utime(path, (yesterday, yesterday))
    watch.once()
    assert not (folder / "old" / "series").exists()
    assert (folder / "fresh" / "series").is_dir() and (folder / "held" / NAME).is_file()


def test_a_file_that_the_store_cannot_take_holds_up_no_other(folder, store, sources, clock, stored):
    class Failing(Door):
        """The place of one picture in the store cannot be written."""

        def take(self, stream, upload):
            if upload.file_name == NAME:
                return Outcome(Fate.LATER, trouble=Trouble.STORE)
            return super().take(stream, upload)

    put(folder)
    put(folder, "other.png", picture(5))
    os.utime(folder / NAME, (1, 1))  # the oldest comes first
    watch = WatchFolder(folder, Failing(store.records, lambda: None), sources, PACE, clock)
    look(watch)
    assert stored() == ["other.png"] and state(sources).trouble == Trouble.STORE
    assert (folder / NAME).is_file()
