"""The children of runtime.readers.zygote: one reads one picture. It is forked before the picture comes.

A fork, and the copies of memory that its first steps cost, take longer than decoding a small radiograph; so a
child is made, and reads a picture of its own, while nobody waits. Then it waits for a request, and says
itself when it has answered: taking it down also takes longer than decoding.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import mmap
import os
import resource
import select
import signal
import socket
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime import confine
from runtime.errors import InputError
from runtime.readers import answer, inside
from runtime.readers.limits import DEFAULT_LIMITS, ReadLimits
from runtime.readers.marks import HEAD_BYTES, is_dicom
from runtime.readers.protocol import (
    MESSAGE_BYTES,
    OUT_OF_MEMORY,
    Ending,
    child_wait_s,
    is_reply,
    limits_of,
    receive,
    reply_of,
)

_BYTES_A_PIXEL = 2
_MAPPED_FROM_BYTES = 1 << 20
_KIB = 1024
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Child:
    """One that waits for a byte in `go` before it takes the request from the zygote's own channel.

    said: what it writes there when it has answered; nothing but an end where it died.
    """

    pid: int
    go: int
    said: int

    def read(self, limits: ReadLimits) -> bytes:
        """Have it take the request; its words on how that ended, or what there is to say of it."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.go, b"!")
        if not select.select([self.said], [], [], child_wait_s(limits))[0]:
            return reply_of(Ending(-signal.SIGXCPU, 0, float(limits.cpu_s)))  # it sleeps, or is starved
        said = os.read(self.said, MESSAGE_BYTES)
        if said:
            return said if is_reply(said) else reply_of(Ending(1, 0, 0.0))
        seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert seen is not None
        status = seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status
        return reply_of(Ending(status, 0, 0.0))

    def end(self) -> None:
        """Wait until nothing is left of it."""
        for descriptor in (self.go, self.said):
            os.close(descriptor)
        os.kill(self.pid, signal.SIGKILL)  # whatever it would still do, nobody waits for it
        os.waitpid(self.pid, 0)


def fork(channel: socket.socket, statm: int) -> Child:
    """A child that is ready for a request. statm: opened /proc/self/statm."""
    mapped = confine.mapped_bytes(statm)
    go, said = os.pipe(), os.pipe()
    gc.collect()
    gc.freeze()  # what is there now is never looked through again, which would copy it
    pid = os.fork()
    if pid == 0:
        os.close(go[1])
        os.close(said[0])
        _live(channel, mapped, go[0], said[1])
    os.close(go[0])
    os.close(said[1])
    return Child(pid, go[1], said[0])


def _live(channel: socket.socket, mapped: int, go: int, said: int) -> None:
    """Wait, read, answer, end. Never returns."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        inside.read(_a_picture(), "", DEFAULT_LIMITS)
        if os.read(go, 1):
            request, descriptors = receive(channel)
            channel.close()
            _serve(limits_of(request), mapped, *descriptors)
            used = resource.getrusage(resource.RUSAGE_SELF)
            os.write(said, reply_of(Ending(0, used.ru_maxrss * _KIB, used.ru_utime + used.ru_stime)))
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY
    finally:
        os._exit(status)


@functools.cache
def _a_picture() -> bytes:
    import cv2

    done, data = cv2.imencode(".jpg", np.zeros((32, 32), np.uint8))
    assert done
    return data.tobytes()


def _bytes_of(given: int) -> bytes | mmap.mmap:
    """A large file as it lies there: each further copy costs more than most of its reading."""
    size = os.fstat(given).st_size
    if size >= _MAPPED_FROM_BYTES and is_dicom(os.pread(given, HEAD_BYTES, 0)):
        return mmap.mmap(given, size, access=mmap.ACCESS_READ)
    return os.pread(given, size, 0)


def _serve(
    limits: ReadLimits, mapped: int, given: int, pixels: int, words: int, header: int | None = None
) -> None:
    longest = _BYTES_A_PIXEL * limits.max_pixels + answer.MAX_BYTES
    confine.limit(confine.Allowance(limits.memory_bytes, limits.cpu_s, longest), mapped)
    confine.forbid_processes()
    os.write(words, _read(limits, given, pixels, header))


def _read(limits: ReadLimits, given: int, pixels: int, header: int | None) -> bytes:
    try:
        data = _bytes_of(given)
        if header is not None:
            _tell_header(data, header)
        radiograph = inside.read(data, "", limits)  # the digest is the parent's to take
    except InputError as error:
        return answer.of_refusal(error)
    at = _place_in(data, radiograph.pixels)
    rest = memoryview(radiograph.pixels.reshape(-1).view(np.uint8).data) if at is None else b""
    while rest:
        rest = rest[os.write(pixels, rest) :]
    return answer.of_picture(radiograph, at)


def _tell_header(data: bytes | mmap.mmap, header: int) -> None:
    """Whose picture it is, before a decoder may crash on it. What is wrong with it, reading will say."""
    try:
        os.write(header, answer.of_header(inside.read_header(data)))
    except InputError:
        os.write(header, b"-")
    finally:
        os.close(header)


def _place_in(data: bytes | mmap.mmap, pixels: NDArray[np.uint16]) -> int | None:
    """The byte of a mapped file from which on the pixels stand as they are, if they do."""
    if isinstance(data, bytes) or not pixels.flags.c_contiguous:
        return None
    at = pixels.ctypes.data - np.frombuffer(data, np.uint8).ctypes.data
    inside_it = 0 <= at <= len(data) - pixels.nbytes
    return int(at) if inside_it and at % 2 == 0 else None
