"""Kill -9 at seeded points of taking in: a picture is aside, or stored, or both, and the next run ends it."""

import hashlib
import os
import random
import shutil
import signal

import pytest

from device_app.audit import faults
from device_app.store import open_store, prepare_store
from device_app.store.aside import Bounds, take_in
from tests.device_app.killing import ended
from tests.device_app.putting_back import put_back, receive
from tests.device_app.store.aside_crash_child import config_of, run
from tests.device_app.store.crash_child import NEVER

KILL_POINTS = int(os.environ.get("ULNA_KILL_POINTS", "20"))
SEED = 20260103
KEPT, SENT_AGAIN, LOST = b"kept" * 999, b"sent again" * 999, (b"lost 1" * 999, b"lost 2" * 999)
DIGESTS = sorted(hashlib.sha256(data).hexdigest() for data in (KEPT, SENT_AGAIN, *LOST))


@pytest.fixture(scope="module")
def old_database(tmp_path_factory):
    """Three lie aside; one of them has been sent again."""
    folder = tmp_path_factory.mktemp("old")
    put_back(config_of(folder), [KEPT], [SENT_AGAIN, *LOST])
    store = open_store(config_of(folder))
    receive(store, SENT_AGAIN)
    store.close()
    return folder


def images(store):
    return [image for one in store.records.history(1, 99).examinations for image in one.images]


def check_nothing_is_lost(store):
    """Before anything is done about it: every row has its bytes, and what has no row lies somewhere."""
    stored = {image.sha256 for image in images(store)}
    for sha256 in stored:
        store.files.read(sha256)
    here = {path.name: path for path in store.files.aside()}
    assert stored | here.keys() == set(DIGESTS)
    for sha256 in set(DIGESTS) - stored:
        assert hashlib.sha256(here[sha256].read_bytes()).hexdigest() == sha256


def check_whole(store):
    assert sorted(image.sha256 for image in images(store)) == DIGESTS, "lost or doubled"
    assert store.queue.counts().waiting == len(DIGESTS) and not store.files.aside()
    assert not list(store.files.incoming.iterdir()) and not faults(store.log.written())


@pytest.mark.parametrize("started", [True, False], ids=["box started between", "run again at once"])
def test_what_was_killed_is_ended_by_the_next_run(old_database, tmp_path, started):
    whole = tmp_path / "whole"
    shutil.copytree(old_database, whole)
    assert ended(run, whole, NEVER) == 0
    steps = int((whole / "confirmed").read_text().split()[1])
    assert steps > 50
    for point in sorted(random.Random(SEED).sample(range(1, steps + 1), min(KILL_POINTS, steps))):
        folder = tmp_path / str(point)
        shutil.copytree(old_database, folder)
        assert ended(run, folder, point) == -signal.SIGKILL, f"step {point} was never reached"
        store = open_store(config_of(folder))
        check_nothing_is_lost(store)
        if started:
            prepare_store(config_of(folder))
            check_nothing_is_lost(store)
        take_in(store, "box", Bounds.of(500))
        prepare_store(config_of(folder))
        check_whole(store)
        store.close()
        shutil.rmtree(folder)
