"""What a site decides for itself, and what the program comes with. Kept in the database, changes logged."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from device_app.retention import MAX_DAYS, MIN_DAYS
from device_app.store.database import Database
from device_app.store.log import Action, append
from device_app.store.models import Setting
from runtime import strict
from runtime.errors import BundleFormatError, InputError

MAX_CLINIC_CHARS = 80
CLOSED = ("sign_in_to_use", "own_read_first")
"""Settings that keep answers from those who are not to see them: on where they cannot be read."""
_log = logging.getLogger("ulna.settings")


@dataclass(frozen=True)
class SiteSettings:
    """clinic: its name, shown on every page and report. language: of the screens, "" for the browser's own.

    sign_in_to_use: whether sending pictures and seeing answers needs a PIN. idle_minutes: after which a
    session ends by itself. own_read_first: the box's answer is hidden until whoever looks has stated her own,
    for which everybody signs in. label_from_file: where nobody has written a patient's number, that in the
    file is shown. set_up: steps of the first run that somebody has gone through (device_app.first_run).
    keep_days: after which pictures are removed, 0 for never (device_app.retention).

    Raises ValueError for a value that cannot be.
    """

    clinic: str = ""
    language: str = ""
    sign_in_to_use: bool = False
    idle_minutes: int = 10
    own_read_first: bool = False
    label_from_file: bool = True
    set_up: tuple[str, ...] = ()
    keep_days: int = 0

    def __post_init__(self) -> None:
        if len(self.clinic) > MAX_CLINIC_CHARS:
            raise ValueError(f"clinic: at most {MAX_CLINIC_CHARS} characters, got {len(self.clinic)}")
        if not 1 <= self.idle_minutes <= 240:
            raise ValueError(f"idle_minutes: 1 to 240, got {self.idle_minutes}")
        if self.keep_days != 0 and not MIN_DAYS <= self.keep_days <= MAX_DAYS:
            raise ValueError(f"keep_days: 0, or {MIN_DAYS} to {MAX_DAYS}, got {self.keep_days}")

    @property
    def asks_for_pin(self) -> bool:
        """Whether nobody sees an answer without having signed in."""
        return self.sign_in_to_use or self.own_read_first

    @property
    def idle(self) -> timedelta:
        """`idle_minutes` as a span."""
        return timedelta(minutes=self.idle_minutes)


class Settings:
    """The site's decisions. One instance a process, which alone changes them while it runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._kept: SiteSettings | None = None

    def now(self) -> SiteSettings:
        """As they are. What a later version wrote and this one does not know is left out."""
        with self._lock:
            if self._kept is None:
                self._kept = self._read()
            return self._kept

    def change(self, actor: str, **values: object) -> SiteSettings:
        """Write some of them; each that differs is logged with both values. Raises InputError."""
        with self._lock:
            before = self._read()
            after = _built({**dataclasses.asdict(before), **values})
            with self._database.write() as session:
                for name, value in dataclasses.asdict(after).items():
                    former = getattr(before, name)
                    if value != former:
                        session.merge(Setting(name=name, value_json=json.dumps(value)))
                        append(session, actor, Action.SETTING_CHANGED, name, before=former, after=value)
            self._kept = after
            return after

    def _read(self) -> SiteSettings:
        with self._database.read() as session:
            stored = {row.name: row.value_json for row in session.scalars(select(Setting)).all()}
        found = SiteSettings()
        for field in dataclasses.fields(SiteSettings):
            if field.name in stored:
                found = _with(found, field.name, stored[field.name])
        return found


def _with(settings: SiteSettings, name: str, text: str) -> SiteSettings:
    """With one stored value. One that is spoilt, or of a later version, is as if it were not there; one of
    CLOSED is on then.
    """
    try:
        return _built({**dataclasses.asdict(settings), name: strict.loads(str(text).encode(), name)})
    except (BundleFormatError, InputError):
        _log.error("the stored setting %s cannot be used", name)
        return _built({**dataclasses.asdict(settings), name: True}) if name in CLOSED else settings


def _built(values: dict[str, object]) -> SiteSettings:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    try:
        return strict.build(SiteSettings, plain, "settings")
    except BundleFormatError as error:
        raise InputError(f"a setting cannot be used: {error}", "choose another value") from error
