"""Kill -9 at seeded points of taking a folder's pictures: none is lost and none is doubled."""

import hashlib
import os
import random
import signal

import pytest

from device_app import KioskConfig
from device_app.store import open_store, prepare_store
from tests.device_app.intake.folder_crash_child import INBOX, PICTURES, REFUSED, run, use_folder
from tests.device_app.killing import ended
from tests.device_app.store.crash_child import NEVER

KILL_POINTS = int(os.environ.get("ULNA_KILL_POINTS", "20"))
SEED = 20260102


@pytest.fixture(scope="module")
def spawn():
    def start(folder, kill_at):
        (folder / INBOX).mkdir(parents=True)
        for name, data in {**PICTURES, **REFUSED}.items():
            (folder / INBOX / name).write_bytes(data)
        return ended(run, folder, kill_at)

    return start


@pytest.fixture(scope="module")
def step_count(spawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert spawn(folder, NEVER) == 0
    return int((folder / "confirmed").read_text().split()[1])


def known(folder):
    config = KioskConfig(folder / "bundle", folder / "data", reserve_bytes=0)
    prepare_store(config)
    store = open_store(config)
    history = store.records.history(1, 100)
    digests = [image.sha256 for row in history.examinations for image in row.images]
    for sha256 in digests:
        store.files.read(sha256)
    store.close()
    return digests


def contents(folder):
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.stat().st_size]


def test_nothing_is_lost_or_doubled_wherever_it_is_killed(spawn, step_count, tmp_path):
    assert step_count > 60
    points = sorted(random.Random(SEED).sample(range(1, step_count + 1), min(KILL_POINTS, step_count)))
    for point in points:
        folder = tmp_path / str(point)
        assert spawn(folder, point) == -signal.SIGKILL, f"step {point} was never reached"
        taken = contents(folder / INBOX / "taken")
        assert {hashlib.sha256(data).hexdigest() for data in taken} <= set(known(folder)), "taken, not stored"
        check_nothing_lost(folder)
        use_folder(folder)
        check_done(folder)


def check_nothing_lost(folder):
    left = contents(folder / INBOX)
    for name, data in {**PICTURES, **REFUSED}.items():
        assert left.count(data) == 1, f"{name} is gone from the folder, or there twice"


def check_done(folder):
    check_nothing_lost(folder)
    expected = sorted(hashlib.sha256(data).hexdigest() for data in PICTURES.values())
    assert sorted(known(folder)) == expected, "lost or doubled"
    assert not [path for path in (folder / INBOX).iterdir() if path.is_file()]
    assert sorted(contents(folder / INBOX / "taken")) == sorted(PICTURES.values())
