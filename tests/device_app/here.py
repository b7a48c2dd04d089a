"""The kiosk's own web server in this process, and a client that can stop half-way."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask
from waitress import wasyncore

from device_app import KioskConfig, serving
from device_app.connections import Server
from device_app.listening import listen

PLENTY = 1 << 40


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where the connection was ended without a word."""

    status: int
    headers: str
    body: str


@dataclass(frozen=True)
class Client:
    """Of one server."""

    port: int
    server: Server

    def open(self, data: bytes = b"", host: str = "127.0.0.1") -> socket.socket:
        """A connection from that address, on which something was sent already."""
        opened = socket.create_connection(("127.0.0.1", self.port), 10, source_address=(host, 0))
        opened.sendall(data)
        return opened

    def get(self, path: str, host: str = "127.0.0.1") -> Answer:
        """A page, on a connection of its own."""
        with self.open(header("GET", path, "Connection: close"), host) as opened:
            return answer(opened)

    def session(self) -> tuple[str, str]:
        """A browser's cookie and the token of its form."""
        page = self.get("/")
        cookie = re.search(r"Set-Cookie: (ulna=[^;]+)", page.headers)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.body)
        assert cookie and token
        return cookie[1], token[1]


def header(method: str, path: str, *lines: str) -> bytes:
    """Of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def answer(opened: socket.socket) -> Answer:
    """All of one that ends with its connection, or says how long it is."""
    data = b""
    try:
        while not _is_whole(data) and (more := opened.recv(1 << 16)):
            data += more
    except ConnectionError:
        pass
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    return Answer(status, head, body)


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    size = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(end and size and len(body) >= int(size[1]))


@contextmanager
def served(
    app: Flask, config: KioskConfig, free_bytes: Callable[[], int] = lambda: PLENTY
) -> Iterator[Client]:
    """While it runs."""
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            wasyncore.loop(timeout=0.1, map=server._map, count=1)

    with listen("127.0.0.1", 0) as listener:
        server = serving.make_server(app, config, listener, free_bytes)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield Client(listener.getsockname()[1], server)
        ended.set()
        thread.join(10)
        assert not thread.is_alive()
        server.task_dispatcher.shutdown()
        wasyncore.close_all(server._map)
