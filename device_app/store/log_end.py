"""The end of the log as it was known last, in a small file of its own beside the database.

A log that was cut off at its end, or emptied, is sound in itself: this is what it is held against, also after
the box was switched off. Whoever changes both is not seen (docs/adr/0029). It is only ever moved forward; an
end that `ulna mend` could not save stands in the entry of the mending, and is missed no more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from device_app.audit import START, Anchor, Written, faults, fits
from device_app.store.database import Database
from device_app.store.log import Action, chain, end_of
from device_app.store.models import AuditEntry, Examination, Person, Reading
from runtime.durable import replace_file, sync_folder
from runtime.errors import InputError, StoreError

NAME = "log-end"
Pace = Callable[[Iterator[Written]], Iterator[Written]]
_log = logging.getLogger("ulna.log")
NEVER_ALONE = (Person, Examination, Reading)
"""What is stored together with an entry."""
EMPTIED = "the log is empty, and people or examinations are there"


def known_end(folder: Path) -> Anchor | None:
    """What the file says; None where there is none yet. Raises StoreError for one that cannot be read."""
    try:
        return Anchor.of_text((folder / NAME).read_text("ascii"))
    except FileNotFoundError:
        return None
    except (InputError, OSError, UnicodeDecodeError):
        raise StoreError(f"the file {NAME}, which holds the known end of the log, cannot be read") from None


def lost_end(session: Session, known: Anchor | None) -> Anchor | None:
    """The known end where the log does not hold it; None for one that does.

    It is read before the session looks at anything: what is written meanwhile must not be missed.
    """
    if known is None or _holds(session, known) or is_told(chain(session, (Action.MENDED,)), known):
        return None
    return known


def is_told(entries: Iterable[Written], end: Anchor) -> bool:
    """Whether a mending said that it could not save this end."""
    mendings = (one for one in entries if one.entry.action == Action.MENDED)
    return any(one.entry.detail.get("lost_end") == end.text() and fits(one) for one in mendings)


def look_through(database: Database, anchors: Sequence[Anchor] = (), pace: Pace = iter) -> list[str]:
    """What is wrong with a log, in words: in itself, against anchors and against its known end; empty for
    nothing.
    """
    known, unread = _readable_end(database)
    with database.read() as session:
        found = [*unread, *([EMPTIED] if _is_emptied(session) else [])]
        lost = lost_end(session, known)
        return found + faults(pace(chain(session)), [*anchors, *filter(None, (lost,))])


def keep_end(database: Database) -> bool:
    """Move the known end forward to where the log ends now.

    False where it stays because the log does not hold it, and where it could not be read and is written anew.
    """
    known, unread = _readable_end(database)
    with database.read() as session:
        if lost_end(session, known) is not None:
            return False
        end = end_of(session)
    _write(database.path.parent, end)
    return not unread


def _readable_end(database: Database) -> tuple[Anchor | None, list[str]]:
    """The known end, and why it is not to be had."""
    try:
        return known_end(database.path.parent), []
    except StoreError as error:
        return None, [str(error)]


def _holds(session: Session, anchor: Anchor) -> bool:
    if anchor == Anchor(0, START):
        return True
    row = session.get(AuditEntry, anchor.number)
    return row is not None and row.sha256 == anchor.sha256


def _is_emptied(session: Session) -> bool:
    if end_of(session).number > 0:
        return False
    return any(session.scalars(select(one.id).limit(1)).first() is not None for one in NEVER_ALONE)


def _write(folder: Path, end: Anchor) -> None:
    """A disk that has no room must not keep the box from its other work: the end is written next time."""
    line, path = f"{end.text()}\n".encode(), folder / NAME
    try:
        if end.number > 0 and not (path.exists() and path.read_bytes() == line):
            replace_file(path, line, 0o600)
            sync_folder(folder)
    except OSError as error:
        _log.warning("the end of the log was not written down: %s", error.strerror)
