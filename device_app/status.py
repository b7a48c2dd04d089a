"""What the box can do right now, as its supervisor sees it; every screen shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

RETIRED = "is out of service"
"""In the words of `engine_reason` for an engine that failed since the machine was started."""


class Phase(StrEnum):
    """Whether pictures are being read. Only READY means that answers are to be expected."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    CANNOT_ANSWER = "cannot_answer"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ReaderStatus:
    """The inference process.

    reason, hint: why it cannot answer and what to do, in plain words; empty otherwise.
    engine: key of the engine that passed the self-test, like "onnxruntime-int8".
    bundle_sha256: digest of the manifest in use.
    asks: facts of the patient that the model takes beside the picture (device_app.facts), "" for none,
    and as long as bundle_sha256 is empty for not known yet.
    engines: what the self-test found out about each (device_app.engine_report). made_utc: when the bundle
    was made.
    limits: by what it decides and why (device_app.limits_text), "" for not known yet.
    """

    phase: Phase
    reason: str = ""
    hint: str = ""
    engine: str = ""
    engine_reason: str = ""
    bundle_name: str = ""
    bundle_version: str = ""
    bundle_sha256: str = ""
    asks: str = ""
    limits: str = ""
    engines: str = ""
    made_utc: str = ""
    pid: int | None = None
    restarts: int = 0

    @property
    def cannot_answer(self) -> bool:
        """Whether nobody should wait for an answer."""
        return self.phase in (Phase.CANNOT_ANSWER, Phase.STOPPED)

    @property
    def has_retired(self) -> bool:
        """Whether an engine was taken out of service."""
        return RETIRED in self.engine_reason


def utc_of(text: str) -> datetime:
    """A moment as ISO 8601 writes it, without a zone. Raises ValueError for what is none."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


class Reader(Protocol):
    """What the screens need of the inference process."""

    def status(self) -> ReaderStatus:
        """How it is."""
        ...

    def wake(self) -> None:
        """Something was queued."""
        ...


class NoReader:
    """No inference process: pictures are stored, none is read."""

    def status(self) -> ReaderStatus:
        """Always stopped."""
        return ReaderStatus(Phase.STOPPED, reason="the program that reads pictures is not running")

    def wake(self) -> None:
        """Nobody listens."""
