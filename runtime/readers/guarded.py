"""The parent's side of runtime.readers.zygote: a picture's bytes go over, a picture or a refusal comes back.

One zygote a process, started at the first need or by `start`; one picture at a time. What comes back is
checked as if it came from the stranger whose file was read.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ReaderUnavailableError, UnreadableImageError, UnsupportedImageError
from runtime.radiograph import FileSays, Radiograph
from runtime.readers import answer
from runtime.readers.answer import Beside
from runtime.readers.limits import ReadLimits
from runtime.readers.marks import is_dicom
from runtime.readers.protocol import (
    MESSAGE_BYTES,
    OUT_OF_MEMORY,
    Ending,
    ending_of,
    request_of,
    zygote_wait_s,
)

Listener: TypeAlias = Callable[[FileSays], None]
"""May be told twice, where the reading process had to be started anew."""

_READY_WITHIN_S = 60.0
_ATTEMPTS = 2
_FIRST_FREE = 3
_MIB = 1 << 20
_FIXED = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_ADVICE = "Export or copy the image again; if that does not help, send it in another format."
_AGAIN = "Try again. If it happens again, restart this machine and call the technician."


class _LostError(Exception):
    """The zygote is gone or does not answer: nothing is known of the picture."""


@dataclass(frozen=True)
class Reply:
    """How the child ended, and what it left: words, and what is beside them. sha256: of what it was given."""

    ending: Ending
    words: bytes
    beside: Beside
    sha256: str


class Zygote:
    """A running one. Starting it returns at once; the first request waits until it is ready."""

    def __init__(self) -> None:
        ours, theirs = (_high(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        # -P, and our own module path instead: the current folder may be a stranger's USB stick.
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "runtime.readers.zygote", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # with its child it can be ended as one
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        self._channel = ours
        self._missing: str | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """What the kernel cannot enforce (runtime.confine). Waits until the zygote is ready."""
        if self._missing is None:
            self._missing = self._hear(_READY_WITHIN_S).decode("ascii", "replace").strip("-")
        return tuple(self._missing.split(",")) if self._missing else ()

    def ask(self, data: bytes, limits: ReadLimits, listener: Listener | None = None) -> Reply:
        """listener: is told whose picture it is while the child decodes it.

        Raises _LostError where there is no reply in time; the zygote is of no use after that.
        """
        _ = self.missing
        with contextlib.ExitStack() as open_files:
            given, pixels, words = (_memory(name, open_files) for name in ("given", "pixels", "words"))
            _write(given, data)
            fcntl.fcntl(given, fcntl.F_ADD_SEALS, _FIXED)
            header = _Header(open_files) if listener is not None and is_dicom(data) else None
            self._send(request_of(limits), [given, pixels, words, *([header.theirs] if header else [])])
            says = header.said(self._channel, zygote_wait_s(limits)) if header else FileSays()
            if listener is not None and says is not None:
                listener(says)
            sha256 = hashlib.sha256(data).hexdigest()  # while the child reads
            said = self._hear(zygote_wait_s(limits))
            told = os.pread(words, answer.MAX_BYTES + 1, 0)
            return Reply(ending_of(said), told, Beside(_pixels_in(pixels, limits), _mapped(given)), sha256)

    def end(self) -> None:
        """With its child, wherever that is."""
        self._channel.close()
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        try:
            socket.send_fds(self._channel, [request], descriptors)
        except OSError as error:
            raise _LostError(str(error)) from error

    def _hear(self, within_s: float) -> bytes:
        self._channel.settimeout(within_s)
        try:
            said = self._channel.recv(MESSAGE_BYTES)
        except OSError as error:
            raise _LostError(str(error)) from error
        if not said:
            raise _LostError("the reading process has ended")
        return said


class _Header:
    """A pipe in which a child says whose picture it is, in one go and before anything else."""

    def __init__(self, open_files: contextlib.ExitStack) -> None:
        self._ours, self.theirs = os.pipe()
        open_files.callback(os.close, self._ours)
        open_files.callback(os.close, self.theirs)

    def said(self, channel: socket.socket, within_s: float) -> FileSays | None:
        """None of a child that does not get so far: then `channel` has word of its end."""
        told, _, _ = select.select([self._ours, channel.fileno()], [], [], within_s)
        return answer.understand_header(os.read(self._ours, select.PIPE_BUF)) if self._ours in told else None


class _Holder:
    """This process's zygote, if it has one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.zygote: Zygote | None = None

    def start(self) -> Zygote:
        if self.zygote is None:
            self.zygote = Zygote()
        return self.zygote

    def end(self) -> None:
        if self.zygote is not None:
            self.zygote.end()
            self.zygote = None


_holder = _Holder()


def start() -> None:
    """Begin to start the reading process, so that the first picture need not wait for it."""
    with _holder.lock, contextlib.suppress(OSError):
        _holder.start()


def missing() -> tuple[str, ...]:
    """What this machine's kernel cannot keep a reading process from, of runtime.confine's names.

    Raises ReaderUnavailableError where the reading process does not start.
    """
    with _holder.lock:
        try:
            return _holder.start().missing
        except (_LostError, OSError) as error:
            _holder.end()
            raise _no_reader(error) from error


def read(data: bytes, limits: ReadLimits, listener: Listener | None = None) -> Radiograph:
    """Read one image in a child. listener: see runtime.readers.read_bytes.

    Raises UnreadableImageError and UnsupportedImageError as the child does, the
    first for a child that crashes, takes too long, or talks nonsense, and ReaderUnavailableError for none.
    """
    return judged(ask(data, limits, listener), limits)


def header(data: bytes, limits: ReadLimits) -> FileSays | None:
    """What a header says; see runtime.readers.read_header. Raises ReaderUnavailableError."""
    if not is_dicom(data):
        return FileSays()
    said: list[FileSays] = []
    ask(data, limits, said.append)
    return said[-1] if said else None


def judged(reply: Reply, limits: ReadLimits) -> Radiograph:
    """What a reply says. Raises as `read` does."""
    if reply.ending.status != 0:
        raise _refusal(reply.ending.status, limits)
    return answer.understand(reply.words, reply.beside, reply.sha256)


def ask(data: bytes, limits: ReadLimits, listener: Listener | None = None) -> Reply:
    """Have it read. A zygote that is gone says nothing against the file: a new one is asked, once.

    Raises ReaderUnavailableError where there is no reply.
    """
    with _holder.lock:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _holder.start().ask(data, limits, listener)
            except (_LostError, OSError, ValueError) as error:
                _holder.end()
                if attempt == _ATTEMPTS or isinstance(error.__cause__, TimeoutError):
                    raise _no_reader(error) from error
            except BaseException:  # Ctrl-C while it reads: the reply would be taken for the next picture's
                _holder.end()
                raise
    raise AssertionError("unreachable")


def _refusal(status: int, limits: ReadLimits) -> UnreadableImageError | UnsupportedImageError:
    if status == OUT_OF_MEMORY:
        return UnsupportedImageError(
            f"reading the file takes more than {limits.memory_bytes // _MIB} MiB of memory", _ADVICE
        )
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return UnreadableImageError(
            f"reading the file takes more than {limits.cpu_s} s of computing", _ADVICE
        )
    # A native decoder that is refused memory crashes just as one that a damaged file has led astray.
    return UnreadableImageError("the file is damaged or too large: its decoder crashed", _ADVICE)


def _no_reader(error: Exception) -> ReaderUnavailableError:
    return ReaderUnavailableError(f"the program that reads pictures gave no answer ({error})", _AGAIN)


def _high(end: socket.socket) -> socket.socket:
    """The same end above the standard streams, which a service may have been started without."""
    with end:
        return socket.socket(fileno=fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE))


def _memory(name: str, open_files: contextlib.ExitStack) -> int:
    descriptor = os.memfd_create(f"ulna-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    open_files.callback(os.close, descriptor)
    return descriptor


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _pixels_in(descriptor: int, limits: ReadLimits) -> NDArray[np.uint16]:
    """(N,) as the child left them: sealed before anything is believed of them, since it may still live."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _FIXED)
    except OSError:  # somebody keeps a hold on them: what is copied now cannot change any more
        held = os.pread(descriptor, 2 * limits.max_pixels + 2, 0)
        return np.frombuffer(held[: len(held) // 2 * 2], np.uint16)
    size = os.fstat(descriptor).st_size
    if size == 0 or size % 2 or size > 2 * limits.max_pixels:
        return np.zeros(0, np.uint16)
    return _mapped(descriptor).view(np.uint16)


def _mapped(descriptor: int) -> NDArray[np.uint8]:
    """(N,) a sealed file in memory, which lives as long as this does."""
    if os.fstat(descriptor).st_size == 0:  # which cannot be mapped
        return np.zeros(0, np.uint8)
    return np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ), np.uint8)


def _forget() -> None:
    """In a forked process the zygote is its parent's."""
    global _holder  # noqa: PLW0603
    _abandoned.append(_holder)
    _holder = _Holder()


def _end() -> None:
    _holder.end()


_abandoned: list[_Holder] = []  # kept, so that nobody finalises a process that belongs to another one
os.register_at_fork(after_in_child=_forget)
atexit.register(_end)
