"""The receiver's process: `python -m device_app.intake.dicom_process`, started and watched by
device_app.intake.dicom.

It speaks DICOM with strangers and has nothing: no database, no folder, no connection of its own making, no
other program (runtime.confine, as far as the kernel can), and no more than its limits. An object
that was received goes to the kiosk, undecoded; the sender is told of success only when the kiosk says so.
"""

from __future__ import annotations

import itertools
import logging
import os
import queue
import resource
import signal
import socket
import sys
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pynetdicom
from pydicom.uid import UID
from pynetdicom import _config, evt
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from device_app.intake import dicom_channel
from device_app.intake.dicom_channel import (
    ALIVE,
    CANNOT_STORE,
    NOT_THIS_CLASS,
    OUT_OF_RESOURCES,
    READY,
    REFUSED,
    Offer,
    ReceiverArguments,
)
from device_app.intake.dicom_objects import (
    IMPLEMENTATION_NAME,
    IMPLEMENTATION_UID,
    SOP_CLASSES,
    TRANSFER_SYNTAXES,
    VERIFICATION,
)
from device_app.intake.dicom_transport import Bounds, ReceiverServer, metered_socket
from runtime.confine import confine, forbid_processes

_MAX_PDU_BYTES = 1 << 17
_PDU_HEAD_BYTES = 6
_BESIDE_OBJECT_BYTES = 1 << 20  # commands, and the headers of all fragments
_MOST_FILES = 256
_STACK_BYTES = 1 << 19  # counted as memory, whether used or not


class Kiosk:
    """The other end of the channel; when it is gone, so are we."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[int]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, event: str) -> None:
        """That it is ready, still alive, or has refused an object."""
        dicom_channel.send(self._channel, {"event": event})

    def offer(self, sop: tuple[str, str], syntax: str, data: memoryview) -> int:
        """Hand an object over and wait for the DIMSE status to answer with. sop: class and instance.

        Raises ValueError for an object that is never taken, OSError where there is no memory for it.
        """
        offer = Offer(next(self._numbers), *sop, syntax)
        descriptor = dicom_channel.sealed_memory(data)
        answer = self._waiting[offer.number] = queue.SimpleQueue()
        try:
            dicom_channel.send(self._channel, vars(offer), descriptor)
        finally:
            os.close(descriptor)
        return answer.get()

    def _listen(self) -> None:
        try:
            while (heard := dicom_channel.receive(self._channel)) is not None:
                message, _ = heard
                self._waiting.pop(int(message["number"])).put(int(message["status"]))
        finally:
            os._exit(0)  # what was not answered is sent again, to the next of us


def main() -> None:
    """Receive until the kiosk is gone."""
    arguments = ReceiverArguments.of_text(sys.argv[1])
    _limit(arguments)
    threading.stack_size(_STACK_BYTES)
    kiosk = Kiosk(socket.socket(fileno=arguments.channel))
    server = _server(arguments, kiosk)
    confine(map(Path, {sys.prefix, sys.base_prefix, *filter(None, sys.path)}), answers=True)
    forbid_processes()
    kiosk.say(READY)
    threading.Thread(target=_stay_alive, args=(kiosk, arguments.alive_every_s), daemon=True).start()
    try:
        server.serve_forever(poll_interval=0.5)
    finally:
        os._exit(1)  # associations that hang must not keep it


def _server(arguments: ReceiverArguments, kiosk: Kiosk) -> ReceiverServer:
    bounds = Bounds(
        handshake_s=arguments.handshake_s,
        object_s=arguments.object_s,
        idle_s=arguments.idle_s,
        message_bytes=arguments.max_object_bytes + _BESIDE_OBJECT_BYTES,
        pdu_bytes=_MAX_PDU_BYTES + _PDU_HEAD_BYTES,
    )
    listener = socket.socket(fileno=arguments.listener)
    handlers: list[Any] = [
        (evt.EVT_C_STORE, _store, [kiosk]),
        (evt.EVT_PDU_RECV, _bound),
        (evt.EVT_ESTABLISHED, _next_message),
        (evt.EVT_DIMSE_SENT, _next_message),
    ]
    return ReceiverServer(_entity(arguments), listener, arguments.peers, bounds, handlers)


def _entity(arguments: ReceiverArguments) -> pynetdicom.AE:
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # its messages quote what was sent
    _config.LOG_HANDLER_LEVEL = "none"
    entity = pynetdicom.AE(arguments.ae_title)
    entity.implementation_class_uid = UID(IMPLEMENTATION_UID)
    entity.implementation_version_name = IMPLEMENTATION_NAME
    entity.maximum_pdu_size = _MAX_PDU_BYTES
    entity.maximum_associations = arguments.associations
    entity.acse_timeout = arguments.handshake_s
    entity.network_timeout = entity.dimse_timeout = arguments.idle_s
    entity.require_called_aet = True
    entity.require_calling_aet = list(arguments.callers)
    entity.add_supported_context(VERIFICATION)
    for sop_class in SOP_CLASSES:
        entity.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
    return entity


class _Dropped(BytesIO):
    """In place of what is too large: keeps nothing."""

    def write(self, data: Any, /) -> int:
        return len(data)


def _bound(event: evt.Event) -> None:
    """Let an object that is too large come to its end, and drop it: a sender that is cut off instead is told
    nothing, and sends it again for ever.
    """
    message, metered = event.assoc.dimse.message, metered_socket(event.assoc)
    if isinstance(message, C_STORE_RQ) and metered is not None and metered.has_spent():
        message.data_set = message.encoded_command_set = _Dropped()


def _store(event: evt.Event, kiosk: Kiosk) -> int:
    """Answer a C-STORE request: a DIMSE status."""
    request, context = cast(C_STORE, event.request), event.context
    sop = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
    if sop[0] != context.abstract_syntax:
        return NOT_THIS_CLASS
    if isinstance(request.DataSet, _Dropped):
        kiosk.say(REFUSED)
        return CANNOT_STORE
    try:
        with cast(BytesIO, request.DataSet).getbuffer() as data:
            return kiosk.offer(sop, str(context.transfer_syntax), data)
    except ValueError:
        return CANNOT_STORE
    except OSError:
        return OUT_OF_RESOURCES


def _next_message(event: evt.Event) -> None:
    metered = metered_socket(event.assoc)
    if metered is not None:
        metered.next_message()


def _stay_alive(kiosk: Kiosk, every_s: float) -> None:
    while True:
        time.sleep(every_s)
        kiosk.say(ALIVE)


def _limit(arguments: ReceiverArguments) -> None:
    """Limits of memory and of files; signals are the kiosk's business."""
    for kind, most in (
        (resource.RLIMIT_DATA, arguments.memory_bytes),
        (resource.RLIMIT_FSIZE, arguments.max_object_bytes + _BESIDE_OBJECT_BYTES),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_CORE, 0),  # a core file would hold patients' pictures
    ):
        resource.setrlimit(kind, (most, most))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
