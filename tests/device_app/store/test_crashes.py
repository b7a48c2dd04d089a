"""Kill -9 at seeded points of migration, start-up, intake, queue, result, reading and removal.

Nothing confirmed is lost or doubled, on a new box and on one whose database is of the first version.
"""

import hashlib
import json
import os
import random
import signal

import pytest

from device_app import KioskConfig
from device_app.audit import faults
from device_app.readings import Kind
from device_app.store import open_store, prepare_store
from device_app.store.models import JobState
from tests.device_app.killing import ended
from tests.device_app.store import old_box
from tests.device_app.store.crash_child import DERIVED, NEVER, PICTURES, READER, derived, run, use_store

KILL_POINTS = int(os.environ.get("ULNA_KILL_POINTS", "20"))
SEED = 20260101


def confirmed(folder):
    path = folder / "confirmed"
    lines = path.read_text().splitlines() if path.exists() else []
    kinds = ("received", "answered", "judged", "removed", "steps")
    return {kind: [line.split()[1] for line in lines if line.startswith(kind)] for kind in kinds}


@pytest.fixture(scope="module", params=["new box", "old box"])
def start(request):
    """Makes the folder in which a box is switched on."""
    return old_box.make if request.param == "old box" else lambda folder: None


@pytest.fixture(scope="module")
def step_count(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    start(folder)
    assert ended(run, folder, NEVER) == 0
    return int(confirmed(folder)["steps"][0])


def points(step_count):
    return sorted(random.Random(SEED).sample(range(1, step_count + 1), min(KILL_POINTS, step_count)))


def test_nothing_confirmed_is_lost_or_doubled(start, step_count, tmp_path):
    assert step_count > 200
    for point in points(step_count):
        folder = tmp_path / str(point)
        folder.mkdir()
        start(folder)
        assert ended(run, folder, point) == -signal.SIGKILL, f"step {point} was never reached"
        check_confirmed(folder, confirmed(folder), start is old_box.make)
        use_store(folder)  # the same pictures are sent again
        check_store(folder, start is old_box.make)


def opened(folder):
    config = KioskConfig(folder / "bundle", folder / "data")
    prepare_store(config)
    return open_store(config)


def check_confirmed(folder, told, old):
    """The power is back: what was said to be stored is there before anything is sent again."""
    store = opened(folder)
    for sha256 in store.records.known_digests():
        store.files.read(sha256)  # no row speaks of bytes that are not there, confirmed or not
    for public_id in told["received"] + ["old"] * old:
        examination = store.records.examination(public_id)
        assert examination.images or examination.joined_into
    for image in all_images(store):
        check_image(store, image, told["answered"])
    for public_id in told["judged"]:
        assert [said.actor for said in store.readings.of(public_id)] == [READER]
    gone = [image.sha256 for image in all_images(store) if image.removed_utc is not None]
    assert set(told["removed"]) <= set(gone)
    store.close()


def all_images(store):
    return [image for one in store.records.history(1, 100).examinations for image in one.images]


def check_image(store, image, answered):
    if image.removed_utc is not None:
        assert image.state is JobState.DONE and not store.files.path(image.sha256).exists()
        return
    assert hashlib.sha256(store.files.read(image.sha256)).hexdigest() == image.sha256
    done = image.state is JobState.DONE
    assert done == (image.findings_json is not None) and (done or image.state is JobState.QUEUED)
    assert done or image.sha256 not in answered, "a confirmed result is gone"
    for kind in DERIVED:
        path = store.files.derived_path(image.sha256, kind)
        whole = not path.exists() or path.read_bytes() == derived(kind, image.sha256)
        needed = done and image.sha256 != old_box.digest(old_box.ANSWERED)  # the first version made none
        assert whole and (path.exists() or not needed), f"half of {kind}, or an answer without it"


def check_store(folder, old):
    store = opened(folder)
    history = store.records.history(1, 100).examinations
    assert [len(row.images) for row in history] == [2, 2] + [2] * old
    assert [row.patient_label for row in history] == ["P 1", "P 1"] + ["P 0"] * old
    sent = PICTURES + old_box.PICTURES * old
    images = all_images(store)
    assert sorted(image.sha256 for image in images) == sorted(map(old_box.digest, sent)), "lost or doubled"
    for image in images:
        assert image.state is JobState.DONE and json.loads(image.findings_json) == image.sha256
        check_image(store, image, [image.sha256])
    for row in history:
        assert [said.kind for said in store.readings.of(row.public_id)] == [Kind.OWN], "lost or doubled"
    answered = confirmed(folder)["answered"]
    assert len(answered) == len(set(answered)), "a result was confirmed twice"
    assert faults(store.log.written()) == []
    assert not list(store.files.incoming.iterdir())
    assert len(list((folder / "data" / "images").glob("*/*"))) == len(sent) - old
    assert not list((folder / "data").glob("*.new*"))
    store.close()
