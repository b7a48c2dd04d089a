"""What of a box is broken, each part looked at by itself, without the store that could not be opened."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from device_app.audit import faults
from device_app.config import KioskConfig
from device_app.mend import condition
from device_app.store import DATABASE_NAME
from device_app.store.copies import copies, made_utc
from device_app.store.database import said_of
from device_app.store.files import stored_pictures
from device_app.store.log import written_of
from device_app.store.log_end import EMPTIED, NEVER_ALONE, is_told, known_end
from device_app.store.models import Base
from device_app.store.recover_source import Condition, Examined, find_rows, opened
from runtime.backends.base import BackendOptions
from runtime.bundle import open_bundle
from runtime.errors import UlnaError
from runtime.selftest import SelfTestPlan, choose
from runtime.trust import TrustStore

_SPARE_BYTES = 64 << 20
"""Beside a second database, which migrating and mending need."""
_AUDIT = Base.metadata.tables["audit"]
_NEVER_ALONE = tuple(Base.metadata.tables[one.__tablename__] for one in NEVER_ALONE)


class Part(StrEnum):
    """What is looked at, in this order: what later ones need comes first."""

    FOLDER = "folder"
    DISK = "disk"
    DATABASE = "database"
    VERSION = "version"
    LOG = "log"
    BUNDLE = "bundle"
    ENGINE = "engine"


@dataclass(frozen=True)
class PartState:
    """ok: None where it cannot be told. detail: what was found, for a technician."""

    part: Part
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True)
class Kept:
    """What lies in the data folder all the same. copy: of the database, the newest; "" for none."""

    pictures: int
    size_bytes: int
    copy: str = ""


def look(config: KioskConfig, part: Part, examined: Examined | None = None) -> PartState:
    """How one part is; whatever goes wrong in looking is said of that part alone.

    examined: the database, where that was done already: it takes long of a large one.
    """
    try:
        if part in _OF_DATABASE:
            return _OF_DATABASE[part](examined or condition(config.data_dir))
        return _LOOKS[part](config)
    except (UlnaError, OSError) as error:
        return PartState(part, False, str(error))
    except Exception as error:  # the page that says what is wrong must come up whatever is
        return PartState(part, None, said_of(error))


def kept(folder: Path) -> Kept:
    """Counted, not read; nothing of what cannot be looked at."""
    sizes = []
    try:
        sizes = [path.stat().st_size for path in stored_pictures(folder)]
        newest = next(iter(copies(folder)), None)
        made = "" if newest is None else made_utc(newest).isoformat(" ", "minutes")
        return Kept(len(sizes), sum(sizes), made)
    except Exception:  # the page must come up whatever is
        return Kept(len(sizes), sum(sizes))


def _folder(config: KioskConfig) -> PartState:
    with tempfile.TemporaryFile(dir=config.data_dir) as file:
        file.write(b"ulna")
    return PartState(Part.FOLDER, True, str(config.data_dir))


def _disk(config: KioskConfig) -> PartState:
    place = next(path for path in (config.data_dir, *config.data_dir.parents) if path.is_dir())
    found, names = shutil.disk_usage(place), os.statvfs(place)
    database = config.data_dir / DATABASE_NAME
    needed = _SPARE_BYTES + (database.stat().st_size if database.is_file() else 0)
    no_names = names.f_files > 0 and names.f_favail == 0
    said = f"{found.free / 1e9:.1f} GB free of {found.total / 1e9:.1f} GB"
    return PartState(Part.DISK, found.free >= needed and not no_names, said)


def _database(found: Examined) -> PartState:
    if found.condition is Condition.UNREADABLE:
        return PartState(Part.DATABASE, None, found.detail)
    return PartState(Part.DATABASE, found.condition in (Condition.SOUND, Condition.NEWER), found.detail)


def _version(found: Examined) -> PartState:
    known = {Condition.SOUND: True, Condition.NEWER: False}.get(found.condition)
    return PartState(Part.VERSION, known, found.detail or found.revision)


def _log(config: KioskConfig) -> PartState:
    path = config.data_dir / DATABASE_NAME
    if not path.exists():
        return PartState(Part.LOG, None, "there is none")
    with opened(path) as connection:
        found = find_rows(connection, _AUDIT)
        beside = not found.rows and any(find_rows(connection, table).rows for table in _NEVER_ALONE)
    wrong = [EMPTIED] if found.whole and beside else []
    chain = [written_of(found.rows[number]) for number in sorted(found.rows)]
    end = known_end(config.data_dir)
    missed = () if end is None or is_told(chain, end) else (end,)
    wrong += faults(chain, missed) + ([] if found.whole else ["some of it cannot be read"])
    return PartState(Part.LOG, not wrong, "; ".join(wrong[:3]) or f"{len(chain)} entries")


def _bundle(config: KioskConfig) -> PartState:
    trust = TrustStore.from_paths(*config.trust) if config.trust else None
    bundle = open_bundle(config.bundle, trust)
    return PartState(Part.BUNDLE, True, f"{bundle.manifest.name} {bundle.manifest.version}")


def _engine(config: KioskConfig) -> PartState:
    trust = TrustStore.from_paths(*config.trust) if config.trust else None
    choice = choose(open_bundle(config.bundle, trust), BackendOptions(threads=config.threads), SelfTestPlan())
    return PartState(Part.ENGINE, True, f"{choice.key}: {choice.reason}")


_OF_DATABASE: dict[Part, Callable[[Examined], PartState]] = {Part.DATABASE: _database, Part.VERSION: _version}
_LOOKS: dict[Part, Callable[[KioskConfig], PartState]] = {
    Part.FOLDER: _folder,
    Part.DISK: _disk,
    Part.LOG: _log,
    Part.BUNDLE: _bundle,
    Part.ENGINE: _engine,
}
