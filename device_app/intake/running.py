"""All sources that a kiosk is told to use, started and ended together."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from flask import Flask

from device_app.intake.dicom import DicomReceiver
from device_app.intake.door import Door
from device_app.intake.folder import WatchFolder, check_folder
from device_app.intake.sources import Sources, install_sources
from device_app.intake.stick import Sticks, install_sticks
from device_app.web import kiosk_of


class Source(Protocol):
    """A way in, at work between `start` and `stop`."""

    def start(self) -> None:
        """Begin; returns at once."""
        ...

    def stop(self) -> None:
        """End, in bounded time."""
        ...


class Intake:
    """The sources of an application's kiosk; they use its store, whose intake knows one process only.

    Raises InputError for a watched folder that cannot be one, UlnaError for a DICOM port that cannot be had.
    """

    def __init__(self, app: Flask) -> None:
        kiosk = kiosk_of(app)
        config, sources = kiosk.config, Sources()
        install_sources(app, sources)
        door = Door(kiosk.store.records, kiosk.reader.wake)
        self._sources: list[Source] = []
        if config.watch is not None:
            check_folder(config.watch, config.data_dir)
            self._sources.append(WatchFolder(config.watch, door, sources, config.pace))
        if config.dicom is not None:
            limit_bytes = config.max_upload_bytes
            self._sources.append(DicomReceiver(config.dicom, limit_bytes, door, sources, config.pace))
        if config.media.roots:
            sticks = Sticks(config.media, door, sources, config.pace)
            install_sticks(app, sticks)
            self._sources.append(sticks)

    def __enter__(self) -> Self:
        for source in self._sources:
            source.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for source in reversed(self._sources):
            source.stop()
