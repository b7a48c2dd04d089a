"""Objects to send, senders that send them, and a line between the two that can be cut."""

from __future__ import annotations

import io
import select
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from tests.runtime.readers.makers import dicom

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
RF = "1.2.840.10008.5.1.4.1.1.12.2"
ECHO = "1.2.840.10008.1.1"
TITLE = "ULNA"


def file_of(number: int, side_px: int = 64, **elements: Any) -> bytes:
    """A DICOM file of its own; the same number is the same file."""
    pixels = np.random.default_rng(number).integers(0, 4096, (side_px, side_px), dtype=np.uint16)
    values = {"SOPInstanceUID": f"1.2.826.0.1.{number}", "PatientName": "Somebody^Else", "PatientID": "P 7"}
    return dicom(pixels, **{**values, **elements})


def image(number: int, side_px: int = 64, **elements: Any) -> Dataset:
    """The same as a data set."""
    return dcmread(io.BytesIO(file_of(number, side_px, **elements)))


def associate(
    port: int,
    called: str = TITLE,
    calling: str = "SENDER",
    classes: Iterable[str] = (CR,),
) -> Any:
    """An association, established or not."""
    entity = AE(calling)
    entity.acse_timeout = entity.network_timeout = entity.dimse_timeout = 30
    for sop_class in (ECHO, *classes):
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian])
    handlers = [(evt.EVT_CONN_CLOSE, _wake)]
    return entity.associate("127.0.0.1", port, ae_title=called, evt_handlers=handlers)


def _wake(event: evt.Event) -> None:
    """pynetdicom would wait for an answer on a line that is cut, until its time is over."""
    event.assoc.dimse.msg_queue.put((None, None))


def send(port: int, images: Iterable[Dataset], **how: Any) -> list[int | None]:
    """A status for each; None where none came. The association ends with the first that has none."""
    association = associate(port, **how)
    alive = association.is_established
    statuses: list[int | None] = []
    for one in images:
        statuses.append(_send(association, one) if alive else None)
        alive = alive and statuses[-1] is not None
    association.release() if alive else association.abort()
    return statuses


def _send(association: Any, one: Dataset) -> int | None:
    try:
        status = association.send_c_store(one)
    except RuntimeError:  # it was aborted just now
        return None
    return int(status.Status) if "Status" in status else None


def echo(port: int, called: str = TITLE) -> bool:
    """Whether the receiver answers."""
    association = associate(port, called)
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return "Status" in status and status.Status == 0


class Line:
    """Forwards to a port, and does something at one byte of what is sent. `port`: where it listens."""

    def __init__(self, target: int, at_byte: int, act: Callable[[], None]) -> None:
        self._target, self._at_byte, self._act = target, at_byte, act
        self.sent_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The line is gone."""
        self._listener.close()
        self._thread.join(30)

    def _run(self) -> None:
        near, _ = self._listener.accept()
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            while True:
                ready, _, _ = select.select([near, far], [], [], 30)
                for end in ready:
                    try:
                        data = end.recv(2048)
                        if not data:
                            return
                        self._forward(data, far) if end is near else near.sendall(data)
                    except OSError:
                        return

    def _forward(self, data: bytes, far: socket.socket) -> None:
        until = self._at_byte - self.sent_bytes
        self.sent_bytes += len(data)
        if 0 <= until < len(data):
            far.sendall(data[:until])
            self._act()
            data = data[until:]
        far.sendall(data)
