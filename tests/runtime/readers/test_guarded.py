"""The reading process: what a hostile file does to it stays there, and the next file is read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from runtime.errors import InputError, UnreadableImageError, UnsupportedImageError
from runtime.radiograph import Radiograph
from runtime.readers import ReadLimits, answer, guarded, inside, read_bytes
from tests.runtime.readers.makers import dicom, encoded, plate, png_claiming

SOUND = encoded(".png", plate())
MOST_S, MOST_BYTES = 5.0, 512 << 20


@pytest.fixture(autouse=True)
def _a_zygote_of_its_own() -> Iterator[None]:
    yield
    assert np.array_equal(read_bytes(SOUND).pixels, plate()), "the next file is read"


def zygote() -> psutil.Process:
    """The one that read last."""
    read_bytes(SOUND)
    assert guarded._holder.zygote is not None
    return psutil.Process(guarded._holder.zygote._process.pid)


def test_what_comes_back_is_what_reading_here_gives() -> None:
    data = dicom(
        plate(bits=12), PatientAge="041Y", BodyPartExamined="HAND", WindowCenter="9", WindowWidth="4"
    )
    here, there = inside.read(data, "digest", ReadLimits()), guarded.read(data, ReadLimits())

    assert np.array_equal(here.pixels, there.pixels)
    assert (here.bit_depth, here.format, here.facts, here.warnings, here.colour_spread) == (
        (there.bit_depth, there.format, there.facts, there.warnings, there.colour_spread)
    )
    assert not there.pixels.flags.writeable


def test_a_refusal_comes_back_in_the_same_words() -> None:
    for data in (SOUND[:-20], b"%PDF-1.7", dicom(plate(bits=12), Modality="CT")):
        with pytest.raises(InputError) as here:
            inside.read(data, "", ReadLimits())
        with pytest.raises(InputError) as there:
            read_bytes(data)
        assert type(here.value) is type(there.value)
        assert (str(here.value), here.value.hint) == (str(there.value), there.value.hint)


def _many_items(count: int) -> bytes:
    """A sequence of so many empty items and no stated end, in a file that is otherwise sound."""
    whole = dicom(plate(bits=12))
    at = whole.index(b"\x08\x00\x60\x00CS")
    items = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * count
    end = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    return whole[:at] + b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + items + end + whole[at:]


def _nested(depth: int) -> bytes:
    whole = dicom(plate(bits=12))
    at = whole.index(b"\x08\x00\x60\x00CS")
    opening = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    return whole[:at] + opening * depth + closing * depth + whole[at:]


def _deflated_bomb() -> bytes:
    whole = dicom(plate(bits=12))
    head = whole[: whole.index(b"\x08\x00\x16\x00UI")]
    head = head.replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.1.99").replace(
        b"UI\x14\x001.2.840.10008.1.2.1.99", b"UI\x16\x001.2.840.10008.1.2.1.99"
    )
    packer = zlib.compressobj(9, wbits=-15)
    return head + b"".join(packer.compress(bytes(1 << 20)) for _ in range(2048)) + packer.flush()


def _progressive_scans() -> bytes:
    """A progressive JPEG whose last scan is repeated until the file is large."""
    whole = encoded(".jpg", plate(2000, 2000), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[scan:-2] * 400 + b"\xff\xd9"


@pytest.mark.parametrize(
    "make",
    [
        lambda: png_claiming(8000, 8000, bytes(1 << 20)),
        lambda: png_claiming(20_000, 3200, bytes((20_000 + 1) * 3200)),
        lambda: _many_items(3_000_000),
        lambda: _nested(300),
        lambda: _nested(20_000),
        _deflated_bomb,
        _progressive_scans,
        lambda: dicom(plate(bits=12), Rows=8000, Columns=8000),
    ],
    ids=["png-claims", "png-black", "items", "300-deep", "20000-deep", "deflate", "scans", "dicom-claims"],
)
def test_a_bomb_is_read_or_refused_soon_and_in_little_memory(make: object) -> None:
    data = make()  # type: ignore[operator]
    watched = zygote()
    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            for child in watched.children():
                try:
                    peak[0] = max(peak[0], child.memory_info().rss)
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        read_bytes(data)
    except InputError as error:
        assert error.hint
    finally:
        over.set()
        watcher.join()
    assert peak[0] < MOST_BYTES
    assert zygote() == watched, "the reading process lives on"


def test_a_file_that_computes_for_ever_is_ended_by_its_limit() -> None:
    with pytest.raises(UnreadableImageError, match="more than 1 s of computing"):
        read_bytes(_many_items(3_000_000), limits=ReadLimits(cpu_s=1, memory_bytes=2 << 30))


def test_a_file_that_needs_too_much_memory_is_told_so() -> None:
    with pytest.raises(UnsupportedImageError, match="more than 30 MiB of memory") as caught:
        read_bytes(encoded(".png", plate(5000, 5000)), limits=ReadLimits(memory_bytes=30 << 20))
    assert caught.value.hint


def test_a_reading_process_that_is_killed_is_replaced_and_the_file_read() -> None:
    before = zygote()
    before.kill()
    before.wait()

    assert np.array_equal(read_bytes(SOUND).pixels, plate())
    assert zygote().pid != before.pid


@pytest.mark.parametrize("how", ["kill", "suspend"])
def test_a_child_that_ends_or_hangs_before_its_picture_comes_says_nothing_against_that(how: str) -> None:
    waiting = waiting_child(zygote())
    getattr(waiting, how)()
    found = read_bytes(SOUND, limits=ReadLimits(cpu_s=1))
    assert np.array_equal(found.pixels, plate())
    assert not waiting.is_running() or waiting.status() == psutil.STATUS_ZOMBIE


def waiting_child(process: psutil.Process) -> psutil.Process:
    """The one made for the next picture, not the one that has just read."""
    deadline = time.monotonic() + 10
    before = process.children()
    while True:
        time.sleep(0.3)
        now = process.children()
        if now and now == before:
            return now[0]
        assert time.monotonic() < deadline
        before = now


def test_a_reading_process_that_hangs_is_ended_and_the_file_refused() -> None:
    stopped = zygote()
    stopped.suspend()
    started = time.monotonic()
    with pytest.raises(UnreadableImageError, match="gave no answer") as caught:
        read_bytes(SOUND, limits=ReadLimits(cpu_s=1))
    assert time.monotonic() - started < 60
    assert "technician" in caught.value.hint
    assert not psutil.pid_exists(stopped.pid)


def test_after_ctrl_c_the_next_picture_does_not_get_the_reply_to_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_bytes(SOUND)
    hear = guarded.Zygote._hear

    def interrupted(self: guarded.Zygote, within_s: float) -> bytes:
        monkeypatch.setattr(guarded.Zygote, "_hear", hear)
        raise KeyboardInterrupt

    monkeypatch.setattr(guarded.Zygote, "_hear", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_bytes(encoded(".png", plate(2000, 2000)))
    for seed in range(3):
        assert np.array_equal(read_bytes(encoded(".png", plate(seed=seed))).pixels, plate(seed=seed))


def test_a_dicom_file_has_as_much_memory_as_any_other_once_its_libraries_are_loaded() -> None:
    """What the libraries take is the reading process's own, not the picture's."""
    data = dicom(plate(3000, 3000, bits=12))
    limits = ReadLimits(memory_bytes=80 << 20)
    for _ in range(2):
        assert guarded.read(data, limits).height_px == 3000


_FORKING = """
import multiprocessing, sys
from runtime.readers import guarded, read_bytes
sound = open(sys.argv[1], "rb").read()
def read(_):
    assert read_bytes(sound).height_px == 160
    return guarded._holder.zygote._process.pid
ours = read(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    theirs = set(pool.map(read, range(8)))
assert ours not in theirs, (ours, theirs)
assert read(0) == ours
"""


def test_a_process_that_was_forked_reads_with_a_reading_process_of_its_own(tmp_path: Path) -> None:
    """In a process that has only one thread to fork from."""
    (tmp_path / "sound.png").write_bytes(SOUND)
    done = subprocess.run(
        [sys.executable, "-c", _FORKING, str(tmp_path / "sound.png")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_several_threads_read_one_after_the_other() -> None:
    found: list[bool] = []
    plates = [plate(seed=seed) for seed in range(8)]

    def read(seed: int) -> None:
        found.append(np.array_equal(read_bytes(encoded(".png", plates[seed])).pixels, plates[seed]))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_reading_process_outlives_the_one_that_started_it(how: signal.Signals) -> None:
    code = (
        "import sys, time; from runtime.readers import guarded; guarded.missing();"
        "print(guarded._holder.zygote._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        reader = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(how)
    reader.wait(timeout=20)


def test_the_reading_process_cannot_open_what_the_parent_can(tmp_path: Path) -> None:
    """Asked of the very process: where its root would be read, the kernel says no."""
    if guarded.missing():
        pytest.skip(f"this kernel cannot enforce {guarded.missing()}")
    status = (Path("/proc") / str(zygote().pid) / "status").read_text(encoding="utf-8")
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


def _said(**changes: object) -> bytes:
    radiograph = Radiograph(plate(4, 6).astype(np.uint16), 8, "digest")
    return json.dumps(json.loads(answer.of_picture(radiograph)) | changes).encode()


BESIDE = answer.Beside(np.zeros(24, np.uint16), np.ones(64, np.uint8))


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        _said(height_px=5),
        _said(height_px=-4),
        _said(height_px="4"),
        _said(bit_depth=40),
        _said(refused="none"),
        _said(verdict="no fracture"),
        _said(facts={"window": [1.0]}),
        _said(facts={"name": "x"}),
        _said(warnings=[{}]),
        _said(at=-2),
        _said(at=3),
        _said(at=18),
        _said(at=1 << 70),
        _said(at=0, height_px=0),
        _said(at="0"),
    ],
)
def test_nonsense_from_the_reading_process_is_a_refusal(words: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        answer.understand(words, BESIDE, "digest")


def test_no_bytes_at_all_are_a_file_that_is_no_image() -> None:
    reply = guarded.ask(b"", ReadLimits())
    with pytest.raises(UnreadableImageError, match="no image that Ulna knows"):
        guarded.judged(reply, ReadLimits())


def test_sense_is_believed_whether_the_pixels_came_apart_or_stand_in_the_file() -> None:
    assert answer.understand(_said(), BESIDE, "digest").pixels.max() == 0
    assert answer.understand(_said(at=16), BESIDE, "digest").pixels.min() == 0x0101


def test_reading_needs_no_standard_streams(tmp_path: Path) -> None:
    """As a service may be started: descriptors 0 to 2 are free for anything that is opened next."""
    code = "import os; os.closerange(0, 3); from runtime.readers import read_file; import pathlib, sys;" + (
        "sys.exit(0 if read_file(pathlib.Path(sys.argv[1])).height_px == 160 else 5)"
    )
    path = tmp_path / "sound.png"
    path.write_bytes(SOUND)
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=120)
    assert done.returncode == 0
