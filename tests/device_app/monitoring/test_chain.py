"""The box looks through its own log."""

from __future__ import annotations

from device_app.housekeeping import Housekeeping
from device_app.monitoring.chain import ChainWatch, chain_of
from device_app.store import Store
from device_app.store.log import KIOSK, Action
from tests.device_app.conftest import wait_until


def note(store: Store, times: int) -> None:
    for _ in range(times):
        store.log.note(KIOSK, Action.SIGNED_OUT)


def spoil(store: Store, statement: str) -> None:
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_a_log_that_goes_on_is_whole(store: Store) -> None:
    watch = ChainWatch()
    for _ in range(3):
        note(store, 2)
        watch.look(store.log)
    assert not watch.changed


def test_an_entry_that_was_changed_is_found(store: Store) -> None:
    note(store, 3)
    spoil(store, "UPDATE audit SET actor = 'somebody' WHERE number = 2")
    watch = ChainWatch()
    watch.look(store.log)
    assert watch.changed


def test_an_end_that_was_cut_off_between_two_looks_is_found_and_not_forgotten(store: Store) -> None:
    watch = ChainWatch()
    note(store, 5)
    watch.look(store.log)
    spoil(store, "DELETE FROM audit WHERE number > 3")
    note(store, 5)
    watch.look(store.log)
    note(store, 1)
    watch.look(store.log)
    assert watch.changed


def test_a_running_kiosk_looks_by_itself(store, client, monkeypatch) -> None:
    monkeypatch.setattr("device_app.housekeeping._FIRST_AFTER_S", 0.01)
    note(store, 3)
    spoil(store, "DELETE FROM audit WHERE number = 2")
    with Housekeeping(client.application):
        wait_until(lambda: chain_of(client.application).changed)
    assert "The log was changed." in client.get("/box/watch/").text
