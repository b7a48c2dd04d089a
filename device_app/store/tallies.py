"""The rows that weekly figures are made from: written with what they count, read without its text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from device_app.monitoring.tally import FAILED, Tally, details, tally
from device_app.store import models
from device_app.store.database import Database, now_utc
from device_app.store.log import Action, append
from device_app.store.models import Base, Reading, Setting

_NORMAL_FROM = "watch_from"
_TABLE = Base.metadata.tables[models.Tally.__tablename__]
_COLUMNS = ("id", "examination_id", "at_utc", "bundle_sha256", "verdict", "reason", "probability", "engine")
_ROWS = select(*(_TABLE.c[name] for name in (*_COLUMNS, "detail_json"))).order_by(_TABLE.c.id)


class Row(NamedTuple):
    """A tally as it is stored. number: rising. examination: whose picture; a number, nothing more."""

    number: int
    examination: int
    at_utc: datetime
    bundle_sha256: str
    tally: Tally


@dataclass(frozen=True)
class Judged:
    """One reading of a person beside what the box had said. number: rising. bundle_sha256: whose answer that
    was.
    """

    number: int
    at_utc: datetime
    bundle_sha256: str
    kind: str
    judgement: str
    box_verdict: str


def answered(examination_id: int, result: models.Result) -> models.Tally:
    """The row of an answer, to be committed with it."""
    return _row(examination_id, result.created_utc, tally(result.findings_json), result.bundle_sha256)


def failed(examination_id: int, failure: str) -> models.Tally:
    """The row of a try without an answer."""
    return _row(examination_id, now_utc(), Tally(FAILED, reason=str(failure)))


def rows_after(database: Database, number: int) -> Iterator[Row]:
    """All with a higher number, lowest first. Rows are added one transaction after another, so that none
    with a lower number comes later.
    """
    with database.read() as session:
        for found in session.execute(_ROWS.where(_TABLE.c.id > number)):
            number, examination, at_utc, bundle, verdict, reason, chance, engine, detail = found
            said = Tally(verdict, reason, chance, engine, *details(detail))
            yield Row(number, examination, at_utc, bundle, said)


def judged_after(database: Database, number: int) -> list[Judged]:
    """What people have said of examinations that the box had answered, in the order in which they did; of
    that, all with a higher number.
    """
    latest = (
        select(models.Tally.bundle_sha256)
        .where(models.Tally.examination_id == Reading.examination_id, models.Tally.bundle_sha256 != "")
        .order_by(models.Tally.id.desc())
        .limit(1)
        .correlate(Reading)
        .scalar_subquery()
    )
    columns = (Reading.id, Reading.at_utc, latest, Reading.kind, Reading.verdict, Reading.box_verdict)
    wanted = select(*columns).where(Reading.box_verdict != "", Reading.id > number).order_by(Reading.id)
    with database.read() as session:
        rows = session.execute(wanted).all()
    return [Judged(one, at, bundle or "", kind, said, box) for one, at, bundle, kind, said, box in rows]


def normal_from(database: Database, bundle_sha256: str) -> int:
    """The number of the last row before the watch over a bundle was begun anew; 0 for never."""
    with database.read() as session:
        stored = session.get(Setting, _NORMAL_FROM)
        text = stored.value_json if stored else "{}"
    try:
        return int(json.loads(text).get(bundle_sha256, 0))
    except (AttributeError, TypeError, ValueError):
        return 0


def begin_anew(database: Database, actor: str, bundle_sha256: str) -> None:
    """Whatever comes from now on is what this bundle's watch takes as normal; kept and logged."""
    with database.write() as session:
        last = session.scalar(select(func.max(models.Tally.id))) or 0
        # Of the bundle at work alone: what was decided of another one holds no longer.
        session.merge(Setting(name=_NORMAL_FROM, value_json=json.dumps({bundle_sha256: last})))
        _log_beginning(session, actor, bundle_sha256, last)


def _log_beginning(session: Session, actor: str, bundle_sha256: str, last: int) -> None:
    detail = {"bundle_sha256": bundle_sha256, "after": last}
    append(session, actor, Action.SETTING_CHANGED, _NORMAL_FROM, **detail)


def _row(examination_id: int, at_utc: datetime, said: Tally, bundle_sha256: str = "") -> models.Tally:
    return models.Tally(
        examination_id=examination_id,
        at_utc=at_utc,
        bundle_sha256=bundle_sha256,
        verdict=said.verdict,
        reason=said.reason,
        probability=said.probability,
        engine=said.engine,
        detail_json=said.detail_json(),
    )
