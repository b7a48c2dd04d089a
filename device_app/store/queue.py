"""The queue: rows taken under a lease by one worker at a time.

    queued -> working -> done            an answer was stored, once
                |-----> queued           the worker died, the power went, or it was told to stop
                `-----> failed           it died over the picture too often, or the picture is gone

Only the holder of the lease may finish a job, so a worker believed dead cannot answer a second time.
Wall clocks jump on boxes without a battery; leases are therefore also ended by the supervisor, which
sees the worker die, and at start-up, when no worker can be alive.

A death counts against a picture only where it may be the picture's fault: not where what ended the worker is
known to be something else, and not where a lease stayed because the database could not be written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from device_app.store.database import Database, now_utc
from device_app.store.log import BOX, KIOSK, Action, append
from device_app.store.models import Examination, Image, Job, JobState, Result, Tally
from device_app.store.sources import TEST
from device_app.store.tallies import answered, failed
from runtime.findings import Verdict


class FailureCode(StrEnum):
    """Why a job ended without an answer. Screens translate these."""

    DIED = "died"
    TIMEOUT = "timeout"
    ENGINE = "engine"
    INTERRUPTED = "interrupted"
    FILE_LOST = "file_lost"


@dataclass(frozen=True)
class QueueLimits:
    """max_deaths: workers one picture may kill. max_attempts: times it is taken, power cuts included."""

    max_deaths: int = 2
    max_attempts: int = 6
    lease_s: float = 900.0


@dataclass(frozen=True)
class Claim:
    """A job taken by `owner`. facts_json: what a person said of the patient, see device_app.facts.

    photographed: the picture is a photograph of a film.
    """

    job_id: int
    image_id: int
    sha256: str
    file_name: str
    owner: str
    facts_json: str = ""
    photographed: bool = False


class Waiting(NamedTuple):
    """A picture of which nobody has said yet to what study it belongs. facts_json: see Claim."""

    image_id: int
    sha256: str
    facts_json: str


@dataclass(frozen=True)
class ReadResult:
    """What a worker stores: Findings as JSON text, with the two columns that are searched by.

    thresholds_sha256: for the log.
    """

    verdict: str
    findings_json: str
    bundle_sha256: str
    thresholds_sha256: str = ""


@dataclass(frozen=True)
class QueueCounts:
    """How many pictures wait and how many are being read."""

    waiting: int
    working: int


class Queue:
    """The jobs table as a queue."""

    def __init__(self, database: Database, limits: QueueLimits = QueueLimits()) -> None:
        self._database = database
        self._limits = limits

    def claim(self, owner: str) -> Claim | None:
        """Take the next picture, None when nothing waits. Pictures that killed a worker go last."""
        if not self.counts().waiting and not self._expired_exists():
            return None  # looked at without the write lock: an idle kiosk writes nothing
        with self._database.write() as session:
            self._end_expired(session)
            order = (Job.deaths, Job.id)
            job = session.scalars(
                select(Job).where(Job.state == JobState.QUEUED).order_by(*order).limit(1)
            ).first()
            if job is None:
                return None
            job.state, job.lease_owner, job.attempts = JobState.WORKING, owner, job.attempts + 1
            job.lease_until_utc = now_utc() + timedelta(seconds=self._limits.lease_s)
            image = job.image
            said = (image.facts_json, image.photographed)
            return Claim(job.id, image.id, image.sha256, image.file_name, owner, *said)

    def complete(self, claim: Claim, answer: ReadResult) -> bool:
        """Store the answer and end the job in one transaction; False when the lease was lost."""
        with self._database.write() as session:
            job = _held(session, claim)
            if job is None:
                return False
            result = Result(
                image_id=claim.image_id,
                verdict=answer.verdict,
                findings_json=answer.findings_json,
                bundle_sha256=answer.bundle_sha256,
                created_utc=now_utc(),
            )
            session.add(result)
            _count(session, job, answered(job.image.examination_id, result))
            _end(job, JobState.DONE)
            append(session, BOX, Action.ANSWERED, job.image.examination.public_id, **_digests(claim, answer))
            return True

    def fail(self, claim: Claim, failure: FailureCode, detail: str = "") -> bool:
        """End the job without an answer; False when the lease was lost."""
        with self._database.write() as session:
            job = _held(session, claim)
            if job is None:
                return False
            _fail(session, job, failure, detail)
            return True

    def abandon(self, owner: str, failure: FailureCode, detail: str = "") -> int:
        """A worker died over its job: back to the queue, or failed when that happened too often."""
        with self._database.write() as session:
            jobs = _held_by(session, owner)
            for job in jobs:
                self._count_death(session, job, failure, detail)
            return len(jobs)

    def release(self, owner: str) -> int:
        """A worker stops in good order: its job goes back as if never taken."""
        with self._database.write() as session:
            jobs = _held_by(session, owner)
            for job in jobs:
                job.attempts -= 1
                _end(job, JobState.QUEUED)
            return len(jobs)

    def recover(self, owner: str | None = None) -> int:
        """At start-up, when no worker lives: every lease is from before the power went. With an owner: that
        worker's alone, which something ended that was no picture's fault. It counts as a try, not as a death.
        """
        with self._database.write() as session:
            jobs = _working(session) if owner is None else _held_by(session, owner)
            for job in jobs:
                if job.attempts >= self._limits.max_attempts:
                    _fail(session, job, FailureCode.INTERRUPTED)
                else:
                    _end(job, JobState.QUEUED)
            return len(jobs)

    def retry(self, image_id: int, actor: str = KIOSK) -> bool:
        """A person asks for another try of a failed picture; False when it has not failed, or is here no
        longer.
        """
        with self._database.write() as session:
            job = session.scalars(
                select(Job).where(Job.image_id == image_id, Job.state == JobState.FAILED)
            ).first()
            if job is None or job.image.removed_utc is not None:
                return False
            job.attempts, job.deaths, job.detail = 0, 0, ""
            _end(job, JobState.QUEUED)
            append(session, actor, Action.RETRIED, job.image.examination.public_id)
            return True

    def correct(self, image_id: int, facts_json: str, actor: str = KIOSK) -> bool:
        """A person says otherwise of a picture that was refused, and it is read again; False where it was not
        refused, or is here no longer. No answer is ever replaced: a refusal is none, and the log keeps that
        there was one.
        """
        with self._database.write() as session:
            job = session.scalars(
                select(Job).where(Job.image_id == image_id, Job.state == JobState.DONE)
            ).first()
            result = None if job is None or job.image.removed_utc else job.image.result
            if job is None or result is None or result.verdict != str(Verdict.UNREADABLE):
                return False
            digest = hashlib.sha256(result.findings_json.encode()).hexdigest()
            job.image.facts_json, job.attempts, job.deaths = facts_json, 0, 0
            session.delete(result)
            _end(job, JobState.QUEUED)
            append(session, actor, Action.CORRECTED, job.image.examination.public_id, findings_sha256=digest)
            return True

    def counts(self) -> QueueCounts:
        """How long the queue is now."""
        with self._database.read() as session:
            rows = session.execute(
                select(Job.state, func.count())
                .where(Job.state.in_([JobState.QUEUED, JobState.WORKING]))
                .group_by(Job.state)
            ).all()
        numbers: dict[str, int] = {row[0]: row[1] for row in rows}
        return QueueCounts(numbers.get(JobState.QUEUED, 0), numbers.get(JobState.WORKING, 0))

    def undecided(self, most: int, apart_from: Collection[int]) -> tuple[Waiting, ...]:
        """The next pictures in the queue of which that is so, but for those images."""
        wanted = (
            select(Image.id, Image.sha256, Image.facts_json)
            .join(Job, Job.image_id == Image.id)
            .join(Examination, Image.examination_id == Examination.id)
            .where(Job.state == JobState.QUEUED, Examination.study_sha256.is_(None))
            .order_by(Job.deaths, Job.id)
        )
        with self._database.read() as session:
            rows = session.execute(wanted)
            return tuple(islice((Waiting(*row) for row in rows if row[0] not in apart_from), most))

    def _expired_exists(self) -> bool:
        with self._database.read() as session:
            return session.scalars(_expired().limit(1)).first() is not None

    def _end_expired(self, session: Session) -> None:
        for job in session.scalars(_expired()).all():
            self._count_death(session, job, FailureCode.TIMEOUT, "the lease ran out")

    def _count_death(self, session: Session, job: Job, failure: FailureCode, detail: str) -> None:
        job.deaths += 1
        if job.deaths >= self._limits.max_deaths or job.attempts >= self._limits.max_attempts:
            _fail(session, job, failure, detail)
        else:
            _end(job, JobState.QUEUED)


def _expired() -> Select[Job]:
    return select(Job).where(Job.state == JobState.WORKING, Job.lease_until_utc < now_utc())


def _held(session: Session, claim: Claim) -> Job | None:
    return session.scalars(
        select(Job).where(
            Job.id == claim.job_id, Job.state == JobState.WORKING, Job.lease_owner == claim.owner
        )
    ).first()


def _held_by(session: Session, owner: str) -> list[Job]:
    rows = select(Job).where(Job.state == JobState.WORKING, Job.lease_owner == owner)
    return list(session.scalars(rows).all())


def _working(session: Session) -> list[Job]:
    return list(session.scalars(select(Job).where(Job.state == JobState.WORKING)).all())


def _end(job: Job, state: JobState, failure: FailureCode | None = None, detail: str = "") -> None:
    job.state, job.lease_owner, job.lease_until_utc = state, "", None
    job.failure, job.detail = str(failure or ""), detail


def _fail(session: Session, job: Job, failure: FailureCode, detail: str = "") -> None:
    _end(job, JobState.FAILED, failure, detail)
    _count(session, job, failed(job.image.examination_id, failure))
    append(session, BOX, Action.FAILED, job.image.examination.public_id, failure=str(failure))


def _count(session: Session, job: Job, row: Tally) -> None:
    """The known picture says nothing of a clinic's week."""
    if job.image.examination.source != TEST:
        session.add(row)


def _digests(claim: Claim, answer: ReadResult) -> dict[str, str]:
    """Of all that an answer rests on, and of itself."""
    return {
        "image_sha256": claim.sha256,
        "bundle_sha256": answer.bundle_sha256,
        "thresholds_sha256": answer.thresholds_sha256,
        "findings_sha256": hashlib.sha256(answer.findings_json.encode()).hexdigest(),
        "verdict": answer.verdict,
    }


def waiting_before(session: Session, job: Job) -> int:
    """How many pictures are read before this one."""
    earlier = (Job.deaths < job.deaths) | ((Job.deaths == job.deaths) & (Job.id < job.id))
    count = select(func.count()).select_from(Job).where(Job.state == JobState.QUEUED, earlier)
    working = select(func.count()).select_from(Job).where(Job.state == JobState.WORKING)
    return (session.scalar(count) or 0) + (session.scalar(working) or 0)
