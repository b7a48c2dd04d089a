"""Puts right what does not fit together in a database made out of parts. One statement, one fault."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

_PARENTS = (
    # An examination of which only a picture's row is left.
    """INSERT INTO examinations (id, public_id, received_utc, source, patient_label)
       SELECT examination_id, lower(hex(randomblob(8))), min(received_utc), 'recovered', '' FROM images
       WHERE examination_id NOT IN (SELECT id FROM examinations) GROUP BY examination_id""",
    # One that was joined into a row that is gone, whose number may go to another patient's.
    """UPDATE examinations SET joined_into_id = NULL
       WHERE joined_into_id NOT IN (SELECT id FROM examinations)""",
    # Those that lead back to themselves: whoever followed them would go on for ever.
    """UPDATE examinations SET joined_into_id = NULL WHERE id IN (
       WITH RECURSIVE leads (start, stop) AS (
         SELECT id, joined_into_id FROM examinations WHERE joined_into_id IS NOT NULL
         UNION SELECT start, joined_into_id FROM leads JOIN examinations ON id = stop
         WHERE joined_into_id IS NOT NULL)
       SELECT start FROM leads WHERE start = stop)""",
)
_ORPHANS = (
    "DELETE FROM results WHERE image_id NOT IN (SELECT id FROM images)",
    "DELETE FROM jobs WHERE image_id NOT IN (SELECT id FROM images)",
    "DELETE FROM readings WHERE examination_id NOT IN (SELECT id FROM examinations)",
    "DELETE FROM tallies WHERE examination_id NOT IN (SELECT id FROM examinations)",
)
_MEND = (
    """UPDATE examinations SET joined_into_id = NULL
       WHERE joined_into_id IS NOT NULL AND id IN (SELECT examination_id FROM images)""",
    # An answer stands, and so does that there is none.
    """INSERT INTO jobs (image_id, state, attempts, deaths, lease_owner, failure, detail)
       SELECT id, 'queued', 0, 0, '', '', '' FROM images WHERE id NOT IN (SELECT image_id FROM jobs)""",
    """UPDATE jobs SET state = 'done', lease_owner = '', lease_until_utc = NULL, failure = '', detail = ''
       WHERE state <> 'done' AND image_id IN (SELECT image_id FROM results)""",
    """UPDATE jobs SET state = 'queued', attempts = 0, deaths = 0, lease_owner = '', lease_until_utc = NULL
       WHERE state = 'working' OR (state = 'done' AND image_id NOT IN (SELECT image_id FROM results))""",
    """UPDATE jobs SET state = 'failed', failure = 'file_lost'
       WHERE state = 'queued' AND image_id IN (SELECT id FROM images WHERE removed_utc IS NOT NULL)""",
)
_DROP = (
    # Of which no picture's row is left, nor of the one that it leads to, by however many steps.
    """DELETE FROM examinations WHERE id NOT IN (
       WITH RECURSIVE held (id) AS (
         SELECT examination_id FROM images
         UNION SELECT examinations.id FROM examinations JOIN held ON joined_into_id = held.id)
       SELECT id FROM held)""",
    *_ORPHANS,
)


def detach(session: Session) -> int:
    """Take away what speaks of a row that is gone, before a new row can get its number; how many rows."""
    _run(session, _PARENTS)
    return _run(session, _ORPHANS)


def settle(session: Session) -> int:
    """Make every row fit the others; how many belonged to nothing and are gone from here."""
    _run(session, _MEND)
    return _run(session, _DROP)


def _run(session: Session, statements: tuple[str, ...]) -> int:
    return sum(session.connection().execute(text(statement)).rowcount for statement in statements)
