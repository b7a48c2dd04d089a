"""The examinations that a site's figures rest on, read from the store; each answer's text is read once."""

from __future__ import annotations

import json
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, selectinload

from device_app.answers import ANSWERED, Answer, answer, summary
from device_app.readings import Kind, Said
from device_app.site_points.cases import Answered, Evidence, of_pictures, truth
from device_app.store.database import Database
from device_app.store.models import Examination, Image, Job, Reading, Result
from device_app.store.readings import Readings
from device_app.store.records import ExaminationRecord, ImageRecord, examination_record
from device_app.store.sources import TEST
from runtime.findings import OperatingPoints, Verdict

_CHUNK = 200
_STATED = (str(Kind.OUTCOME), str(Kind.SECOND))


class _View(NamedTuple):
    """A picture as it stands. result: its number alone does not tell a corrected answer from the old one."""

    image: int
    job: str
    result: int | None
    verdict: str | None
    answered_utc: datetime | None


_State: TypeAlias = tuple[_View, ...]


class Scale(NamedTuple):
    """Scores of one bundle that mean the same: base is what its engine decides by of itself."""

    bundle_sha256: str
    base: OperatingPoints


@dataclass(frozen=True)
class _Known:
    """An examination as it was at `state` (its images and results); answered: None where it says nothing."""

    state: _State
    scale: Scale | None = None
    answered: Answered | None = None

    @property
    def image_ids(self) -> tuple[int, ...]:
        """Of its pictures."""
        return tuple(view.image for view in self.state)


class Cases:
    """Of one database. Safe from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: dict[int, _Known] = {}

    def evidence(self, scale: Scale, followed_up_only: bool = False) -> Evidence:
        """All that is known on one scale. followed_up_only: leaves out what nobody has followed up, which is
        most of it. Raises StoreError.
        """
        said = self._said()
        with self._lock:
            found = self._look(followed_up_only)
            here = [(one.answered, one.image_ids) for one in found if one.scale == scale and one.answered]
        judged = ((one.examination, truth(of_pictures(said[one.examination], ids))) for one, ids in here)
        counted = {examination: known for examination, known in judged if known is not None}
        followed_up = sum(truth(readings) is not None for readings in said.values())
        return Evidence(tuple(one for one, _ in here), counted, followed_up - len(counted))

    def _said(self) -> defaultdict[str, list[Said]]:
        by_examination: defaultdict[str, list[Said]] = defaultdict(list)
        for said in Readings(self._database).all():
            by_examination[said.examination].append(said)
        return by_examination

    def _look(self, followed_up_only: bool) -> list[_Known]:
        with self._database.read() as session:
            states = _states(session, followed_up_only)
            new = [number for number, state in states.items() if self._state_of(number) != state]
            for first in range(0, len(new), _CHUNK):
                for number, record in _records(session, new[first : first + _CHUNK]):
                    self._known[number] = _Known(states[number], *_understood(record))
        return [self._known[number] for number in states if number in self._known]

    def _state_of(self, number: int) -> _State | None:
        known = self._known.get(number)
        return None if known is None else known.state


def _states(session: Session, followed_up_only: bool) -> dict[int, _State]:
    """Images, their jobs and results of each examination, by number, oldest first; no texts."""
    wanted = (
        select(Image.examination_id, Image.id, Job.state, Result.id, Result.verdict, Result.created_utc)
        .join(Job, Job.image_id == Image.id)
        .outerjoin(Result, Result.image_id == Image.id)
        .join(Examination, Examination.id == Image.examination_id)
        .where(Examination.source != TEST)
        .order_by(Image.examination_id, Image.id)
    )
    if followed_up_only:
        stated = exists().where(Reading.examination_id == Image.examination_id, Reading.kind.in_(_STATED))
        wanted = wanted.where(stated)
    found: defaultdict[int, list[_View]] = defaultdict(list)
    for examination, image, job, result, verdict, answered_utc in session.execute(wanted):
        found[examination].append(_View(image, job, result, verdict, answered_utc))
    return {examination: tuple(state) for examination, state in found.items()}


def _records(session: Session, numbers: Sequence[int]) -> Iterator[tuple[int, ExaminationRecord]]:
    images = selectinload(Examination.images)
    whole = select(Examination).options(images.selectinload(Image.job), images.selectinload(Image.result))
    for row in session.scalars(whole.where(Examination.id.in_(numbers))):
        yield row.id, examination_record(session, row)
    session.expunge_all()  # texts of thousands of answers need not stay in memory


def _understood(record: ExaminationRecord) -> tuple[Scale | None, Answered | None]:
    """Nothing of an examination with a view that has no answer, or views that were judged apart."""
    views = [answer(image) for image in record.images]
    if not views or any(view.state not in ANSWERED for view in views) or not _judged_alike(views):
        return None, None
    whole, one, base = summary(record), views[0], own_points(record.images[0])
    own_limits = len(views) > 1 and one.rule.operating_points is not None
    if own_limits or whole.probability is None or one.points is None:
        return None, None
    scale = Scale(str(one.provenance["bundle_sha256"]), base or one.points)
    highest = max(view.probability or 0.0 for view in views)
    return scale, Answered(record.public_id, whole.probability, highest, Verdict(str(whole.state)))


def own_points(image: ImageRecord) -> OperatingPoints | None:
    """What the engine would have decided by of itself, where a site's limits stood in for them."""
    record = json.loads(image.findings_json or "{}")
    return OperatingPoints(**record["bundle_points"]) if "bundle_points" in record else None


def _judged_alike(views: Sequence[Answer]) -> bool:
    return len({(view.points, view.rule, view.provenance["bundle_sha256"]) for view in views}) == 1


_all: weakref.WeakKeyDictionary[Database, Cases] = weakref.WeakKeyDictionary()
_opening = threading.Lock()


def cases_of(database: Database) -> Cases:
    """The one of a database in this process."""
    with _opening:
        return _all.setdefault(database, Cases(database))
