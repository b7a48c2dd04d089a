"""A damaged database is mended from what can be read, its last copy and the pictures; nothing is deleted."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.audit import faults
from device_app.mend import condition, mend
from device_app.settings import Settings
from device_app.store import DatabaseLostError, FolderHeldError, FolderLock, open_store, prepare_store
from device_app.store.copies import copies, make_copy
from device_app.store.database import now_utc
from device_app.store.models import JobState
from device_app.store.recover import SOURCE
from device_app.store.recover_source import Condition
from runtime.errors import StoreError, UlnaError
from tests.device_app import broken

PICTURES = 40


@pytest.fixture
def folder(config):
    return config.data_dir


def everything(config):
    """Started once more: all examinations, and the store, open."""
    prepare_store(config)
    store = open_store(config)
    return store, store.records.history(1, 1000).examinations


def check_whole(config, expected=PICTURES):
    store, found = everything(config)
    images = [image for one in found for image in one.images]
    assert len({image.sha256 for image in images}) == len(images) == expected
    for image in images:
        store.files.read(image.sha256)
        assert image.state is (JobState.DONE if image.findings_json else JobState.QUEUED)
    store.close()
    return found


@pytest.mark.parametrize("damage", broken.DAMAGES, ids=lambda damage: damage.__name__)
def test_every_picture_is_there_again_whatever_is_left_of_the_database(config, folder, damage):
    path = broken.settled(broken.filled(config), folder)
    damage(path)
    with pytest.raises(UlnaError):
        prepare_store(config)
    before = path.read_bytes() if path.exists() else None
    done = mend(folder, "box")
    check_whole(config)
    if before is not None:
        assert (done.aside / path.name).read_bytes() == before, "what was damaged is not kept"
    assert mend(folder, "box") is None


def test_what_can_still_be_read_is_kept_with_its_labels_and_answers(config, folder):
    path = broken.settled(broken.filled(config), folder)
    connection = broken.connection_of(folder)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'results'").fetchone()[0]
    connection.close()
    broken.overwrite(path, (root - 1) * broken.PAGE_BYTES, broken.PAGE_BYTES)
    done = mend(folder, "box")
    assert done.recovered.tables_damaged == ("results",) and done.recovered.found == 0
    found = check_whole(config)
    assert {one.patient_label for one in found} == {broken.label(number) for number in range(PICTURES)}
    assert done.recovered.queued == PICTURES, "pictures without an answer are read again"


def test_the_last_copy_fills_what_is_lost_and_only_what_is_newer_is_read_again(config, folder):
    store = broken.filled(config)
    make_copy(broken.database(folder), now_utc(), 0)
    store.close()
    path = broken.settled(broken.filled(config, pictures=6, first=PICTURES), folder)
    broken.spoil_header(path)
    done = mend(folder, "box")
    found = check_whole(config, PICTURES + 6)
    labels = {one.patient_label for one in found}
    assert labels == {broken.label(number) for number in range(PICTURES)} | {""}
    assert done.recovered.found == 6 and done.recovered.from_copy == done.recovered.rows
    assert not copies(folder), "a copy of the old numbers stays beside the new ones"
    assert (done.aside / "copies").is_dir()


def test_a_picture_whose_rows_are_lost_comes_back_at_its_address_as_the_log_says(config, folder):
    store = broken.filled(config)
    addresses = {
        image.sha256: one.public_id
        for one in store.records.history(1, 99).examinations
        for image in one.images
    }
    broken.settled(store, folder)
    connection = broken.connection_of(folder)
    for table in ("examinations", "images"):
        connection.execute(f"DELETE FROM {table}")
    connection.commit()
    connection.close()
    assert condition(folder).condition is Condition.DAMAGED, "rows without parents"
    done = mend(folder, "box")
    assert done.recovered.found == PICTURES and done.recovered.dropped > 0
    found = check_whole(config)
    assert {image.sha256: one.public_id for one in found for image in one.images} == addresses
    assert not any(one.patient_label for one in found), "a label that nobody can vouch for"
    store = open_store(config)
    with store.database.engine.connect() as connection:
        sources = set(connection.exec_driver_sql("SELECT source FROM examinations").scalars())
    store.close()
    assert sources == {SOURCE}


def test_no_answer_of_a_lost_picture_goes_to_another_that_gets_its_number(config, folder):
    broken.settled(broken.filled(config), folder)
    connection = broken.connection_of(folder)
    connection.execute("DELETE FROM images WHERE id > 10")
    connection.commit()
    connection.close()
    mend(folder, "box")
    for one in check_whole(config):
        for image in one.images:
            assert image.findings_json is None or image.sha256 in image.findings_json


def test_the_log_says_that_it_was_mended_and_shows_its_own_gaps(config, folder):
    broken.settled(broken.filled(config), folder)
    connection = broken.connection_of(folder)
    connection.execute("DELETE FROM audit WHERE number BETWEEN 5 AND 9")
    connection.execute("DELETE FROM jobs WHERE id = 1")
    connection.execute("DELETE FROM examinations WHERE id = 3")
    connection.commit()
    connection.close()
    mend(folder, "someone")
    store, _ = everything(config)
    last = store.log.page(1, 1).entries[0]
    assert (last.actor, last.action) == ("someone", "database_mended") and last.detail["rows"] > 0
    assert faults(store.log.written()) == ["entries 5 to 9 are missing"]
    store.close()


def test_people_and_settings_are_kept_and_nobody_stays_signed_in(config, folder):
    store = broken.filled(config, 4)
    people = People(store.database)
    ada = people.add("Ada", Role.ADMINISTRATOR, "574038", "box")
    people.sign_in(ada.public_id, "574038")
    Settings(store.database).change("box", clinic="Kilimani", sign_in_to_use=True)
    broken.settled(store, folder)
    connection = broken.connection_of(folder)
    connection.execute("DELETE FROM examinations WHERE id = 3")
    connection.commit()
    connection.close()
    mend(folder, "box")
    store, _ = everything(config)
    people = People(store.database)
    people.confirm(ada.public_id, "574038")
    assert Settings(store.database).now().clinic == "Kilimani"
    with store.database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sign_ins").scalar() == 0
    store.close()


def test_where_the_settings_are_lost_and_people_are_not_the_kiosk_asks_for_a_pin(config, folder):
    store = broken.filled(config, 4)
    People(store.database).add("Ada", Role.ADMINISTRATOR, "574038", "box")
    Settings(store.database).change("box", sign_in_to_use=True)
    path = broken.settled(store, folder)
    connection = broken.connection_of(folder)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'settings'").fetchone()[0]
    connection.close()
    broken.overwrite(path, (root - 1) * broken.PAGE_BYTES, broken.PAGE_BYTES)
    mend(folder, "box")
    store, _ = everything(config)
    assert Settings(store.database).now().sign_in_to_use
    store.close()


def test_a_newer_database_and_one_in_use_are_left_alone(config, folder):
    broken.settled(broken.filled(config, 2), folder)
    with FolderLock(folder), pytest.raises(FolderHeldError):
        mend(folder, "box")
    broken.make_newer(folder)
    before = broken.database(folder).read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        mend(folder, "box")
    assert broken.database(folder).read_bytes() == before


def test_a_lost_database_never_lets_a_start_sweep_the_pictures(config, folder):
    broken.settled(broken.filled(config, 3), folder)
    broken.database(folder).unlink()
    with pytest.raises(DatabaseLostError):
        prepare_store(config)
    assert len([*(folder / "images").glob("*/*")]) == 3


def test_what_was_mended_before_never_replaces_a_newer_database(config, folder):
    """Killed before the last step, then somebody put a sound database there and went on."""
    broken.settled(broken.filled(config, 3), folder)
    shutil.copy(broken.database(folder), folder / "kiosk.sqlite3.mended")
    broken.settled(broken.filled(config, 2, first=3), folder)
    assert not (folder / "kiosk.sqlite3.mended").exists()
    broken.spoil_header(broken.database(folder))
    mend(folder, "box")
    check_whole(config, 5)


def test_a_folder_without_anything_is_sound(config, folder):
    assert condition(folder).condition is Condition.SOUND
    assert mend(folder, "box") is None
    prepare_store(replace(config, reserve_bytes=0))
