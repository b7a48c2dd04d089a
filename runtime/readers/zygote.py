"""The process in which pictures are read: started once, it makes a child for each picture (a "zygote").

It has the libraries loaded and has given up files, network and programs before it is told anything; a child
besides has limits of memory and time, reads one picture, and ends. What a hostile file does to a child ends
with it. The parent is runtime.readers.guarded, the words are those of runtime.readers.protocol.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from pathlib import Path

import numpy as np

import runtime
from runtime import confine
from runtime.errors import InputError
from runtime.readers import answer, inside
from runtime.readers.limits import ReadLimits
from runtime.readers.protocol import (
    DESCRIPTORS,
    MESSAGE_BYTES,
    OUT_OF_MEMORY,
    Ending,
    limits_of,
    reply_of,
)

_BYTES_A_PIXEL = 2
_KIB = 1024
_PR_SET_PDEATHSIG = 1
_FIRST_TO_END = b"1000"
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")


def main() -> None:
    """Serve the socket whose descriptor is the only argument, until the other end closes."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    _prepare()
    statm = os.open(confine.STATM, os.O_RDONLY)
    # An editable installation is on no path.
    readable = (*_LIBRARIES, sys.prefix, sys.base_prefix, *sys.path, *runtime.__path__)
    missing = confine.confine(Path(name) for name in readable if name)
    os.write(channel.fileno(), ",".join(missing).encode() or b"-")
    while _serve(channel, statm):
        pass


def _serve(channel: socket.socket, statm: int) -> bool:
    """One picture; False where there is nobody left to read for."""
    request, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, DESCRIPTORS)
    if not request:
        return False
    if inside.is_dicom(os.pread(descriptors[0], inside.HEAD_BYTES, 0)):
        _load_dicom()
    mapped = confine.mapped_bytes(statm)
    child = os.fork()
    if child == 0:
        channel.close()
        _be_the_child(limits_of(request), mapped, *descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    _, status, used = os.wait4(child, 0)
    ending = Ending(os.waitstatus_to_exitcode(status), used.ru_maxrss * _KIB, used.ru_utime + used.ru_stime)
    os.write(channel.fileno(), reply_of(ending))
    return True


def _prepare() -> None:
    """What needs other processes or files, before there are none."""
    import cv2

    cv2.setNumThreads(1)  # a child has only the thread that made it
    with contextlib.suppress(OSError):  # should memory run out, this one goes first
        Path("/proc/self/oom_score_adj").write_bytes(_FIRST_TO_END)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business


def _load_dicom() -> None:
    """Once, at the first such picture: it takes as long as everything else together."""
    with contextlib.suppress(ImportError):
        import pydicom.encaps
        import pydicom.filereader
        import pydicom.pixels  # noqa: F401

        from runtime.readers import dicom  # noqa: F401


def _be_the_child(limits: ReadLimits, mapped: int, given: int, pixels: int, words: int) -> None:
    """Read, answer, end. Never returns."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        longest = _BYTES_A_PIXEL * limits.max_pixels + answer.MAX_BYTES
        confine.limit(confine.Allowance(limits.memory_bytes, limits.cpu_s, longest), mapped)
        confine.forbid_processes()
        os.write(words, _read(limits, given, pixels))
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY
    finally:
        os._exit(status)


def _read(limits: ReadLimits, given: int, pixels: int) -> bytes:
    data = os.pread(given, os.fstat(given).st_size, 0)
    try:
        radiograph = inside.read(data, "", limits)  # the digest is the parent's to take
    except InputError as error:
        return answer.of_refusal(error)
    rest = memoryview(radiograph.pixels.reshape(-1).view(np.uint8).data)
    while rest:
        rest = rest[os.write(pixels, rest) :]
    return answer.of_picture(radiograph)


if __name__ == "__main__":
    main()
