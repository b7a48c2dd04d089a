"""The box looks through its own log."""

from __future__ import annotations

from device_app.housekeeping import Housekeeping
from device_app.monitoring.chain import ChainWatch, chain_of
from device_app.store import Store
from device_app.store.log_end import NAME
from tests.device_app.broken import note, spoil
from tests.device_app.conftest import wait_until


def test_a_log_that_goes_on_is_whole(store: Store) -> None:
    watch = ChainWatch()
    for _ in range(3):
        note(store, 2)
        watch.look(store.database)
    assert not watch.changed


def test_an_entry_that_was_changed_is_found(store: Store) -> None:
    note(store, 3)
    spoil(store, "UPDATE audit SET actor = 'somebody' WHERE number = 2")
    watch = ChainWatch()
    watch.look(store.database)
    assert watch.changed


def test_an_end_that_was_cut_off_between_two_looks_is_found_and_not_forgotten(store: Store) -> None:
    watch = ChainWatch()
    note(store, 5)
    watch.look(store.database)
    spoil(store, "DELETE FROM audit WHERE number > 3")
    note(store, 5)
    watch.look(store.database)
    note(store, 1)
    watch.look(store.database)
    assert watch.changed


def test_an_end_that_was_cut_off_while_the_box_was_off_is_found_after_the_start(store: Store) -> None:
    note(store, 5)
    ChainWatch().look(store.database)
    spoil(store, "DELETE FROM audit WHERE number > 3")
    started = ChainWatch()
    started.look(store.database)
    assert started.changed


def test_between_two_looks_a_lost_end_shows_at_once(store: Store) -> None:
    watch = ChainWatch()
    note(store, 3)
    watch.keep(store.database)
    note(store, 2)
    watch.keep(store.database)
    assert not watch.changed
    spoil(store, "DELETE FROM audit WHERE number > 4")
    watch.keep(store.database)
    assert watch.changed


def test_a_cut_off_end_shows_to_a_watch_whose_file_was_taken_away(store: Store, config) -> None:
    watch = ChainWatch()
    note(store, 5)
    watch.look(store.database)
    (config.data_dir / NAME).unlink()
    spoil(store, "DELETE FROM audit WHERE number > 3")
    watch.look(store.database)
    assert watch.changed


def test_a_running_kiosk_looks_by_itself(store, client, monkeypatch) -> None:
    monkeypatch.setattr("device_app.housekeeping._FIRST_AFTER_S", 0.01)
    note(store, 3)
    spoil(store, "DELETE FROM audit WHERE number = 2")
    with Housekeeping(client.application):
        wait_until(lambda: chain_of(client.application).changed)
    assert "The log was changed." in client.get("/box/watch/").text
