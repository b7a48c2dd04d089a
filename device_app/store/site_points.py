"""Limits that a site has chosen for a bundle: rows are only ever added, and the last one counts.

A row that cannot be understood is no reason to decide by other limits in silence: nothing is decided then,
until somebody has chosen again. So it is with one that is not the one of which the log tells.
"""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from device_app.audit import Written, fits
from device_app.site_points.limits import require_within
from device_app.store.database import Database, now_utc
from device_app.store.log import Action, LastOf, append
from device_app.store.models import SitePoints
from runtime.errors import InputError, StoreError
from runtime.findings import GivenPoints, OperatingPoints

MAX_REASON_CHARS = 300
_HINT = "let the administrator open “Limits of this clinic” from the page “This box” and choose them again"


class SitePointsError(StoreError):
    """What a site has chosen cannot be read, so that nobody knows by what to decide."""


@dataclass(frozen=True)
class Decision:
    """One row. number: rising. given: None for the bundle's own. spoilt: the row cannot be understood, or is
    not the one of which the log tells, or that one is gone (number 0 where none is left).

    reason: in the administrator's words. evidence: the figures that were shown.
    """

    number: int
    at_utc: datetime
    actor: str
    given: GivenPoints | None
    reason: str
    evidence: dict[str, Any]
    spoilt: bool = False


@dataclass(frozen=True)
class Change:
    """What somebody decides. after: number of the decision that the page was made from, 0 for none.

    given: None for the bundle's own. Raises InputError without a reason, and for limits beyond the bounds.
    """

    bundle_sha256: str
    given: GivenPoints | None
    reason: str
    after: int
    evidence: dict[str, Any]

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise InputError("a reason is missing", "write why the limits are changed")
        if len(self.reason) > MAX_REASON_CHARS:
            raise InputError(f"a reason has at most {MAX_REASON_CHARS} characters", "say it in fewer words")
        if self.given is not None:
            require_within(self.given)


def given_points(database: Database, bundle_sha256: str) -> GivenPoints | None:
    """By what a bundle decides here; None for its own.

    Raises SitePointsError for a row that cannot be understood and for one of which the log does not tell,
    StoreError for a database that cannot be read.
    """
    decision = last_decision(database, bundle_sha256)
    if decision is not None and decision.spoilt:
        raise SitePointsError(
            "the limits that this clinic has chosen cannot be read, or are not those in the log", _HINT
        )
    return None if decision is None else decision.given


def last_decision(database: Database, bundle_sha256: str) -> Decision | None:
    """The one that counts; None where nothing was ever decided of this bundle."""
    with database.read() as session:
        return _counting(session, _told_of(database), bundle_sha256)


def decisions(database: Database, bundle_sha256: str) -> tuple[Decision, ...]:
    """All of a bundle's, newest first."""
    wanted = select(SitePoints).where(SitePoints.bundle_sha256 == bundle_sha256)
    with database.read() as session:
        found = tuple(map(_decision, session.scalars(wanted.order_by(SitePoints.id.desc()))))
        counts = _counting(session, _told_of(database), bundle_sha256)
        return (counts, *found[1:]) if counts is not None and found else found


def change_points(database: Database, actor: str, change: Change) -> Decision:
    """Add a row and log it; durable when this returns.

    The log holds both pairs of limits and a digest of the row, not the reason: it may name somebody.

    Raises InputError where another decision came in between.
    """
    with database.write() as session:
        last = _counting(session, _told_of(database), change.bundle_sha256)
        if (0 if last is None else last.number) != change.after:
            raise InputError("somebody has changed the limits since", "look at the page again")
        row = SitePoints(
            at_utc=now_utc(),
            actor=actor,
            bundle_sha256=change.bundle_sha256,
            points_json=_text(change.given),
            reason=change.reason,
            evidence_json=json.dumps(change.evidence, sort_keys=True, allow_nan=False),
        )
        session.add(row)
        session.flush()
        _log(session, row, last, change.given)
        return _decision(row)


_told: weakref.WeakKeyDictionary[Database, LastOf] = weakref.WeakKeyDictionary()
_opening = threading.Lock()


def _told_of(database: Database) -> LastOf:
    """What the log of a database tells of limits."""
    with _opening:
        return _told.setdefault(database, LastOf(Action.POINTS_CHANGED))


def _counting(session: Session, told: LastOf, bundle_sha256: str) -> Decision | None:
    """The one that counts, held against the last entry of the log; None where neither is there."""
    row, entry = _last(session, bundle_sha256), told.of(session, bundle_sha256)
    if row is None:
        return None if entry is None else _gone(entry)
    decision = _decision(row)
    if entry is None or not _tells_of(entry, row):
        return replace(decision, given=None, spoilt=True)
    return decision


def _tells_of(written: Written, row: SitePoints) -> bool:
    entry = written.entry
    about = (entry.action, entry.subject, entry.detail.get("row_sha256"))
    return fits(written) and about == (Action.POINTS_CHANGED, row.bundle_sha256, _row_sha256(row))


def _gone(written: Written) -> Decision:
    """Something was decided once and is lost."""
    return Decision(0, datetime.min, written.entry.actor, None, "", {}, spoilt=True)


def _log(session: Session, row: SitePoints, last: Decision | None, after: GivenPoints | None) -> None:
    detail = {
        "before": _before(last),
        "after": _said(after),
        "thresholds_sha256": after.points.digest if after is not None else "",
        "row_sha256": _row_sha256(row),
    }
    append(session, row.actor, Action.POINTS_CHANGED, row.bundle_sha256, **detail)


def _before(last: Decision | None) -> str:
    if last is None:
        return _said(None)
    return "spoilt" if last.spoilt else _said(last.given)


def _said(given: GivenPoints | None) -> str:
    if given is None:
        return "own"
    points = given.points
    return f"{points.high_sensitivity:.6g} {points.high_specificity:.6g}"


def _row_sha256(row: SitePoints) -> str:
    whole = [row.id, row.at_utc.isoformat(), row.actor, row.points_json, row.reason, row.evidence_json]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def _last(session: Session, bundle_sha256: str) -> SitePoints | None:
    rows = select(SitePoints).where(SitePoints.bundle_sha256 == bundle_sha256)
    return session.scalars(rows.order_by(SitePoints.id.desc()).limit(1)).first()


def _decision(row: SitePoints) -> Decision:
    given, spoilt = _given(row.points_json)
    evidence = _evidence(row.evidence_json)
    return Decision(row.id, row.at_utc, row.actor, given, row.reason, evidence, spoilt)


def _text(given: GivenPoints | None) -> str:
    if given is None:
        return ""
    return json.dumps({"points": vars(given.points), "instead_of": vars(given.instead_of)})


def _given(text: str) -> tuple[GivenPoints | None, bool]:
    """The limits, and whether the text says none that may be."""
    if not text:
        return None, False
    try:
        record = json.loads(text)
        given = GivenPoints(*(OperatingPoints(**record[name]) for name in ("points", "instead_of")))
        require_within(given)
    except (InputError, KeyError, TypeError, ValueError, RecursionError):
        return None, True
    return given, False


def _evidence(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
