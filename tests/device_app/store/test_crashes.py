"""Kill -9 at seeded points of start-up, intake, queue and result: nothing confirmed is lost or doubled."""

import hashlib
import json
import os
import random
import signal

import pytest

from device_app import KioskConfig
from device_app.store import open_store, prepare_store
from device_app.store.models import JobState
from tests.device_app.killing import ended
from tests.device_app.store.crash_child import DERIVED, NEVER, PICTURES, derived, run, use_store

KILL_POINTS = int(os.environ.get("ULNA_KILL_POINTS", "20"))
SEED = 20260101


def confirmed(folder):
    path = folder / "confirmed"
    lines = path.read_text().splitlines() if path.exists() else []
    return {
        kind: [line.split()[1] for line in lines if line.startswith(kind)]
        for kind in ("received", "answered", "steps")
    }


@pytest.fixture(scope="module")
def step_count(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert ended(run, folder, NEVER) == 0
    return int(confirmed(folder)["steps"][0])


def points(step_count):
    return sorted(random.Random(SEED).sample(range(1, step_count + 1), min(KILL_POINTS, step_count)))


def test_nothing_confirmed_is_lost_or_doubled(step_count, tmp_path):
    assert step_count > 60
    for point in points(step_count):
        folder = tmp_path / str(point)
        folder.mkdir()
        assert ended(run, folder, point) == -signal.SIGKILL, f"step {point} was never reached"
        told = confirmed(folder)
        check_confirmed(folder, told)
        use_store(folder)  # the same pictures are sent again
        check_store(folder)


def check_confirmed(folder, told):
    """The power is back: what was said to be stored is there before anything is sent again."""
    config = KioskConfig(folder / "bundle", folder / "data")
    prepare_store(config)
    store = open_store(config)
    for sha256 in store.records.known_digests():
        store.files.read(sha256)  # no row speaks of bytes that are not there, confirmed or not
    for public_id in told["received"]:
        examination = store.records.examination(public_id)
        assert examination.images or examination.joined_into
    for image in (image for one in store.records.history(1, 100).examinations for image in one.images):
        assert hashlib.sha256(store.files.read(image.sha256)).hexdigest() == image.sha256
        done = image.state is JobState.DONE
        assert done == (image.findings_json is not None) and (done or image.state is JobState.QUEUED)
        assert done or image.sha256 not in told["answered"], "a confirmed result is gone"
        for kind in DERIVED:
            path = store.files.derived_path(image.sha256, kind)
            whole = not path.exists() or path.read_bytes() == derived(kind, image.sha256)
            assert whole and (path.exists() or not done), f"half of {kind}, or an answer without it"
    store.close()


def check_store(folder):
    store = open_store(KioskConfig(folder / "bundle", folder / "data"))
    history = store.records.history(1, 100)
    digests = {hashlib.sha256(data).hexdigest() for data in PICTURES}
    images = [image for row in history.examinations for image in row.images]
    assert [len(row.images) for row in history.examinations] == [2, 2]
    assert all(row.patient_label == "P 1" for row in history.examinations)
    assert sorted(image.sha256 for image in images) == sorted(digests), "lost or doubled"
    for image in images:
        assert image.state is JobState.DONE and json.loads(image.findings_json) == image.sha256
        store.files.read(image.sha256)
        for kind in DERIVED:
            path = store.files.derived_path(image.sha256, kind)
            assert path.read_bytes() == derived(kind, image.sha256)
    answered = confirmed(folder)["answered"]
    assert len(answered) == len(set(answered)), "a result was confirmed twice"
    assert not list(store.files.incoming.iterdir())
    assert len(list((folder / "data" / "images").glob("*/*"))) == len(PICTURES)
    store.close()
