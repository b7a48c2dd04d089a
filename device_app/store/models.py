"""The tables. Times are UTC without a zone; order is by id, because a box's clock may jump.

An examination holds one or more images; an image has one job in the queue and at most one result.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class JobState(StrEnum):
    """Where an image is on its way to an answer."""

    QUEUED = "queued"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


class Base(DeclarativeBase):
    """Declarative base of the kiosk's tables."""


class Examination(Base):
    """One visit of one patient; `public_id` is random and is all that addresses show.

    study_sha256: digest of the DICOM study, under which its views find each other; None for none.
    joined_into_id: the examination that holds its views now, because somebody said that they belong together.
    consent_utc: when somebody stated that the patient agrees to an export without her name; None for none.
    """

    __tablename__ = "examinations"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    received_utc: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(20))
    patient_label: Mapped[str] = mapped_column(String(80))
    study_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    joined_into_id: Mapped[int | None] = mapped_column(ForeignKey("examinations.id"))
    consent_utc: Mapped[datetime | None]
    images: Mapped[list[Image]] = relationship(back_populates="examination", order_by="Image.id")


class Image(Base):
    """One received file; its bytes lie in the content store under `sha256`.

    facts_json: what a person said of the patient, see device_app.facts; empty where nothing. photographed: it
    is a photograph of a film. names_other: the file names another patient than the examination does.
    removed_utc: when its bytes were removed because their time was over (its answer stays); None while they
    are here.
    """

    __tablename__ = "images"

    id: Mapped[int] = mapped_column(primary_key=True)
    examination_id: Mapped[int] = mapped_column(ForeignKey("examinations.id"), index=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    size_bytes: Mapped[int]
    file_name: Mapped[str] = mapped_column(String(120))
    received_utc: Mapped[datetime]
    facts_json: Mapped[str] = mapped_column(Text, default="")
    photographed: Mapped[bool] = mapped_column(default=False)
    names_other: Mapped[bool] = mapped_column(default=False)
    removed_utc: Mapped[datetime | None]
    examination: Mapped[Examination] = relationship(back_populates="images")
    job: Mapped[Job] = relationship(back_populates="image")
    result: Mapped[Result | None] = relationship(back_populates="image")


class Job(Base):
    """The queue's row for an image.

    attempts: how often a worker took it. deaths: how often a worker died or hung over it.
    failure: a FailureCode when the state is failed, else empty.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'working', 'done', 'failed')", name="state_known"),
        CheckConstraint("(state = 'working') = (lease_owner <> '')", name="lease_while_working"),
        Index("ix_jobs_state_order", "state", "deaths", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), unique=True)
    state: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str] = mapped_column(String(32), default="")
    lease_until_utc: Mapped[datetime | None]
    failure: Mapped[str] = mapped_column(String(20), default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    image: Mapped[Image] = relationship(back_populates="job")


class Result(Base):
    """The one answer for an image: Findings as JSON, never changed once written."""

    __tablename__ = "results"

    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), unique=True)
    verdict: Mapped[str] = mapped_column(String(10))
    findings_json: Mapped[str] = mapped_column(Text)
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    created_utc: Mapped[datetime]
    image: Mapped[Image] = relationship(back_populates="result")


class Tally(Base):
    """One try to read a picture, in the few words that weekly figures need; rows are only ever added.

    verdict: a Verdict, or "failed" for a try that ended without any answer; reason: the code of a refusal or
    failure. detail_json: kinds of warnings and milliseconds per stage (device_app.monitoring.tally).
    """

    __tablename__ = "tallies"

    id: Mapped[int] = mapped_column(primary_key=True)
    examination_id: Mapped[int] = mapped_column(ForeignKey("examinations.id"), index=True)
    at_utc: Mapped[datetime]
    bundle_sha256: Mapped[str] = mapped_column(String(64), default="")
    verdict: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(20), default="")
    probability: Mapped[float | None] = mapped_column(Float)
    engine: Mapped[str] = mapped_column(String(40), default="")
    detail_json: Mapped[str] = mapped_column(Text, default="{}")


class Setting(Base):
    """One decision of the site, as JSON; what is not there is as the program comes (device_app.settings)."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value_json: Mapped[str] = mapped_column(Text)


class Person(Base):
    """Somebody who works with the box; rows stay, so that the log can name who did what.

    role: a device_app.access.roles.Role. pin_hash: Argon2id in PHC form. failures, locked_until_utc: see
    device_app.access.lockout.
    """

    __tablename__ = "people"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(40))
    role: Mapped[str] = mapped_column(String(20))
    pin_hash: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    created_utc: Mapped[datetime]
    failures: Mapped[int] = mapped_column(default=0)
    locked_until_utc: Mapped[datetime | None]


class SignIn(Base):
    """A session of somebody who has given a PIN; the browser holds the token, this row its digest."""

    __tablename__ = "sign_ins"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    started_utc: Mapped[datetime]
    seen_utc: Mapped[datetime]
    person: Mapped[Person] = relationship()


class AuditEntry(Base):
    """One entry of the chain of device_app.audit; never changed, never removed."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at_utc: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(30))
    subject: Mapped[str] = mapped_column(String(64))
    detail_json: Mapped[str] = mapped_column(Text)
    previous_sha256: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))


class Reading(Base):
    """What a person said of an examination; rows are only ever added (device_app.readings).

    kind: own (before the box's answer was shown), second (after), outcome (what it was in the end).
    verdict: a device_app.readings.Judgement. boxes_json: places in source pixels, by image. box_verdict: what
    the box had said by then, empty for nothing yet. views: how many there were. image_ids_json: which
    they were, "" for a reading from before that was kept.
    """

    __tablename__ = "readings"
    __table_args__ = (
        CheckConstraint("kind IN ('own', 'second', 'outcome')", name="kind_known"),
        CheckConstraint("verdict IN ('fracture', 'doubt', 'none', 'unreadable')", name="verdict_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    examination_id: Mapped[int] = mapped_column(ForeignKey("examinations.id"), index=True)
    actor: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(10))
    verdict: Mapped[str] = mapped_column(String(10))
    boxes_json: Mapped[str] = mapped_column(Text, default="[]")
    note: Mapped[str] = mapped_column(Text, default="")
    box_verdict: Mapped[str] = mapped_column(String(10), default="")
    views: Mapped[int] = mapped_column(default=1)
    image_ids_json: Mapped[str] = mapped_column(Text, default="")
    at_utc: Mapped[datetime]


class SitePoints(Base):
    """Operating points that a site has chosen for a bundle; rows are only ever added, the last one counts.

    points_json: the thresholds, "" for the bundle's own again. reason: why, in the administrator's words.
    evidence_json: the figures that were shown when it was decided (device_app.site_points).
    """

    __tablename__ = "site_points"

    id: Mapped[int] = mapped_column(primary_key=True)
    at_utc: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(32))
    bundle_sha256: Mapped[str] = mapped_column(String(64), index=True)
    points_json: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    evidence_json: Mapped[str] = mapped_column(Text)
