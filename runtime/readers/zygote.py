"""The process in which pictures are read: started once, it makes a child for each picture (a "zygote").

It has the libraries loaded and has given up files, network and programs before it is told anything, and
looks at no picture itself. A child (runtime.readers.offspring) besides has limits of memory and time, reads
one, and ends: what a hostile file does to a child ends with it. The parent is runtime.readers.guarded, the
words are those of runtime.readers.protocol.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import NamedTuple

import runtime
from runtime import confine
from runtime.readers import offspring
from runtime.readers.limits import ReadLimits
from runtime.readers.marks import HEAD_BYTES, is_dicom
from runtime.readers.protocol import limits_of, receive

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
    child = offspring.fork(channel, statm)
    while (coming := _next(channel)) is not None:
        if coming.is_dicom and _load_dicom():
            child.end()
            child = offspring.fork(channel, statm)
        said = child.read(coming.limits)
        if _is_left(channel):
            return  # nothing is known of the picture: the parent asks a new zygote
        os.write(channel.fileno(), said)
        child.end()
        child = offspring.fork(channel, statm)


class _Request(NamedTuple):
    is_dicom: bool
    limits: ReadLimits


def _next(channel: socket.socket) -> _Request | None:
    """The request that comes next, and stays for the child; None at the end."""
    request, descriptors = receive(channel, socket.MSG_PEEK)
    if not request:
        return None
    try:
        head = os.pread(descriptors[0], HEAD_BYTES, 0)
        return _Request(is_dicom(head), limits_of(request))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _is_left(channel: socket.socket) -> bool:
    """Whether the request still waits: the child had ended before it came."""
    return bool(select.select([channel], [], [], 0)[0])


def _prepare() -> None:
    """What needs other processes or files, before there are none."""
    import cv2

    cv2.setNumThreads(1)  # a child has only the thread that made it
    with contextlib.suppress(OSError):  # should memory run out, this one goes first
        Path("/proc/self/oom_score_adj").write_bytes(_FIRST_TO_END)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business


def _load_dicom() -> bool:
    """At the first such picture: it takes as long as everything else together. Whether it was done now."""
    if "runtime.readers.dicom" in sys.modules:
        return False
    from runtime.readers import dicom, dicom_header  # noqa: F401

    with contextlib.suppress(ImportError):
        import pydicom.encaps
        import pydicom.filereader
        import pydicom.pixels  # noqa: F401
    return True


if __name__ == "__main__":
    main()
