"""Kill -9 at seeded points of a mending: begun again it ends the same, and nothing is gone."""

import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from device_app import KioskConfig
from device_app.mend import condition, mend
from device_app.store import open_store, prepare_store
from device_app.store.copies import make_copy
from device_app.store.database import now_utc
from device_app.store.recover_source import Condition
from tests.device_app import broken
from tests.device_app.killing import ended
from tests.device_app.mend_crash_child import run
from tests.device_app.store.crash_child import NEVER

KILL_POINTS = int(os.environ.get("ULNA_KILL_POINTS", "16"))
SEED = 20260102
PICTURES, NEWER = 12, 4


def config_of(folder):
    return KioskConfig(folder / "bundle", folder / "data", reserve_bytes=0)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A copy of the first pictures, more of them since, and a header that is gone."""
    folder = tmp_path_factory.mktemp("damaged")
    config = config_of(folder)
    store = broken.filled(config, PICTURES)
    make_copy(broken.database(config.data_dir), now_utc(), 0)
    store.close()
    broken.spoil_header(broken.settled(broken.filled(config, NEWER, first=PICTURES), config.data_dir))
    return folder


def check(folder):
    config = config_of(folder)
    prepare_store(config)
    store = open_store(config)
    found = store.records.history(1, 99).examinations
    images = [image for one in found for image in one.images]
    assert len({image.sha256 for image in images}) == len(images) == PICTURES + NEWER
    for image in images:
        store.files.read(image.sha256)
    assert sum(bool(one.patient_label) for one in found) == PICTURES
    store.close()


def test_a_mending_that_was_killed_is_ended_by_the_next_one(damaged, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(damaged, whole)
    assert ended(run, whole, NEVER) == 0
    check(whole)
    steps = int((whole / "confirmed").read_text().split()[1])
    assert steps > 30
    spoilt = broken.database(damaged / "data").read_bytes()
    for point in sorted(random.Random(SEED).sample(range(1, steps + 1), min(KILL_POINTS, steps))):
        folder = tmp_path / str(point)
        shutil.copytree(damaged, folder)
        assert ended(run, folder, point) == -signal.SIGKILL, f"step {point} was never reached"
        kept_somewhere(folder / "data", spoilt)
        mend(folder / "data", "box")
        assert condition(folder / "data").condition is Condition.SOUND
        kept_somewhere(folder / "data", spoilt)
        check(folder)
        assert len([*(folder / "data" / "set-aside").glob("*/copies/*")]) == 1, "the copy is gone"


def kept_somewhere(data: Path, spoilt: bytes) -> None:
    places = [broken.database(data), *(data / "set-aside").glob("*/kiosk.sqlite3")]
    assert any(place.exists() and place.read_bytes() == spoilt for place in places)
