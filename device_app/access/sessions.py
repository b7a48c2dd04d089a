"""Sessions: a random token in the browser, its digest in the database, and an end however the clock jumps."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from device_app.access.roles import Role
from device_app.store.database import Database, now_utc
from device_app.store.log import Action, append
from device_app.store.models import SignIn
from runtime.errors import StoreError

LONGEST = timedelta(hours=12)
_SEEN_EVERY = timedelta(seconds=30)
"""A page is not worth a write to the disk each time."""
_SKEW = timedelta(minutes=2)


@dataclass(frozen=True)
class SignedIn:
    """Who is signed in."""

    public_id: str
    name: str
    role: Role


def start(session: Session, person_id: int) -> str:
    """The token of a new session, known to nobody but who gets it; sessions that are over are removed."""
    token, moment = secrets.token_urlsafe(32), now_utc()
    session.execute(delete(SignIn).where(SignIn.started_utc < moment - LONGEST))
    session.add(SignIn(token_sha256=_digest(token), person_id=person_id, started_utc=moment, seen_utc=moment))
    return token


def end_all_of(session: Session, person_id: int) -> None:
    """Of one person, on every screen."""
    session.execute(delete(SignIn).where(SignIn.person_id == person_id))


class Sessions:
    """Looking a token up, and ending it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, token: str, idle: timedelta, touched: bool = True) -> SignedIn | None:
        """Whose it is; None for a token that is unknown, over, or was not used for longer than `idle`.

        touched: whether a person asks; what a page asks by itself keeps no session alive.
        """
        with self._database.read() as session:
            row = session.get(SignIn, _digest(token))
            if row is None or not row.person.active or _is_over(row, now_utc(), idle):
                return None
            if row.person.role not in tuple(Role):
                return None  # a later version knew it
            found = SignedIn(row.person.public_id, row.person.name, Role(row.person.role))
            is_stale = now_utc() - row.seen_utc > _SEEN_EVERY
        if touched and is_stale:
            with contextlib.suppress(StoreError):  # it runs out then, and nobody is kept from looking
                self._seen(token)
        return found

    def end(self, token: str) -> None:
        """Sign out; a token that is unknown is no error."""
        with self._database.write() as session:
            row = session.get(SignIn, _digest(token))
            if row is not None:
                append(session, row.person.public_id, Action.SIGNED_OUT)
                session.delete(row)

    def _seen(self, token: str) -> None:
        with self._database.write() as session:
            row = session.get(SignIn, _digest(token))
            if row is not None:
                row.seen_utc = now_utc()


def _is_over(row: SignIn, now: datetime, idle: timedelta) -> bool:
    """A clock that was set back would make sessions last: one from the future is over too."""
    from_future = max(row.started_utc, row.seen_utc) > now + _SKEW
    return from_future or now - row.started_utc > LONGEST or now - row.seen_utc > idle


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
