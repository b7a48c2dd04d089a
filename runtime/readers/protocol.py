"""What runtime.readers.guarded and runtime.readers.zygote say to each other.

A request is one message: the limits, and three descriptors of files in memory, of the picture's bytes, of its
pixels and of the answer's words. Where a fourth comes with them, of a pipe, the child first says there whose
picture it is. The reply is how the child ended, in its own words where it has answered.
Before the first request the zygote says, unasked, what this kernel cannot enforce.
"""

from __future__ import annotations

import array
import socket
from dataclasses import dataclass, fields

from runtime.readers.limits import ReadLimits

MESSAGE_BYTES = 4096
DESCRIPTORS = 4
_SHARE_OF_A_CPU = 11  # a busy box gives a child no more than this part of its time
OUT_OF_MEMORY = 3
"""Exit status of a child that was refused memory."""


@dataclass(frozen=True)
class Ending:
    """Of a child: its exit status, as subprocess has it; the most memory that was its own or shared with the
    zygote, and what it computed.
    """

    status: int
    memory_bytes: int
    cpu_s: float


def child_wait_s(limits: ReadLimits) -> float:
    """How long a child is waited for, by the clock."""
    return float(limits.cpu_s * _SHARE_OF_A_CPU)


def zygote_wait_s(limits: ReadLimits) -> float:
    """The same for a zygote, which waits for a child."""
    return float(limits.cpu_s * (_SHARE_OF_A_CPU + 1))


def request_of(limits: ReadLimits) -> bytes:
    """Every limit, in the order in which they are declared."""
    return " ".join(str(getattr(limits, field.name)) for field in fields(limits)).encode()


def receive(channel: socket.socket, flags: int = 0) -> tuple[bytes, list[int]]:
    """A request and its descriptors, which are the receiver's to close. socket.recv_fds knows no flags."""
    room = socket.CMSG_LEN(DESCRIPTORS * array.array("i").itemsize)
    request, beside, _, _ = channel.recvmsg(MESSAGE_BYTES, room, flags)
    descriptors = array.array("i")
    for level, kind, data in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) // descriptors.itemsize * descriptors.itemsize])
    return request, descriptors.tolist()


def limits_of(request: bytes) -> ReadLimits:
    """The same limits."""
    return ReadLimits(*map(int, request.split()))


def reply_of(ending: Ending) -> bytes:
    """The zygote's words."""
    return f"{ending.status} {ending.memory_bytes} {ending.cpu_s!r}".encode()


def is_reply(said: bytes) -> bool:
    """Whether it can be understood: a child that a file has taken over may say anything."""
    try:
        ending_of(said)
    except ValueError:
        return False
    return True


def ending_of(reply: bytes) -> Ending:
    """The same ending. Raises ValueError for anything else."""
    status, memory_bytes, cpu_s = reply.split()
    return Ending(int(status), int(memory_bytes), float(cpu_s))
