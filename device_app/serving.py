"""An application behind waitress on a socket that outlives it, until this process is told to end."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from flask import Flask

from device_app.bodies import FORM_BYTES, Room, rules_of
from device_app.config import KioskConfig
from device_app.connections import Server

_THREADS = 6
_PICTURES_AT_ONCE = 4
"""Of the largest: what a form with so many is answered, and its connection not cut off."""
_at_work, _left = threading.Event(), threading.Event()
"""Of the one server that a process has."""


def run(
    app: Flask, config: KioskConfig, listener: socket.socket, free_bytes: Callable[[], int] = lambda: 0
) -> bool:
    """Answer requests until SIGTERM, Ctrl-C or `leave`; True for the last. Of the main thread.

    free_bytes: of the disk on which pictures lie while they come.
    """
    server = make_server(app, config, listener, free_bytes)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _end)
    _left.clear()
    _at_work.set()
    server.run()  # returns after SystemExit and KeyboardInterrupt
    _at_work.clear()
    server.close()
    return _left.is_set()


def make_server(
    app: Flask, config: KioskConfig, listener: socket.socket, free_bytes: Callable[[], int]
) -> Server:
    """On a socket that outlives it."""
    return Server(
        app,
        listener.dup(),
        rules_of(app),
        Room(free_bytes, config.reserve_bytes),
        config.host,
        threads=_THREADS,
        max_request_body_size=_PICTURES_AT_ONCE * config.max_upload_bytes + FORM_BYTES,
        inbuf_overflow=FORM_BYTES + 1,
        ident="",
    )


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
