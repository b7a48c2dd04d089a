"""The end of the log is known beside the database too: one that was cut off shows without paper."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.cli import app
from device_app.mend import mend
from device_app.safe_mode_checks import Part, look
from device_app.store import open_store, prepare_store
from device_app.store.log import Action
from device_app.store.log_end import EMPTIED, NAME, keep_end, look_through
from tests.device_app import broken
from tests.device_app.broken import note, spoil


@pytest.fixture
def end_file(config):
    return config.data_dir / NAME


def test_a_new_box_with_nothing_is_whole_and_knows_no_end(store, end_file) -> None:
    assert look_through(store.database) == [] and keep_end(store.database)
    assert not end_file.exists()


def test_the_end_moves_forward_with_the_log(store, end_file) -> None:
    for _ in range(3):
        note(store, 2)
        assert keep_end(store.database) and look_through(store.database) == []
        assert end_file.read_text() == f"{store.log.anchor().text()}\n"
    assert end_file.stat().st_mode & 0o077 == 0


def test_an_end_that_was_cut_off_shows_to_a_box_that_was_off_and_is_not_forgotten(
    store, config, end_file
) -> None:
    note(store, 5)
    keep_end(store.database)
    spoil(store, "DELETE FROM audit WHERE number > 3")
    store.close()
    again = open_store(config)
    cut = "entry 5 was written down and is gone: the end of the log was cut off"
    assert look_through(again.database) == [cut] and not keep_end(again.database)
    note(again, 4)
    assert look_through(again.database) == ["entry 5 is not the one that was written down"]
    assert not keep_end(again.database) and end_file.read_text().startswith("5:")
    again.close()


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_an_emptied_log_beside_people_or_examinations_is_never_whole(store, receive, known) -> None:
    receive(b"one")
    People(store.database).add("Asha", Role.USER, "492741", "box")
    if known:
        keep_end(store.database)
    spoil(store, "DELETE FROM audit")
    found = look_through(store.database)
    assert EMPTIED in found and len(found) == 1 + known


@pytest.mark.parametrize("table", ["people", "examinations"])
def test_each_of_them_alone_is_enough(store, config, receive, table) -> None:
    if table == "people":
        People(store.database).add("Asha", Role.USER, "492741", "box")
    else:
        receive(b"one")
    spoil(store, "DELETE FROM audit")
    assert look_through(store.database) == [EMPTIED]
    safe = look(config, Part.LOG)
    assert safe.ok is False and safe.detail == EMPTIED


@pytest.mark.parametrize("text", [b"", b"5:abc", b"\xff" * 80])
def test_a_file_that_cannot_be_read_is_told_once_and_written_anew(store, end_file, text) -> None:
    note(store, 2)
    end_file.write_bytes(text)
    (said,) = look_through(store.database)
    assert NAME in said and "cannot be read" in said
    assert not keep_end(store.database)
    assert look_through(store.database) == [] and keep_end(store.database)


def test_an_end_that_cannot_be_written_down_keeps_nobody_from_work(store, end_file, monkeypatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("device_app.store.log_end.replace_file", full)
    note(store, 2)
    assert keep_end(store.database) and not end_file.exists()


def mended(config, *statements: str):
    """The store of a box that had 10 entries and a known end, and was damaged and mended."""
    broken.settled(broken.filled(config, 4), config.data_dir)
    store = open_store(config)
    note(store, 6)
    keep_end(store.database)
    store.close()
    connection = broken.connection_of(config.data_dir)
    for statement in ("DELETE FROM jobs WHERE id = 1", "DELETE FROM examinations WHERE id = 3", *statements):
        connection.execute(statement)
    connection.commit()
    connection.close()
    done = mend(config.data_dir, "box")
    prepare_store(config)
    return open_store(config), done.recovered


def test_an_end_that_a_mending_could_not_save_is_told_in_its_entry_and_missed_no_more(
    config, end_file
) -> None:
    broken.filled(config, 1).close()
    store, told = mended(config, "DELETE FROM audit WHERE number > 5")
    lost = end_file.read_text().strip()
    assert told.lost_end == lost and not lost.startswith("5:")
    assert store.log.page(1, 1).entries[0].detail["lost_end"] == lost
    assert look_through(store.database) == [] and keep_end(store.database)
    assert end_file.read_text() == f"{store.log.anchor().text()}\n"
    spoil(store, "DELETE FROM audit WHERE number > 3")
    assert look_through(store.database) != [], "a cut after the mending shows"
    store.close()


def test_the_command_says_that_the_end_was_lost(config) -> None:
    broken.settled(broken.filled(config, 4), config.data_dir)
    store = open_store(config)
    number = store.log.anchor().number
    keep_end(store.database)
    store.close()
    broken.spoil_header(broken.database(config.data_dir))
    said = CliRunner().invoke(app, ["mend", "--data", str(config.data_dir), "--yes"])
    assert said.exit_code == 0 and f"the end of the log is lost: there were {number} entries" in said.output


def test_a_mending_that_saved_the_end_says_nothing_of_it(config) -> None:
    store, told = mended(config)
    assert told.lost_end == "" and look_through(store.database) == []
    store.close()


def test_an_entry_that_was_made_to_say_so_excuses_nothing(config, store, end_file) -> None:
    note(store, 5)
    keep_end(store.database)
    lost = end_file.read_text().strip()
    spoil(store, "DELETE FROM audit WHERE number > 3")
    store.log.note("box", Action.MENDED, lost_end="")
    spoil(store, f'UPDATE audit SET detail_json = \'{{"lost_end": "{lost}"}}\' WHERE number = 4')
    assert len(look_through(store.database)) == 2


def test_a_box_in_safe_mode_says_that_the_end_was_cut_off(config, store) -> None:
    note(store, 5)
    keep_end(store.database)
    assert look(config, Part.LOG).ok
    spoil(store, "DELETE FROM audit WHERE number > 3")
    found = look(config, Part.LOG)
    assert found.ok is False and "cut off" in found.detail
