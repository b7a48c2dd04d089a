"""Kill -9 of the receiver, and of the kiosk behind it, at seeded points: what was answered with success is
there, what was not is sent again, and nothing is doubled.
"""

import os
import random
import signal
from pathlib import Path

import pytest

from device_app import KioskConfig
from device_app.config import DicomOptions
from device_app.intake.dicom import DicomReceiver
from device_app.intake.door import Door
from device_app.intake.sources import Sources
from device_app.store import open_store, prepare_store
from tests.device_app.conftest import wait_until
from tests.device_app.intake.conftest import PACE
from tests.device_app.intake.dicom_crash_child import ENOUGH, LISTENS, run
from tests.device_app.intake.senders import Line, image, send
from tests.device_app.killing import forked
from tests.device_app.store.crash_child import NEVER

KILL_POINTS = int(os.environ.get("ULNA_KILL_POINTS", "20"))
SEED = 20260103
HERE = DicomOptions(0, host="127.0.0.1")
MIB = 1 << 20
STORED = 0
PICTURES = 3


def images(first, count=PICTURES):
    return [image(first + number) for number in range(count)]


def stored_uids(store):
    """Of every picture, once for each time that it is there; their bytes are read and checked."""
    found = [one for row in store.records.history(1, 10_000).examinations for one in row.images]
    for one in found:
        store.files.read(one.sha256)
    return sorted(one.file_name.removesuffix(".dcm") for one in found)


def uids(sent):
    return sorted(str(one.SOPInstanceUID) for one in sent)


def points(most):
    return sorted(random.Random(SEED).sample(range(1, most + 1), min(KILL_POINTS, most)))


def test_a_receiver_killed_anywhere_in_an_association_loses_and_doubles_nothing(store):
    receiver = DicomReceiver(HERE, MIB, Door(store.records, lambda: None), Sources(), PACE)
    receiver.start()
    wait_until(lambda: receiver.pid)
    whole = Line(receiver.port, -1, lambda: None)
    assert send(whole.port, images(0)) == [STORED] * PICTURES
    whole.close()
    sent = images(0)
    for point in points(whole.sent_bytes):
        pid, fresh = receiver.pid, images(len(sent))
        line = Line(receiver.port, point, lambda pid=pid: os.kill(pid, signal.SIGKILL))
        statuses = send(line.port, fresh)
        line.close()
        told = [one for one, status in zip(fresh, statuses, strict=True) if status == STORED]
        assert set(uids(told)) <= set(stored_uids(store)), f"confirmed and lost, killed at byte {point}"
        wait_until(lambda pid=pid: receiver.pid not in (None, pid))
        assert send(receiver.port, fresh) == [STORED] * PICTURES
        sent += fresh
        assert stored_uids(store) == uids(sent), f"lost or doubled, killed at byte {point}"
    receiver.stop()


@pytest.fixture(scope="module")
def spawn():
    """A kiosk's process, forked from a small server, with three pictures sent to it; what was answered."""

    def start(folder, kill_at):
        process = forked(run, folder, kill_at)
        wait_until(lambda: (folder / LISTENS).exists() or process.exitcode is not None)
        port, pid = map(int, (folder / LISTENS).read_text().split())
        statuses = send(port, images(0))
        (folder / ENOUGH).touch()
        process.join(60)
        wait_until(lambda: not Path(f"/proc/{pid}").exists() or is_dead(pid))
        return process.exitcode, statuses

    return start


def is_dead(pid):
    """A process that nobody waits for stays in the list."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", maxsplit=1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(scope="module")
def step_count(spawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert spawn(folder, NEVER) == (0, [STORED] * PICTURES)
    return int((folder / "confirmed").read_text().split()[1])


def test_a_kiosk_killed_anywhere_while_it_stores_loses_and_doubles_nothing(spawn, step_count, tmp_path):
    assert step_count > 20
    for point in points(step_count):
        folder = tmp_path / str(point)
        folder.mkdir()
        code, statuses = spawn(folder, point)
        assert code == -signal.SIGKILL, f"step {point} was never reached"
        config = KioskConfig(folder / "bundle", folder / "data", reserve_bytes=0)
        prepare_store(config)
        store = open_store(config)
        told = [one for one, status in zip(images(0), statuses, strict=True) if status == STORED]
        assert set(uids(told)) <= set(stored_uids(store)), f"confirmed and lost, killed at step {point}"
        receiver = DicomReceiver(HERE, MIB, Door(store.records, lambda: None), Sources(), PACE)
        receiver.start()
        assert send(receiver.port, images(0)) == [STORED] * PICTURES
        receiver.stop()
        assert stored_uids(store) == uids(images(0)), f"lost or doubled, killed at step {point}"
        assert not list(store.files.incoming.iterdir())
        store.close()
