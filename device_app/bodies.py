"""What is taken of a request's body: decided when its header is there, before anything lies on the disk.

A body that is not taken is dropped as it comes, and the request goes on without it: whoever sent it is
answered once all was sent, by the pages and in their words (device_app.guard). Most browsers would lose an
earlier answer, and "the connection was lost" says nothing of a full disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser

from device_app.guard import Refused

FORM_BYTES = 1 << 19
"""Of what holds no picture; it stays in memory. Flask itself takes 500 kB of fields."""
_PICTURES = ("upload.receive", "camera.receive")
_COPIES = 3
"""Of a picture on its way: as it comes, as its form is taken apart, as it is stored."""


@dataclass(frozen=True)
class BodyRules:
    """What is taken, and where.

    picture_paths: to which pictures are sent; picture_bytes: at most, with their form. cookie: name of the
    one that every page with a form gives a browser, and without which no form is taken.
    """

    picture_paths: frozenset[str]
    picture_bytes: int
    cookie: str

    def limit(self, command: str, path: str) -> int:
        """Bytes that are taken of a request's body."""
        takes_picture = command == "POST" and path in self.picture_paths
        return self.picture_bytes if takes_picture else FORM_BYTES

    def may_send(self, cookies: str) -> bool:
        """Whether more than a form may come with such a Cookie header."""
        return any(one.partition("=")[0].strip() == self.cookie for one in cookies.split(";"))


def rules_of(app: Flask) -> BodyRules:
    """As an application's pages have them; one in safe mode takes no pictures."""
    paths = (rule.rule for rule in app.url_map.iter_rules() if rule.endpoint in _PICTURES)
    name, most_bytes = app.config["SESSION_COOKIE_NAME"], app.config["MAX_CONTENT_LENGTH"]
    return BodyRules(frozenset(paths), most_bytes, name)


class Room:
    """Disk space that is promised to pictures on their way, so that all together leave the reserve; for any
    thread."""

    def __init__(self, free_bytes: Callable[[], int], reserve_bytes: int) -> None:
        self._free_bytes, self._reserve_bytes = free_bytes, reserve_bytes
        self._promised: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def promise(self, holder: object, size_bytes: int) -> bool:
        """Whether there is room for a picture of that size; it is kept until `give_back`."""
        with self._lock:
            wanted = _COPIES * size_bytes
            left = self._free_bytes() - sum(self._promised.values()) - wanted
            if left < self._reserve_bytes:
                return False
            self._promised[holder] = wanted
            return True

    def give_back(self, holder: object) -> None:
        """It is stored, or will not be; nothing where nothing was promised."""
        with self._lock:
            self._promised.pop(holder, None)


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """A request as it comes."""

    refused: Refused | None = None
    body_rcv: Any
    _limit = 0

    def __init__(self, rules: BodyRules, room: Room, adjustments: Adjustments) -> None:
        super().__init__(adjustments)
        self.begun_s = time.monotonic()
        self._rules, self._room = rules, room

    def parse_header(self, header_plus: bytes) -> None:
        """The whole header is there."""
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self._limit = self._rules.limit(self.command, self.path)
            self._refuse(self._judged(self._limit if self.chunked else self.content_length))

    def received(self, data: bytes) -> int:
        """How many of the bytes belong to this request."""
        consumed: int = super().received(data)
        if self.chunked and self.body_rcv is not None and len(self.body_rcv) > self._limit:
            self._refuse(Refused.TOO_LARGE)
        return consumed

    def close(self) -> None:
        """It was answered, or its sender is gone."""
        super().close()
        self._room.give_back(self)

    def _judged(self, size_bytes: int) -> Refused | None:
        if size_bytes > self._limit:
            return Refused.TOO_LARGE
        if size_bytes <= FORM_BYTES:
            return None
        if not self._rules.may_send(self.headers.get("COOKIE", "")):
            return Refused.NO_SESSION
        return None if self._room.promise(self, size_bytes) else Refused.NO_ROOM

    def _refuse(self, why: Refused | None) -> None:
        if why is None:
            return
        self.refused, self.headers["CONTENT_LENGTH"] = why, "0"
        self._room.give_back(self)
        if self.expect_continue:
            self._end_here()
        else:
            self.body_rcv.getbuf().close()
            self.body_rcv.buf = _Nothing()

    def _end_here(self) -> None:
        """The sender waits for a word before the body: it gets its answer, and need not send it."""
        self.expect_continue, self.body_rcv, self.content_length = False, None, 0
        self.headers["CONNECTION"] = "close"


class _Nothing:
    """A buffer that keeps nothing."""

    def __len__(self) -> int:
        return 0

    def append(self, data: bytes) -> None:
        """It is dropped."""

    def getfile(self) -> BytesIO:
        """What was kept."""
        return BytesIO()

    def close(self) -> None:
        """Nothing is open."""
