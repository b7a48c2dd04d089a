"""Examinations that were received before one, of the same patient as far as the label says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from device_app.store.database import Database
from device_app.store.models import Examination

MOST_SHOWN = 12


@dataclass(frozen=True)
class Earlier:
    """An examination that another can be compared with."""

    public_id: str
    received_utc: datetime


def earlier_examinations(database: Database, public_id: str, limit: int = MOST_SHOWN) -> tuple[Earlier, ...]:
    """Received before this one under the very same label, newest first; none for one without a label.

    Order is by id, because a box's clock may jump.
    """
    this = select(Examination.id, Examination.patient_label).where(Examination.public_id == public_id)
    with database.read() as session:
        found = session.execute(this).first()
        if found is None or not found.patient_label:
            return ()
        rows = session.execute(
            select(Examination.public_id, Examination.received_utc)
            .where(
                Examination.patient_label == found.patient_label,
                Examination.joined_into_id.is_(None),
                Examination.id < found.id,
            )
            .order_by(Examination.id.desc())
            .limit(limit)
        ).all()
    return tuple(Earlier(row.public_id, row.received_utc) for row in rows)
