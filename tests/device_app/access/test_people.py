"""People and their sessions on a real store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from device_app.access.lockout import FREE_TRIES
from device_app.access.people import People, PersonRecord, SignInRefusedError
from device_app.access.roles import Role
from device_app.access.sessions import LONGEST, Sessions
from device_app.access.tries import Place
from device_app.audit import faults
from device_app.store import Store, open_store
from runtime.errors import InputError

PIN, OTHER_PIN = "492741", "830271"
IDLE = timedelta(minutes=10)


@pytest.fixture
def people(store: Store) -> People:
    return People(store.database)


@pytest.fixture
def sessions(store: Store) -> Sessions:
    return Sessions(store.database)


def actions(store: Store) -> list[str]:
    assert faults(store.log.written()) == []
    return [written.entry.action for written in store.log.written()]


def test_a_box_starts_with_nobody_and_the_first_is_its_administrator(people: People) -> None:
    assert not people.all() and not people.has_administrator()
    first = people.add_first("  Asha \n N.", PIN, "kiosk")
    assert (first.name, first.role) == ("Asha N.", Role.ADMINISTRATOR)
    assert people.has_administrator()


def test_there_is_no_second_first(people: People) -> None:
    people.add_first("Asha", PIN, "kiosk")
    with pytest.raises(InputError, match="has an administrator"):
        people.add_first("Bola", OTHER_PIN, "kiosk")
    assert [one.name for one in people.all()] == ["Asha"]


@pytest.mark.parametrize("name", ["", "  ", "\u202e\n", "asha", "ASHA "])
def test_a_name_that_is_empty_or_taken_is_refused(people: People, name: str) -> None:
    people.add_first("Asha", PIN, "kiosk")
    with pytest.raises(InputError):
        people.add(name, Role.USER, OTHER_PIN, "kiosk")


def test_the_right_pin_opens_a_session_and_signing_out_ends_it(
    people: People, sessions: Sessions, store: Store
) -> None:
    who = people.add("Bola", Role.READER, PIN, "kiosk")
    token = people.sign_in(who.public_id, PIN)
    found = sessions.find(token, IDLE)
    assert found is not None and (found.name, found.role) == ("Bola", Role.READER)
    sessions.end(token)
    assert sessions.find(token, IDLE) is None
    assert actions(store) == ["person_added", "signed_in", "signed_out"]


def test_the_database_holds_neither_pin_nor_token(people: People, store: Store) -> None:
    who = people.add("Bola", Role.USER, PIN, "kiosk")
    token = people.sign_in(who.public_id, PIN)
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = (store.files.incoming.parent / "kiosk.sqlite3").read_bytes()
    assert PIN.encode() not in kept and token.encode() not in kept


def test_wrong_pins_lock_one_person_out_and_a_restart_changes_nothing(
    people: People, store: Store, config
) -> None:
    who, other = (
        people.add("Bola", Role.USER, PIN, "kiosk"),
        people.add("Chika", Role.USER, OTHER_PIN, "kiosk"),
    )
    for _ in range(FREE_TRIES + 1):
        with pytest.raises(SignInRefusedError):
            people.sign_in(who.public_id, OTHER_PIN)
    again = open_store(config)
    with pytest.raises(SignInRefusedError, match="too many") as refused:
        People(again.database).sign_in(who.public_id, PIN)
    again.close()
    assert timedelta(0) < refused.value.wait <= timedelta(minutes=1)
    assert people.sign_in(other.public_id, OTHER_PIN)
    assert actions(store).count("sign_in_refused") == FREE_TRIES + 1


def lock_out(people: People, who: PersonRecord, place: Place) -> None:
    for _ in range(FREE_TRIES + 1):
        with pytest.raises(SignInRefusedError):
            people.sign_in(who.public_id, OTHER_PIN, place)


def test_wrong_pins_over_a_network_keep_nobody_from_the_box(people: People, store: Store, config) -> None:
    who = people.add("Bola", Role.USER, PIN, "kiosk")
    lock_out(people, who, Place.NETWORK)
    assert people.active()[0].wait > timedelta(0)
    assert people.sign_in(who.public_id, PIN, Place.BOX)
    again = open_store(config)
    with pytest.raises(SignInRefusedError, match="too many"):  # signing in at the box has freed no other try
        People(again.database).sign_in(who.public_id, PIN, Place.NETWORK)
    again.close()
    assert actions(store).count("sign_in_refused") == FREE_TRIES + 1


def test_wrong_pins_at_the_box_keep_nobody_from_the_network(people: People) -> None:
    who = people.add("Bola", Role.USER, PIN, "kiosk")
    lock_out(people, who, Place.BOX)
    assert people.sign_in(who.public_id, PIN, Place.NETWORK)
    with pytest.raises(SignInRefusedError, match="too many"):
        people.sign_in(who.public_id, PIN, Place.BOX)


@pytest.mark.parametrize("place", Place)
def test_who_has_waited_and_who_has_a_new_pin_starts_afresh_everywhere(
    people: People, clock: Callable[[timedelta], None], place: Place
) -> None:
    who = people.add("Bola", Role.USER, PIN, "kiosk")
    lock_out(people, who, place)
    clock(timedelta(minutes=1))
    assert people.sign_in(who.public_id, PIN, place)
    lock_out(people, who, place)
    people.set_pin(who.public_id, PIN, "kiosk")
    assert people.sign_in(who.public_id, PIN, place)


@pytest.mark.parametrize("value", ["{", "[]", '{"failures": "x"}', '{"locked_until_utc": 7}', '"x"'])
def test_a_count_that_is_spoilt_keeps_nobody_out(people: People, store: Store, value: str) -> None:
    who = people.add("Bola", Role.USER, PIN, "kiosk")
    lock_out(people, who, Place.NETWORK)
    with store.database.write() as session:
        session.execute(text("UPDATE settings SET value_json = :value"), {"value": value})
    assert people.sign_in(who.public_id, PIN, Place.NETWORK)


def test_who_has_waited_is_let_in_and_starts_afresh(
    people: People, clock: Callable[[timedelta], None]
) -> None:
    who = people.add("Bola", Role.USER, PIN, "kiosk")
    for _ in range(FREE_TRIES + 1):
        with pytest.raises(SignInRefusedError):
            people.sign_in(who.public_id, OTHER_PIN)
    clock(timedelta(minutes=1))
    assert people.sign_in(who.public_id, PIN)
    with pytest.raises(SignInRefusedError) as refused:
        people.sign_in(who.public_id, OTHER_PIN)
    assert refused.value.wait == timedelta(0)


def test_a_lock_of_another_clock_ends_within_the_hour(
    people: People, clock: Callable[[timedelta], None]
) -> None:
    who = people.add("Bola", Role.USER, PIN, "kiosk")
    for _ in range(FREE_TRIES + 1):
        with pytest.raises(SignInRefusedError):
            people.sign_in(who.public_id, OTHER_PIN)
    clock(-timedelta(days=3650))
    with pytest.raises(SignInRefusedError):
        people.sign_in(who.public_id, PIN)
    clock(timedelta(hours=1))
    assert people.sign_in(who.public_id, PIN)


@pytest.mark.parametrize(
    ("jump", "lasts"),
    [
        (timedelta(minutes=9), True),
        (timedelta(minutes=11), False),
        (LONGEST + timedelta(minutes=1), False),
        (-timedelta(days=400), False),
    ],
)
def test_a_session_ends_when_nobody_touches_the_box_and_when_its_clock_jumps(
    people: People, sessions: Sessions, clock: Callable[[timedelta], None], jump: timedelta, lasts: bool
) -> None:
    token = people.sign_in(people.add("Bola", Role.USER, PIN, "kiosk").public_id, PIN)
    clock(jump)
    assert (sessions.find(token, IDLE) is not None) is lasts


def test_a_session_that_is_used_lasts_but_not_for_ever(
    people: People, sessions: Sessions, clock: Callable[[timedelta], None]
) -> None:
    token = people.sign_in(people.add("Bola", Role.USER, PIN, "kiosk").public_id, PIN)
    for _ in range(int(LONGEST / timedelta(minutes=9))):
        clock(timedelta(minutes=9))
        assert sessions.find(token, IDLE) is not None
    clock(timedelta(minutes=9))
    assert sessions.find(token, IDLE) is None


@pytest.mark.parametrize("change", ["pin", "out"])
def test_a_new_pin_and_being_let_out_end_every_session(
    people: People, sessions: Sessions, change: str
) -> None:
    people.add_first("Asha", OTHER_PIN, "kiosk")
    who = people.add("Bola", Role.USER, PIN, "kiosk")
    token = people.sign_in(who.public_id, PIN)
    if change == "pin":
        people.set_pin(who.public_id, "574038", "kiosk")
    else:
        people.set_active(who.public_id, False, "kiosk")
    assert sessions.find(token, IDLE) is None
    with pytest.raises(InputError):
        people.sign_in(who.public_id, PIN)


@pytest.mark.parametrize("change", ["role", "out"])
def test_the_last_administrator_stays(people: People, change: str) -> None:
    first = people.add_first("Asha", PIN, "kiosk")

    def leave() -> None:
        if change == "role":
            people.set_role(first.public_id, Role.USER, "kiosk")
        else:
            people.set_active(first.public_id, False, "kiosk")

    with pytest.raises(InputError, match="last administrator"):
        leave()
    assert people.has_administrator()
    people.add("Bola", Role.ADMINISTRATOR, OTHER_PIN, "kiosk")
    leave()
    assert people.has_administrator()


def test_nobody_comes_back_under_a_name_that_is_taken_since(people: People) -> None:
    people.add_first("Asha", PIN, "kiosk")
    gone = people.add("Bola", Role.USER, OTHER_PIN, "kiosk")
    people.set_active(gone.public_id, False, "kiosk")
    people.add("Bola", Role.USER, OTHER_PIN, "kiosk")
    with pytest.raises(InputError, match="is called"):
        people.set_active(gone.public_id, True, "kiosk")


@pytest.mark.parametrize("token", ["", "x", "a" * 500])
def test_another_token_is_nobodys(sessions: Sessions, token: str) -> None:
    assert sessions.find(token, IDLE) is None
    sessions.end(token)


def test_each_role_may_do_what_those_before_it_may() -> None:
    order = [Role.ANYONE, Role.USER, Role.READER, Role.ADMINISTRATOR]
    for have in order:
        assert [have.may(need) for need in order] == [
            order.index(need) <= order.index(have) for need in order
        ]
