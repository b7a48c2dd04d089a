"""The people of a box: added, changed, signed in. Everything is logged with what it changes."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from device_app.access import pins
from device_app.access.lockout import Tally
from device_app.access.roles import PEOPLE_ROLES, Role
from device_app.access.sessions import end_all_of, start
from device_app.access.tries import Place, keep_tally, tally_of
from device_app.store.database import Database, now_utc
from device_app.store.log import Action, append
from device_app.store.models import AuditEntry, Person
from device_app.store.records import display_text
from runtime.errors import InputError

MAX_NAME_CHARS = 40
_signing_in = threading.Lock()
"""Tries are counted one after the other, so that none is looked at which the last has locked out."""


class SignInRefusedError(InputError):
    """A wrong PIN, or too many of them. wait: how long no other is looked at."""

    def __init__(self, message: str, hint: str, wait: timedelta) -> None:
        super().__init__(message, hint)
        self.wait = wait


@dataclass(frozen=True)
class PersonRecord:
    """Somebody as the screens show them."""

    public_id: str
    name: str
    role: Role
    active: bool
    wait: timedelta = timedelta(0)
    """At the box or over a network, whichever is longer."""


class People:
    """All of them, on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def active(self) -> tuple[PersonRecord, ...]:
        """Those that can sign in, by name."""
        return tuple(person for person in self.all() if person.active)

    def all(self) -> tuple[PersonRecord, ...]:
        """Those that once could, too."""
        with self._database.read() as session:
            rows = [_record(session, person) for person in session.scalars(select(Person)).all()]
            return tuple(sorted(rows, key=lambda person: person.name.casefold()))

    def has_administrator(self) -> bool:
        """Whether anybody can change the box."""
        return any(person.role is Role.ADMINISTRATOR for person in self.active())

    def add(self, name: str, role: Role, pin: str, actor: str) -> PersonRecord:
        """Gives whom the same person has added just so already, where nothing was changed since.

        Raises InputError for a name that is empty or taken, a role of nobody, a PIN that is too weak.
        """
        pins.check_new(pin)
        try:
            return self._insert(_name(name), role, pins.hashed(pin), actor, first=False)
        except InputError:
            if (same := self._added(_name(name), role, pin, actor)) is None:
                raise
            return same

    def add_first(self, name: str, pin: str, actor: str) -> PersonRecord:
        """The first administrator. Raises InputError like `add`, and where there is one already."""
        pins.check_new(pin)
        return self._insert(_name(name), Role.ADMINISTRATOR, pins.hashed(pin), actor, first=True)

    def set_role(self, public_id: str, role: Role, actor: str) -> None:
        """Raises InputError for nobody, and for the last administrator."""
        with self._database.write() as session:
            person = _find(session, public_id)
            person.role = str(_real(role))
            _require_administrator(session)
            append(session, actor, Action.PERSON_CHANGED, public_id, role=str(role))

    def set_active(self, public_id: str, active: bool, actor: str) -> None:
        """Let somebody in again, or out; sessions end at once. Raises InputError like `set_role`."""
        with self._database.write() as session:
            person = _find(session, public_id)
            if active and not person.active:
                _require_free(session, person.name)
            person.active = active
            _require_administrator(session)
            end_all_of(session, person.id)
            append(session, actor, Action.PERSON_CHANGED, public_id, active=active)

    def set_pin(self, public_id: str, pin: str, actor: str) -> None:
        """Ends every session and every lock. Raises InputError for nobody and for a PIN that is too weak."""
        pins.check_new(pin)
        pin_hash = pins.hashed(pin)
        with self._database.write() as session:
            person = _find(session, public_id)
            person.pin_hash = pin_hash
            for place in Place:
                keep_tally(session, person, place, Tally())
            end_all_of(session, person.id)
            append(session, actor, Action.PIN_CHANGED, public_id)

    def sign_in(self, public_id: str, pin: str, place: Place = Place.NETWORK) -> str:
        """The token of a new session. Raises SignInRefusedError, which is counted, InputError for nobody."""
        self.confirm(public_id, pin, place)
        return self._welcome(public_id, place)

    def confirm(self, public_id: str, pin: str, place: Place = Place.NETWORK) -> None:
        """That it is the PIN of somebody. Raises like `sign_in`."""
        with _signing_in:
            known, tally = self._known(public_id, place)
            wait = tally.wait(now_utc())
            if wait:
                raise _locked(wait)
            if not pins.matches(pin, known):
                raise self._refuse(public_id, place)

    def _known(self, public_id: str, place: Place) -> tuple[str, Tally]:
        """Hash and tally, the latter mended where another clock has set it."""
        with self._database.read() as session:
            person = _find(session, public_id)
            if not person.active:
                raise _nobody()
            known, tally = person.pin_hash, tally_of(session, person, place)
        settled = tally.settled(now_utc())
        if settled != tally:
            with self._database.write() as session:
                keep_tally(session, _find(session, public_id), place, settled)
        return known, settled

    def _welcome(self, public_id: str, place: Place) -> str:
        with self._database.write() as session:
            person = _find(session, public_id)
            keep_tally(session, person, place, Tally())
            append(session, public_id, Action.SIGNED_IN)
            return start(session, person.id)

    def _refuse(self, public_id: str, place: Place) -> SignInRefusedError:
        with self._database.write() as session:
            person = _find(session, public_id)
            tally = tally_of(session, person, place).failed(now_utc())
            keep_tally(session, person, place, tally)
            append(session, public_id, Action.REFUSED, failures=tally.failures, place=str(place))
        wait = tally.wait(now_utc())
        return _locked(wait) if wait else SignInRefusedError("this PIN is wrong", "try again", wait)

    def _added(self, name: str, role: Role, pin: str, actor: str) -> PersonRecord | None:
        """Only a PIN that the same person has given is compared: no other is to be learned here."""
        wanted = select(Person).where(Person.active, Person.name == name, Person.role == str(role))
        with self._database.read() as session:
            person = session.scalars(wanted).first()
            if person is None or not _is_as_added(session, person.public_id, actor):
                return None
            known, record = person.pin_hash, _record(session, person)
        return record if pins.matches(pin, known) else None

    def _insert(self, name: str, role: Role, pin_hash: str, actor: str, first: bool) -> PersonRecord:
        with self._database.write() as session:
            if first and _administrators(session):
                raise InputError("this box has an administrator", "sign in as one to add people")
            _require_free(session, name)
            person = Person(
                public_id=secrets.token_urlsafe(9),
                name=name,
                role=str(_real(role)),
                pin_hash=pin_hash,
                active=True,
                created_utc=now_utc(),
                failures=0,
            )
            session.add(person)
            append(session, actor, Action.PERSON_ADDED, person.public_id, role=str(role))
            return _record(session, person)


def _find(session: Session, public_id: str) -> Person:
    person = session.scalars(select(Person).where(Person.public_id == public_id)).first()
    if person is None:
        raise _nobody()
    return person


def _is_as_added(session: Session, public_id: str, actor: str) -> bool:
    """Whether somebody was added by this person, and nothing was done to her since."""
    of_her = select(AuditEntry).where(AuditEntry.subject == public_id).order_by(AuditEntry.number.desc())
    last = session.scalars(of_her.limit(1)).first()
    return last is not None and (last.actor, last.action) == (actor, str(Action.PERSON_ADDED))


def _nobody() -> InputError:
    return InputError("there is nobody of that name here", "choose a name from the list")


def _name(text: str) -> str:
    name = display_text(text, MAX_NAME_CHARS)
    if not name:
        raise InputError("a name is missing", "give a name that the others know")
    return name


def _real(role: Role) -> Role:
    if role not in PEOPLE_ROLES:
        raise InputError(f"nobody can be {role}", f"choose one of {', '.join(PEOPLE_ROLES)}")
    return role


def _require_free(session: Session, name: str) -> None:
    active = session.scalars(select(Person).where(Person.active)).all()
    if name.casefold() in {person.name.casefold() for person in active}:
        raise InputError(f"somebody here is called {name} already", "add an initial to tell them apart")


def _administrators(session: Session) -> int:
    rows = select(Person).where(Person.active, Person.role == str(Role.ADMINISTRATOR))
    return len(session.scalars(rows).all())


def _require_administrator(session: Session) -> None:
    session.flush()
    if not _administrators(session):
        raise InputError("this is the last administrator", "make somebody else one first")


def _record(session: Session, person: Person) -> PersonRecord:
    wait = max(tally_of(session, person, place).wait(now_utc()) for place in Place)
    known = person.role in tuple(map(str, PEOPLE_ROLES))  # a later version may know others
    role = Role(person.role) if known else Role.USER
    return PersonRecord(person.public_id, person.name, role, person.active and known, wait)


def _locked(wait: timedelta) -> SignInRefusedError:
    minutes = -(-int(wait.total_seconds()) // 60)
    return SignInRefusedError("too many wrong PINs", f"wait {minutes} min, or ask an administrator", wait)
