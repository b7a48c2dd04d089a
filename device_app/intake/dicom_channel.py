"""What the receiver's process and the kiosk say to each other, over sockets that keep messages whole.

    process -> kiosk   {"event": "ready"} | {"event": "alive"} | {"event": "refused"}, of an object too large
                       | an offer, with the data set as a sealed file
    kiosk -> process   an answer: the offer's number and a DIMSE status, once the picture is stored or refused

The data set comes in memory that its sender can no longer change. When either end is gone, so is the other.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from device_app.intake.dicom_objects import SOP_CLASSES, TRANSFER_SYNTAXES, is_uid

MESSAGE_BYTES = 4096
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

READY, ALIVE, REFUSED = "ready", "alive", "refused"

STORED = 0x0000
OUT_OF_RESOURCES = 0xA700
NOT_THIS_CLASS = 0xA900
CANNOT_STORE = 0xC000


@dataclass(frozen=True)
class ReceiverArguments:
    """What the kiosk tells the receiver's process; descriptors are inherited.

    callers: AE titles that may send, () for all. peers: networks from which one may, () for all. Sizes in
    bytes, times in seconds.
    """

    listener: int
    channel: int
    ae_title: str
    callers: tuple[str, ...]
    peers: tuple[str, ...]
    max_object_bytes: int
    memory_bytes: int
    associations: int
    handshake_s: float
    idle_s: float
    object_s: float
    alive_every_s: float

    def to_text(self) -> str:
        """As one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The same back."""
        values = json.loads(text)
        return cls(**{**values, "callers": tuple(values["callers"]), "peers": tuple(values["peers"])})


@dataclass(frozen=True)
class Offer:
    """One received object. Raises ValueError for what the receiver never takes."""

    number: int
    sop_class: str
    sop_instance: str
    syntax: str

    def __post_init__(self) -> None:
        if self.sop_class not in SOP_CLASSES or self.syntax not in TRANSFER_SYNTAXES:
            raise ValueError("neither the class nor the transfer syntax of an object may be another one")
        if not is_uid(self.sop_instance):
            raise ValueError("the instance has no UID")

    @classmethod
    def of_message(cls, message: dict[str, Any]) -> Self:
        """Raises ValueError for anything else: the process that says it has read a stranger's bytes."""
        values = {field.name: message.get(field.name) for field in fields(cls)}
        if not isinstance(values["number"], int) or not all(
            isinstance(values[name], str) for name in ("sop_class", "sop_instance", "syntax")
        ):
            raise ValueError("this is no offer")
        return cls(**values)  # type: ignore[arg-type]


def sealed_memory(data: memoryview) -> int:
    """A descriptor of a file in memory that holds the data and can no longer be changed."""
    descriptor = os.memfd_create("ulna-dicom", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_sealed(descriptor: int) -> bool:
    """Whether nobody can change the file any more."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS == _SEALS
    except OSError:  # a file that is none in memory
        return False


def send(channel: socket.socket, message: dict[str, Any], descriptor: int | None = None) -> None:
    """One message, whole. Raises OSError when the other end is gone."""
    data = json.dumps(message).encode()
    socket.send_fds(channel, [data], [] if descriptor is None else [descriptor])


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message, and its descriptors, which the caller closes; None when the other end is gone.

    Raises ValueError for what is no message; its descriptors are closed.
    """
    data, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 1)
    try:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        if not data:
            return None
        message = json.loads(data)
        if not isinstance(message, dict):
            raise ValueError("a message is an object")
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return message, descriptors
