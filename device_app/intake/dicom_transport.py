"""A connection that cannot be used to hold the receiver up: bytes and time of every message have a bound.

pynetdicom itself takes as many bytes as a sender cares to announce, and waits for them for ever.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass
from socketserver import BaseServer
from typing import Any

from pynetdicom.ae import ApplicationEntity
from pynetdicom.events import EventHandlerType
from pynetdicom.transport import AssociationServer, RequestHandler

_HANDSHAKE_BYTES = 1 << 20
_CONNECTIONS_PER_ASSOCIATION = 2


@dataclass(frozen=True)
class Bounds:
    """What one sender may take.

    handshake_s: until an association is agreed on. object_s: for one message, from its first byte to its
    last, message_bytes: for all of it. pdu_bytes: for a part of it. idle_s: without a byte.
    """

    handshake_s: float
    object_s: float
    idle_s: float
    message_bytes: int
    pdu_bytes: int


class MeteredSocket(socket.socket):
    """Ends with OSError what is too long or takes too long. A message ends when `next_message` is called."""

    def __init__(self, accepted: socket.socket, bounds: Bounds) -> None:
        super().__init__(fileno=accepted.detach())
        self._bounds = bounds
        self._left_bytes = _HANDSHAKE_BYTES
        self._until_s: float | None = time.monotonic() + bounds.handshake_s
        self.settimeout(bounds.idle_s)

    def next_message(self) -> None:
        """The last one was dealt with: the bounds begin anew with the first byte of the next."""
        self._left_bytes = self._bounds.message_bytes
        self._until_s = None

    def has_spent(self) -> bool:
        """Whether no other part of the message in hand need fit in. One may come all the same, as long as it
        is asked for each: whoever asks keeps nothing of it. Its time stays bounded.
        """
        if self._left_bytes >= self._bounds.pdu_bytes:
            return False
        self._left_bytes = self._bounds.pdu_bytes
        return True

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises OSError where the sender has used up what it may take."""
        now = time.monotonic()
        if self._until_s is None:
            self._until_s = now + self._bounds.object_s
        left_s = self._until_s - now
        if left_s <= 0:
            raise TimeoutError("the sender is too slow")
        self.settimeout(min(left_s, self._bounds.idle_s))
        data = super().recv(size, flags)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise OSError("the message is too large")
        return data


def metered_socket(association: Any) -> MeteredSocket | None:
    """Of an association; None once it is closed."""
    found = association.dul.socket.socket if association.dul.socket else None
    return found if isinstance(found, MeteredSocket) else None


class _MeteredHandler(RequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, ReceiverServer)
        self.request: Any = MeteredSocket(self.request, server.bounds)
        super().handle()


class ReceiverServer(AssociationServer):
    """Serves a socket that listens already, for the senders that may send.

    peers: networks that may connect, () for all.
    """

    def __init__(
        self,
        entity: ApplicationEntity,
        listener: socket.socket,
        peers: tuple[str, ...],
        bounds: Bounds,
        handlers: list[EventHandlerType],
    ) -> None:
        self.bounds = bounds
        self._listener = listener
        self._peers = tuple(ipaddress.ip_network(peer, strict=False) for peer in peers)
        address = listener.getsockname()
        contexts = entity.supported_contexts
        super().__init__(
            entity, address, entity.ae_title, contexts, None, handlers, request_handler=_MeteredHandler
        )

    def server_bind(self) -> None:
        """In place of an own socket, the one that was inherited."""
        assert self.socket is not None
        self.socket.close()
        self.socket = self._listener
        self.server_address = self._listener.getsockname()

    def server_activate(self) -> None:
        """It listens already."""

    def verify_request(self: BaseServer, request: Any, client_address: Any) -> bool:
        """Whether a sender may connect, by its address and by how many are connected already."""
        assert isinstance(self, ReceiverServer)
        most = _CONNECTIONS_PER_ASSOCIATION * self.ae.maximum_associations
        return self._may(client_address[0]) and len(self.active_associations) < most

    def _may(self, host: str) -> bool:
        address = ipaddress.ip_address(host.split("%", maxsplit=1)[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return not self._peers or any(mapped in network for network in self._peers)
