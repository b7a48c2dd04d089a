"""Real worker processes, killed, stopped and starved; real pictures; nothing simulated."""

import os
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from device_app.answers import ScreenState, answer
from device_app.status import Phase
from device_app.store.database import DatabaseUnusableError
from device_app.store.models import Job, JobState
from device_app.store.queue import Queue
from device_app.supervisor import Supervisor
from tests.device_app import sample
from tests.device_app.conftest import overwrite_database, wait_until

LARGE_PX = (3600, 4600)
"""Width and height of a plate that keeps a worker busy long enough to be hit."""


@contextmanager
def supervised(config, store):
    supervisor = Supervisor(config, store.queue)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def only_image(store):
    return store.records.history(1, 1).examinations[0].images[0]


def shown(store):
    return answer(only_image(store))


@pytest.fixture(scope="module")
def large_picture():
    return sample.png(cv2.resize(sample.forearm(sample.FRACTURE, 1), LARGE_PX))


def hit_while_working(supervisor, store, number):
    """Send the worker a signal while it holds a picture; returns its process id."""
    wait_until(lambda: store.queue.counts().working and supervisor.status().pid)
    pid = supervisor.status().pid
    os.kill(pid, number)
    return pid


def test_a_worker_reads_what_waits_and_what_comes_later(config, store, receive):
    receive(sample.picture(sample.FRACTURE))
    with supervised(config, store) as supervisor:
        wait_until(lambda: store.queue.counts().waiting == store.queue.counts().working == 0)
        assert shown(store).state is ScreenState.FRACTURE
        status = supervisor.status()
        assert (status.phase, status.engine, status.bundle_name) == (Phase.READY, sample.KEY, "gap-finder")
        receive(sample.picture(sample.NONE))
        supervisor.wake()
        wait_until(lambda: shown(store).state is ScreenState.NONE)
        limits = Path(f"/proc/{status.pid}/limits").read_text()
        assert str(config.limits.memory_bytes) in limits
        assert os.getpriority(os.PRIO_PROCESS, status.pid) > os.getpriority(os.PRIO_PROCESS, 0)
    assert supervisor.status().phase is Phase.STOPPED
    assert not Path(f"/proc/{status.pid}").exists()


def test_a_killed_worker_is_replaced_and_its_picture_read(config, store, receive, large_picture):
    receive(large_picture)
    with supervised(config, store) as supervisor:
        killed = hit_while_working(supervisor, store, signal.SIGKILL)
        wait_until(lambda: only_image(store).state is JobState.DONE)
        assert shown(store).state is ScreenState.FRACTURE
        assert supervisor.status().restarts == 1 and supervisor.status().pid != killed


def count_of_open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


class LockedQueue(Queue):
    """One that cannot be written for a while, as when a copy takes too long."""

    locked = False

    def abandon(self, owner, failure, detail=""):
        self._look()
        return super().abandon(owner, failure, detail)

    def recover(self, owner=None):
        self._look()
        return super().recover(owner)

    def _look(self):
        if self.locked:
            raise DatabaseUnusableError("the box's database cannot be used: database is locked")


def test_a_picture_that_could_not_be_given_back_is_given_back_later_and_is_not_guilty(
    config, store, receive, large_picture
):
    receive(large_picture)
    queue = LockedQueue(store.database)
    with supervised(config, replace(store, queue=queue)) as supervisor:
        wait_until(lambda: store.queue.counts().working and supervisor.status().pid)
        queue.locked = True
        os.kill(supervisor.status().pid, signal.SIGKILL)
        wait_until(lambda: supervisor.status().phase is Phase.CANNOT_ANSWER)
        open_files = count_of_open_files()
        time.sleep(2 * config.limits.longest_pause_s)  # several starts that do not come to it
        assert "locked" in supervisor.status().reason and supervisor.status().pid is None
        assert only_image(store).state is JobState.WORKING
        assert count_of_open_files() <= open_files
        queue.locked = False
        wait_until(lambda: only_image(store).state is JobState.DONE)
        assert shown(store).state is ScreenState.FRACTURE
    with store.database.read() as session:
        assert session.query(Job).one().deaths == 0


def test_a_picture_that_kills_two_workers_is_cannot_read(config, store, receive, large_picture):
    receive(large_picture)
    with supervised(config, store) as supervisor:
        first = hit_while_working(supervisor, store, signal.SIGKILL)
        wait_until(lambda: supervisor.status().pid not in (None, first))
        hit_while_working(supervisor, store, signal.SIGSEGV)
        wait_until(lambda: only_image(store).state is JobState.FAILED)
        assert (shown(store).state, shown(store).reason) == (ScreenState.UNREADABLE, "died")
        receive(sample.picture(sample.NONE))  # and the kiosk goes on with the next patient
        supervisor.wake()
        wait_until(lambda: shown(store).state is ScreenState.NONE)


def test_a_hanging_worker_is_ended_and_its_picture_read_by_the_next(config, store, receive, large_picture):
    receive(large_picture)
    impatient = replace(config, limits=replace(config.limits, job_s=6.0))
    with supervised(impatient, store) as supervisor:
        stopped = hit_while_working(supervisor, store, signal.SIGSTOP)
        wait_until(lambda: only_image(store).state is JobState.DONE)
        assert shown(store).state is ScreenState.FRACTURE and not Path(f"/proc/{stopped}").exists()


def test_an_engine_that_fails_at_work_is_replaced_and_the_screens_say_so(
    config, store, receive, kiosk_keys, tmp_path
):
    fatal = sample.picture(sample.FRACTURE, seed=3)
    sample.make_bundle_that_fails_at(fatal, tmp_path / "two", kiosk_keys[0])
    with supervised(replace(config, bundle=tmp_path / "two"), store) as supervisor:
        wait_until(lambda: supervisor.status().phase is Phase.READY)
        assert supervisor.status().engine == sample.FASTER_KEY
        receive(fatal)
        supervisor.wake()
        wait_until(lambda: supervisor.status().engine == sample.KEY)
        assert shown(store).state is ScreenState.FRACTURE
        assert f"{sample.FASTER_KEY} is out of service: " in supervisor.status().engine_reason
        assert supervisor.status().restarts == 0


def test_an_idle_worker_that_hangs_is_replaced(config, store):
    impatient = replace(config, limits=replace(config.limits, silence_s=8.0))
    with supervised(impatient, store) as supervisor:
        wait_until(lambda: supervisor.status().phase is Phase.READY)
        pid = supervisor.status().pid
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: supervisor.status().phase is Phase.READY and supervisor.status().pid != pid)


def test_stopping_gives_the_picture_back_unharmed(config, store, receive, large_picture):
    receive(large_picture)
    with supervised(config, store) as supervisor:
        hit_while_working(supervisor, store, signal.SIGTERM)  # as systemd does to the whole group
    assert only_image(store).state in (JobState.QUEUED, JobState.DONE) and supervisor.status().restarts == 0


def broken_signature(bundle, _key):
    manifest = bundle / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"gap-finder", b"gap-fender"))


def missing_model(bundle, _key):
    (bundle / f"{sample.KEY}.onnx").unlink()


def failing_self_test(bundle, key):
    sample.make_bundle(bundle, key, wrong_golden=True)


@pytest.mark.parametrize("damage", [broken_signature, missing_model, failing_self_test])
def test_without_a_sound_bundle_nothing_is_answered_and_the_queue_stays(
    config, store, receive, kiosk_keys, tmp_path, damage
):
    bundle = tmp_path / "damaged"
    sample.make_bundle(bundle, kiosk_keys[0])
    damage(bundle, kiosk_keys[0])
    receive(sample.picture(sample.NONE))
    with supervised(replace(config, bundle=bundle), store) as supervisor:
        wait_until(lambda: supervisor.status().phase is Phase.CANNOT_ANSWER)
        assert supervisor.status().reason
        wait_until(lambda: supervisor.status().restarts >= 1)
        assert supervisor.status().phase is Phase.CANNOT_ANSWER
        assert shown(store).state is ScreenState.WORKING and store.queue.counts().waiting == 1
        sample.make_bundle(bundle, kiosk_keys[0])  # mended: the box comes back by itself
        wait_until(lambda: shown(store).state is ScreenState.NONE)
        assert supervisor.status().phase is Phase.READY and not supervisor.status().reason


def test_a_worker_that_cannot_get_its_memory_leaves_the_box_saying_so(config, store):
    starved = replace(config, limits=replace(config.limits, memory_bytes=48 << 20))
    with supervised(starved, store) as supervisor:
        wait_until(lambda: supervisor.status().phase is Phase.CANNOT_ANSWER)
        assert supervisor.status().reason


def test_a_worker_ends_when_its_supervisor_is_gone(config, store):
    with supervised(config, store) as supervisor:
        wait_until(lambda: supervisor.status().phase is Phase.READY)
        worker = supervisor._worker
        pid = worker.process.pid
        worker.process.stdin.close()
        time.sleep(0.1)
        wait_until(lambda: supervisor.status().pid != pid)
        assert not Path(f"/proc/{pid}").exists()


def test_a_damaged_database_is_never_called_ready_and_said_in_plain_words(config, store, receive):
    receive(sample.picture(sample.NONE))
    phases = []
    with supervised(config, store) as supervisor:
        wait_until(lambda: supervisor.status().phase is Phase.READY)
        overwrite_database(config, store)
        wait_until(lambda: supervisor.status().cannot_answer)
        for _ in range(400):  # several restarts
            phases.append(supervisor.status().phase)
            time.sleep(0.01)
        status = supervisor.status()
    assert set(phases) == {Phase.CANNOT_ANSWER}
    assert ("database" in status.reason or "kiosk.sqlite3" in status.reason) and "SELECT" not in status.reason
