"""What runtime.readers.guarded and runtime.readers.zygote say to each other.

A request is one message: the limits, and three descriptors of files in memory, of the picture's bytes, of its
pixels and of the answer's words. The reply is the child's exit status in decimal. Before the first request
the zygote says, unasked, what this kernel cannot enforce.
"""

from __future__ import annotations

from dataclasses import fields

from runtime.readers.limits import ReadLimits

MESSAGE_BYTES = 4096
DESCRIPTORS = 3
OUT_OF_MEMORY = 3
"""Exit status of a child that was refused memory."""


def request_of(limits: ReadLimits) -> bytes:
    """Every limit, in the order in which they are declared."""
    return " ".join(str(getattr(limits, field.name)) for field in fields(limits)).encode()


def limits_of(request: bytes) -> ReadLimits:
    """The same limits."""
    return ReadLimits(*map(int, request.split()))
