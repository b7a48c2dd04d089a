"""The DICOM receiver: starts the process that speaks with senders, stores what it offers, replaces it.

The port is opened here and inherited, so that it stays open while that process is replaced: who connects in
the meantime waits. A sender is answered with success only after `Records.receive` has returned.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from device_app.config import DicomOptions, IntakePace
from device_app.intake import dicom_channel
from device_app.intake.dicom_channel import (
    CANNOT_STORE,
    OUT_OF_RESOURCES,
    READY,
    REFUSED,
    STORED,
    Offer,
    ReceiverArguments,
)
from device_app.intake.dicom_objects import file_head
from device_app.intake.door import Door, Fate, Outcome, SourceFailedError
from device_app.intake.sources import SourceKind, Sources, Trouble
from device_app.listening import listen
from device_app.store.log import BOX
from device_app.store.records import Upload
from runtime.errors import UlnaError

_log = logging.getLogger(__name__)
_KIND = SourceKind.DICOM
_LOOK_EVERY_S = 0.5
_SIGNS_OF_LIFE = 6
_JOIN_S = 5.0


@dataclass
class _Process:
    """A receiver's process and the channel to it."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    heard_s: float
    ready: bool = False


class DicomReceiver:
    """Keeps one receiver's process alive on a thread of its own, from `start` to `stop`.

    Raises UlnaError when pynetdicom is not installed or the port cannot be had.
    """

    def __init__(
        self, options: DicomOptions, max_object_bytes: int, door: Door, sources: Sources, pace: IntakePace
    ) -> None:
        if importlib.util.find_spec("pynetdicom") is None:
            raise UlnaError("pynetdicom is not installed", 'run pip install "ulna[dicom]"')
        self._options, self._max_object_bytes = options, max_object_bytes
        self._door, self._sources, self._pace = door, sources, pace
        self._listener = listen(options.host, options.port, "--dicom-host or --dicom-port")
        self.port: int = self._listener.getsockname()[1]
        self._process: _Process | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dicom-receiver", daemon=True)
        sources.open(_KIND, f"{options.ae_title}, port {self.port}", Trouble.STARTING)

    @property
    def pid(self) -> int | None:
        """Of the process that speaks with senders; None between two."""
        running = self._process
        return None if running is None else running.process.pid

    def start(self) -> None:
        """Start the first process; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End it. What was not answered stays with its sender."""
        self._stopping.set()
        self._thread.join(_JOIN_S)
        self._listener.close()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            if self._live_once():
                pause_s = 0.0
            else:
                pause_s = min(max(2 * pause_s, self._pace.first_pause_s), self._pace.longest_pause_s)

    def _live_once(self) -> bool:
        """One process from start to end; True when it got as far as receiving."""
        running = None
        try:
            running = self._process = self._spawn()
            self._serve(running)
            ready = running.ready
        except Exception as error:  # this thread must outlive whatever happens, and say so
            _log.exception("the DICOM receiver failed")
            self._sources.note(_KIND, Trouble.FAILED, type(error).__name__)
            return False
        finally:
            self._process = None
            if running is not None:
                _end(running)
        if not self._stopping.is_set():
            code = running.process.returncode
            self._sources.note(_KIND, Trouble.FAILED, f"ended with code {code}" if code >= 0 else "")
        return ready

    def _spawn(self) -> _Process:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = self._arguments(theirs.fileno())
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "device_app.intake.dicom_process", arguments.to_text()],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                pass_fds=(theirs.fileno(), self._listener.fileno()),
                start_new_session=True,  # a Ctrl-C meant for the kiosk is not meant for it
            )
        return _Process(process, ours, time.monotonic())

    def _arguments(self, channel: int) -> ReceiverArguments:
        options = self._options
        return ReceiverArguments(
            listener=self._listener.fileno(),
            channel=channel,
            ae_title=options.ae_title,
            callers=options.callers,
            peers=options.peers,
            max_object_bytes=self._max_object_bytes,
            memory_bytes=options.limits.memory_bytes,
            associations=options.limits.associations,
            handshake_s=options.limits.handshake_s,
            idle_s=options.limits.idle_s,
            object_s=options.limits.object_s,
            alive_every_s=options.limits.silence_s / _SIGNS_OF_LIFE,
        )

    def _serve(self, running: _Process) -> None:
        """Answer a process until it ends, hangs, or is no longer wanted."""
        while not self._stopping.is_set():
            if not select.select([running.channel], [], [], _LOOK_EVERY_S)[0]:
                if time.monotonic() - running.heard_s > self._options.limits.silence_s:
                    return
                continue
            heard = dicom_channel.receive(running.channel)
            if heard is None:
                return
            running.heard_s = time.monotonic()
            message, descriptors = heard
            try:
                self._take_in(running, message, descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _take_in(self, running: _Process, message: dict[str, Any], descriptors: list[int]) -> None:
        if message.get("event") == READY:
            running.ready = True
            self._sources.note(_KIND, Trouble.NONE)
        if message.get("event") == REFUSED:
            self._sources.count(_KIND, str(Fate.REFUSED))
        if "event" in message:
            return
        offer = Offer.of_message(message)
        outcome = self._store(offer, descriptors[0])
        with contextlib.suppress(OSError):  # it has ended: its sender was told nothing, and sends again
            dicom_channel.send(running.channel, {"number": offer.number, "status": _status(outcome)})

    def _store(self, offer: Offer, descriptor: int) -> Outcome:
        if not dicom_channel.is_sealed(descriptor):
            raise ValueError("the receiver's process could still change what it offers")
        head = file_head(offer.sop_class, offer.sop_instance, offer.syntax)
        upload = Upload(f"{offer.sop_instance}.dcm", source=str(_KIND), actor=BOX)
        outcome = self._door.take(_Joined(head, descriptor), upload)
        if outcome.fate in (Fate.TAKEN, Fate.KNOWN, Fate.REFUSED):
            self._sources.count(_KIND, str(outcome.fate))
        self._sources.note(_KIND, outcome.trouble)
        return outcome


class _Joined:
    """A head, then the bytes of a file from its beginning."""

    def __init__(self, head: bytes, descriptor: int) -> None:
        self._head, self._descriptor, self._at = head, descriptor, 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        try:
            data = os.pread(self._descriptor, size, self._at)
        except OSError as error:
            raise SourceFailedError(f"the received object cannot be read: {error.strerror}") from error
        self._at += len(data)
        return data


def _status(outcome: Outcome) -> int:
    if outcome.fate.stored:
        return STORED
    return OUT_OF_RESOURCES if outcome.fate is Fate.LATER else CANNOT_STORE


def _end(running: _Process) -> None:
    running.channel.close()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait()
