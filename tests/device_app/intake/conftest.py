"""A door into a real store, and folders that are looked at without waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from device_app.config import IntakePace
from device_app.intake.door import Door
from device_app.intake.folder import WatchFolder
from device_app.intake.sources import Sources
from device_app.store import Store

PACE = IntakePace(
    look_every_s=0.05, settled_s=0.05, refuse_after_s=0.05, first_pause_s=0.05, longest_pause_s=0.2
)


class Clock:
    """Stands still until it is told to go on; in seconds."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Bell:
    """Counts how often the reader was woken."""

    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sources(clock: Clock) -> Sources:
    return Sources(clock)


@pytest.fixture
def door(store: Store, bell: Bell) -> Door:
    return Door(store.records, bell)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures from the X-ray room"
    made.mkdir()
    return made


@pytest.fixture
def watch(folder: Path, door: Door, sources: Sources, clock: Clock) -> WatchFolder:
    return WatchFolder(folder, door, sources, PACE, clock)


@pytest.fixture
def stored(store: Store) -> Callable[[], list[str]]:
    """Names of the stored pictures, as the screens show them, oldest first."""

    def names() -> list[str]:
        rows = store.records.history(1, 10_000).examinations
        return [image.file_name for row in reversed(rows) for image in row.images]

    return names
