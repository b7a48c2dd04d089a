"""A listening socket, or one clear line why there is none."""

from __future__ import annotations

import errno
import socket

from runtime.errors import UlnaError

_BACKLOG = 64


def listen(host: str, port: int, options: str = "--host or --port") -> socket.socket:
    """A socket that listens. options: what else to choose. Raises UlnaError when that cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UlnaError(
                f"port {port} on {host} is in use", f"stop the other program or choose another {options}"
            ) from error
        raise UlnaError(
            f"cannot listen on {host}, port {port}: {error.strerror}", f"choose another {options}"
        ) from error
    return listener
