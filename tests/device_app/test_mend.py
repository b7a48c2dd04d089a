"""A damaged database is mended from what can be read, its last copy and the pictures; nothing is deleted."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from device_app import KioskConfig
from device_app.access.people import People
from device_app.access.roles import Role
from device_app.audit import faults
from device_app.cli import app
from device_app.mend import condition, mend
from device_app.readings import Draft, Judgement, Kind, Place
from device_app.settings import Settings
from device_app.store import DatabaseLostError, FolderHeldError, FolderLock, open_store, prepare_store
from device_app.store.consent import Consents
from device_app.store.copies import copies, make_copy
from device_app.store.database import now_utc
from device_app.store.models import JobState
from device_app.store.records import Upload
from device_app.store.recover_source import Condition
from device_app.store.removal import Removal
from device_app.store.sources import RECOVERED
from runtime.errors import DiskFullError, InputError, StoreError, UlnaError
from tests.device_app import broken
from tests.device_app.store import old_box

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
    assert sources == {RECOVERED}


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


def test_nothing_said_of_a_lost_picture_stands_at_another_that_gets_a_row(config, folder):
    prepare_store(config)
    store = open_store(config)
    for number in range(3):
        receipt = store.records.receive(io.BytesIO(b"picture %d" % number), Upload("a.png"))
        os.utime(
            store.files.path(store.records.holder(receipt.public_id).images[0].sha256), (9 - number,) * 2
        )
        [image] = store.records.holder(receipt.public_id).images
        draft = Draft(Kind.SECOND, Judgement.FRACTURE, (Place(image.id, 1, 1, 2, 2),))
        store.readings.add(receipt.public_id, draft, "p", lambda _: "none")
    broken.settled(store, folder)
    change(folder, "DELETE FROM images")
    mend(folder, "box")
    store, found = everything(config)
    said = store.readings.all()
    named = {number for one in said for number in (*one.image_ids, *(place.image_id for place in one.places))}
    assert len(said) == 3 and named.isdisjoint(image.id for one in found for image in one.images)
    store.close()


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


@pytest.mark.parametrize(
    ("said", "expected"), [("database or disk is full", DiskFullError), ("disk I/O error", StoreError)]
)
def test_a_disk_that_refuses_while_it_is_mended_is_said_and_costs_nothing(
    config, folder, monkeypatch, said, expected
):
    path = broken.settled(broken.filled(config, 4), folder)
    broken.spoil_header(path)
    before = path.read_bytes()

    def refuse(_path):
        raise sqlite3.OperationalError(said)

    with monkeypatch.context() as patch, pytest.raises(expected):
        patch.setattr("device_app.store.recover._fold", refuse)
        mend(folder, "box")
    assert path.read_bytes() == before
    mend(folder, "box")
    check_whole(config, 4)


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


def spoil(folder, tables):
    """Of the database some tables, or, with none named, all of it."""
    if tables:
        spoil_table(folder, *tables)
    else:
        broken.spoil_header(broken.database(folder))


def spoil_table(folder, *names):
    """Its first page, so that none of its rows can be read."""
    connection = broken.connection_of(folder)
    wanted = "SELECT rootpage FROM sqlite_master WHERE name = ? AND type = 'table'"
    roots = [connection.execute(wanted, (name,)).fetchone()[0] for name in names]
    connection.close()
    for root in roots:
        broken.overwrite(broken.database(folder), (root - 1) * broken.PAGE_BYTES, broken.PAGE_BYTES)


def change(folder, *statements):
    """Past every rule, as a bit that flips does."""
    connection = broken.connection_of(folder)
    connection.execute("PRAGMA ignore_check_constraints=ON")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def copied(config, since):
    """A box whose copy was made before `since` was done to its store; closed."""
    store = broken.filled(config, 4)
    people, settings = People(store.database), Settings(store.database)
    ada = people.add("Ada", Role.ADMINISTRATOR, "574038", "box")
    people.add("Zoe", Role.ADMINISTRATOR, "903152", "box")
    for one in store.records.history(1, 9).examinations:
        Consents(store.database).give(one.public_id, ada.public_id)
    settings.change("box", clinic="Kilimani")
    make_copy(broken.database(config.data_dir), now_utc(), 0)
    since(store, people)
    broken.settled(store, config.data_dir)


def named(people, name):
    return next(one for one in people.all() if one.name == name)


def consented(store):
    return {one.public_id for one in store.records.history(1, 9).examinations if one.consent_utc}


def test_a_consent_that_was_taken_back_since_the_copy_does_not_come_back(config, folder):
    taken_back = []

    def since(store, _people):
        taken_back.append(store.records.history(1, 1).examinations[0].public_id)
        Consents(store.database).withdraw(taken_back[0], "box")

    copied(config, since)
    spoil_table(folder, "examinations")
    mend(folder, "box")
    store, found = everything(config)
    assert consented(store) == {one.public_id for one in found} - {*taken_back} and len(found) == 4
    store.close()


def test_a_consent_to_the_views_that_there_were_is_none_to_another(config, folder):
    grown = []

    def since(store, _people):
        grown.append(store.records.history(1, 1).examinations[0].public_id)
        store.records.receive(io.BytesIO(b"another view"), Upload("b.png", examination=grown[0]))

    copied(config, since)
    spoil_table(folder, "examinations")
    mend(folder, "box")
    store, found = everything(config)
    assert consented(store) == {one.public_id for one in found} - {*grown}
    store.close()


@pytest.mark.parametrize("lost", [("audit", "examinations"), ()], ids=["log", "everything"])
def test_a_consent_that_only_a_copy_has_is_none_where_the_log_is_not_whole(config, folder, lost):
    copied(config, lambda _store, _people: None)
    spoil(folder, lost)
    mend(folder, "box")
    store, found = everything(config)
    assert consented(store) == set() and len(found) == 4
    store.close()


def test_a_consent_that_the_present_database_still_has_stays(config, folder):
    copied(config, lambda _store, _people: None)
    spoil_table(folder, "audit")
    mend(folder, "box")
    store, found = everything(config)
    assert consented(store) == {one.public_id for one in found}
    store.close()


def test_somebody_who_was_let_go_since_the_copy_stays_so_and_an_old_pin_is_none(config, folder):
    def since(store, people):
        people.set_active(named(people, "Zoe").public_id, False, "box")
        people.set_pin(named(people, "Ada").public_id, "630274", "box")

    copied(config, since)
    spoil_table(folder, "people")
    mend(folder, "box")
    store, _ = everything(config)
    people = People(store.database)
    assert [one.name for one in people.active()] == ["Ada"] and people.has_administrator()
    for pin in ("574038", "630274"):
        with pytest.raises(InputError):
            people.confirm(named(people, "Ada").public_id, pin)
    store.close()
    given = CliRunner().invoke(app, ["people", "pin", "Ada", "--data", str(folder), "--pin", "630274"])
    assert given.exit_code == 0


def test_an_administrator_can_be_given_a_pin_even_where_the_log_lets_every_one_go(config, folder):
    def since(store, people):
        people.add("Mina", Role.ADMINISTRATOR, "274630", "box")
        people.set_role(named(people, "Ada").public_id, Role.READER, "box")
        people.set_active(named(people, "Zoe").public_id, False, "box")

    copied(config, since)
    spoil_table(folder, "people")
    mend(folder, "box")
    store, _ = everything(config)
    people = People(store.database)
    assert people.has_administrator()
    with pytest.raises(InputError):
        people.confirm(named(people, "Zoe").public_id, "903152")
    store.close()


def test_a_picture_that_was_removed_since_the_copy_stays_removed(config, folder):
    removed = []

    def since(store, _people):
        image = store.records.history(1, 9).examinations[-1].images[0]
        removed.append(image.sha256)
        assert Removal(store.database, store.files).remove([image.id], now_utc()) == 1

    copied(config, since)
    spoil_table(folder, "examinations", "images")
    mend(folder, "box")
    store, found = everything(config)
    gone = [one for one in found for image in one.images if image.removed_utc]
    assert [one.images[0].sha256 for one in gone] == removed
    assert [one.patient_label for one in gone] == [""] and len(found) == 4
    store.close()


@pytest.mark.parametrize(
    "lost",
    [("readings",), ("examinations",), ("results",), ("readings", "images", "results", "examinations")],
    ids=" ".join,
)
def test_nothing_said_of_a_removed_patient_comes_back_from_a_copy(config, folder, lost):
    store = broken.filled(config, 2)
    one = store.records.history(1, 9).examinations[-1]
    draft = Draft(Kind.SECOND, Judgement.NONE, note="asked Dr Otieno")
    store.readings.add(one.public_id, draft, "p1", lambda _: "none")
    with store.database.write() as session:
        said = json.dumps({"metadata": {"age_years": 41, "sex": "female", "notes": []}})
        session.connection().exec_driver_sql("UPDATE results SET findings_json = ?", (said,))
    make_copy(broken.database(folder), now_utc(), 0)
    Removal(store.database, store.files).remove([one.images[0].id], now_utc())
    broken.settled(store, folder)
    spoil_table(folder, *lost)
    mend(folder, "box")
    store, _ = everything(config)
    after, (reading,) = store.records.examination(one.public_id), store.readings.all()
    assert (after.patient_label, after.images[0].file_name) == ("", "")
    assert (reading.note, reading.judgement) == ("", Judgement.NONE)
    assert json.loads(after.images[0].findings_json)["metadata"]["age_years"] is None
    store.close()
    data = broken.database(folder).read_bytes()
    assert not any(one in data for one in (b"patient 0", b"Otieno", b": 41"))


def test_a_picture_that_was_removed_and_came_again_since_the_copy_is_there(config, folder):
    def since(store, _people):
        image = store.records.history(1, 9).examinations[-1].images[0]
        Removal(store.database, store.files).remove([image.id], now_utc())
        assert not store.records.receive(io.BytesIO(b"picture 0" * 50), Upload("b.png", "P 9")).known

    copied(config, since)
    spoil_table(folder, "examinations", "images")
    mend(folder, "box")
    store, found = everything(config)
    images = [image for one in found for image in one.images]
    here = [image for image in images if image.removed_utc is None]
    assert len(images) == 5 and len(here) == 4
    for image in here:
        store.files.read(image.sha256)
    store.close()


def closing(store, _people):
    Settings(store.database).change("box", own_read_first=True, sign_in_to_use=True, clinic="Kisumu")


def test_settings_that_only_an_older_copy_has_become_what_the_log_says(config, folder):
    copied(config, closing)
    spoil_table(folder, "settings")
    mend(folder, "box")
    store, _ = everything(config)
    found = Settings(store.database).now()
    assert found.own_read_first and found.sign_in_to_use and found.clinic == "Kisumu"
    store.close()


@pytest.mark.parametrize("lost", [("settings", "audit"), ()], ids=["log", "everything"])
def test_where_nothing_tells_the_settings_of_today_answers_are_kept_from_others(config, folder, lost):
    copied(config, lambda _store, _people: None)
    spoil(folder, lost)
    mend(folder, "box")
    store, _ = everything(config)
    found = Settings(store.database).now()
    assert found.own_read_first and found.sign_in_to_use and found.clinic == "Kilimani"
    store.close()


def test_a_photograph_whose_row_is_lost_is_read_as_one(config, folder):
    prepare_store(config)
    store = open_store(config)
    for number in range(2):
        upload = Upload("a.jpg", photographed=bool(number))
        store.records.receive(io.BytesIO(b"picture %d" % number), upload)
    broken.settled(store, folder)
    change(folder, "DELETE FROM images")
    mend(folder, "box")
    store, found = everything(config)
    assert [one.images[0].photographed for one in found] == [True, False]
    store.close()


SPOILT = {
    "a state that there is not": "UPDATE jobs SET state = 'quewed' WHERE id = 1",
    "a time that is none": "UPDATE examinations SET received_utc = 'yesterday' WHERE id = 1",
    "a number that is none": "UPDATE images SET size_bytes = 'much' WHERE id = 1",
    "a number with none after it": "UPDATE audit SET number = 9223372036854775807 WHERE number = 3",
    "a table that is gone": "DROP TABLE settings",
    "no log": "DROP TABLE audit",
    "a column that is gone": "ALTER TABLE images DROP COLUMN names_other",
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_sqlite_takes_for_sound_and_the_kiosk_cannot_use_keeps_it_from_starting_and_is_mended(
    config, folder, spoilt
):
    broken.settled(broken.filled(config, 4), folder)
    change(folder, SPOILT[spoilt])
    with pytest.raises(StoreError) as caught:
        prepare_store(config)
    assert "ulna mend" in caught.value.hint and "yesterday" not in str(caught.value)
    found = condition(folder)
    assert found.condition is Condition.DAMAGED and "yesterday" not in found.detail
    mend(folder, "box")
    check_whole(config, 4)


LETTERS = {
    "people": "name",
    "examinations": "patient_label",
    "images": "file_name",
    "jobs": "detail",
    "readings": "note",
    "audit": "detail_json",
    "settings": "value_json",
}


@pytest.mark.parametrize("table", LETTERS)
def test_a_letter_that_is_none_costs_that_letter_and_no_page(config, folder, table):
    store = broken.filled(config, 2)
    People(store.database).add("Ada", Role.ADMINISTRATOR, "574038", "box")
    Settings(store.database).change("box", clinic="Kilimani")
    receipt = store.records.receive(io.BytesIO(b"third"), Upload("c.png", "P"))
    store.readings.add(receipt.public_id, Draft(Kind.OWN, Judgement.NONE), "p", lambda record: "none")
    broken.settled(store, folder)
    column = LETTERS[table]
    change(folder, f"UPDATE {table} SET {column} = CAST(x'4a' || x'ff' || x'6e' AS TEXT)")
    prepare_store(config)
    store = open_store(config)
    assert len(store.records.history(1, 9).examinations) == 3
    assert Settings(store.database).now() is not None and People(store.database).all()
    assert len(store.readings.all()) == 1 and store.log.page(1, 9).total
    assert not store.records.receive(io.BytesIO(b"fourth"), Upload("d.png")).known
    store.close()
    mend(folder, "box")
    assert len(everything(config)[1]) == 4


def test_a_box_of_the_first_version_that_is_spoilt_is_mended_too(tmp_path):
    old_box.make(tmp_path)
    config = KioskConfig(tmp_path / "bundle", tmp_path / "data", reserve_bytes=0)
    change(config.data_dir, "UPDATE jobs SET state = 'quewed' WHERE id = 2")
    with pytest.raises(StoreError) as caught:
        prepare_store(config)
    assert "ulna mend" in caught.value.hint
    assert condition(config.data_dir).condition is Condition.DAMAGED
    mend(config.data_dir, "box")
    store, found = everything(config)
    assert [len(one.images) for one in found] == [2] and found[0].patient_label == "P 0"
    assert sorted(image.state for image in found[0].images) == ["done", "queued"]
    store.close()
