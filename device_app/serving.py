"""An application behind waitress on a socket that outlives it, until this process is told to end."""

from __future__ import annotations

import signal
import socket
import threading
from types import FrameType
from typing import NoReturn

from flask import Flask
from waitress.server import create_server

from device_app.config import KioskConfig

_THREADS = 6
_CONNECTIONS, _CONNECTIONS_IN_MEMORY = 64, 8
_SPOOLED_FROM_BYTES = 1 << 19
_FORM_BYTES = 1 << 20
_at_work, _left = threading.Event(), threading.Event()
"""Of the one server that a process has."""


def run(app: Flask, config: KioskConfig, listener: socket.socket, spool: bool = True) -> bool:
    """Answer requests until SIGTERM, Ctrl-C or `leave`; True for the last. Of the main thread.

    spool: whether a large body may lie in a temporary file. Where the data folder cannot be used it would lie
    outside, and what is sent is a patient's picture: then it is held in memory, of few at a time.
    """
    most_bytes = (4 if spool else 1) * config.max_upload_bytes + _FORM_BYTES
    server = create_server(
        app,
        sockets=[listener.dup()],
        threads=_THREADS,
        connection_limit=_CONNECTIONS if spool else _CONNECTIONS_IN_MEMORY,
        max_request_body_size=most_bytes,
        inbuf_overflow=_SPOOLED_FROM_BYTES if spool else most_bytes + 1,
        ident="",
    )
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _end)
    _left.clear()
    _at_work.set()
    server.run()  # returns after SystemExit and KeyboardInterrupt
    _at_work.clear()
    server.close()
    return _left.is_set()


def leave() -> None:
    """End `run`, from a thread that is not its own; nothing where it is not at work."""
    main = threading.main_thread().ident
    if main is not None and _at_work.is_set():
        _left.set()
        signal.pthread_kill(main, signal.SIGUSR1)


def address_of(config: KioskConfig, listener: socket.socket) -> str:
    """As a browser on this box asks for it."""
    host, port = config.host, listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
