"""How many connections are held, for whom, and for how long; waitress, which knows one number for everybody.

Whoever opens many, or begins what never ends, keeps nobody else from the kiosk: the box's own screen has
places for itself, each address has so many, and where there are too many the one that waits longest goes.
"""

from __future__ import annotations

import logging
import math
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask

from device_app.access.tries import Place, place_of
from device_app.bodies import BodyRules, Parser, Room
from device_app.guard import BARE_HEADERS, REFUSED

_log = logging.getLogger("ulna.connections")
_LOOK_EVERY_S = 5
_QUIET_S = 5.0
"""Without a byte, from which on a request that is half there gives way to others."""
_BOX = ""
_OTHER_FILES = 8
"""That the server looks at besides: its own."""


@dataclass(frozen=True)
class Places:
    """Connections at the same time. each: of one address, and of the box's own screen, over which a browser
    opens 6 a page. network: of all addresses together, without the box's own screen.
    """

    each: int = 32
    network: int = 96


@dataclass(frozen=True)
class Patience:
    """Seconds until a connection is ended.

    idle_s: between two requests. header_s: for all of a header. silent_s: without a byte of a body;
    bytes_a_s: of it on average, after that. unread_s: without a byte of the answer being taken.
    """

    idle_s: float = 30.0
    header_s: float = 15.0
    silent_s: float = 30.0
    bytes_a_s: float = 8192.0
    unread_s: float = 120.0


class Stage(StrEnum):
    """What a connection is held for: nothing, a request of which a part is there, a page that is being made,
    an answer of which not all was taken.
    """

    IDLE = "idle"
    HEADER = "header"
    BODY = "body"
    AT_WORK = "at_work"
    UNREAD = "unread"


@dataclass(frozen=True)
class Held:
    """A connection at one moment.

    address: "" for the box's own screen. quiet_s: since a byte came or went. age_s: since the request that is
    half there was begun. body_bytes: of it, so far. refused: whether they are dropped as they come.
    """

    address: str
    stage: Stage
    quiet_s: float
    age_s: float = 0.0
    body_bytes: int = 0
    refused: bool = False

    @property
    def may_give_way(self) -> bool:
        """Whether nothing is lost by ending it, or little."""
        waits = self.stage in (Stage.IDLE, Stage.HEADER)
        return waits or (self.stage is not Stage.AT_WORK and (self.refused or self.quiet_s > _QUIET_S))

    @property
    def pace(self) -> float:
        """Bytes a second of what comes."""
        return self.body_bytes / max(1.0, self.age_s)

    def is_over(self, patience: Patience) -> bool:
        """Whether it was waited for long enough."""
        match self.stage:
            case Stage.IDLE:
                return self.quiet_s > patience.idle_s
            case Stage.HEADER:
                return self.age_s > patience.header_s
            case Stage.BODY:
                slow_s = patience.silent_s + self.body_bytes / patience.bytes_a_s
                return self.quiet_s > patience.silent_s or self.age_s > slow_s
            case Stage.UNREAD:
                return self.quiet_s > patience.unread_s
        return False


def gives_way(held: Sequence[Held], places: Places) -> int | None:
    """Which one is ended, the newest being the last; None where there is a place for each.

    Of the address that has too many, or the most where all have too many together: what waits longest. Where
    each of those is being served it is the newest that is not let in, or the slowest of what they send if the
    newest is somebody else's.
    """
    newest, crowd = len(held) - 1, _crowd(held, places)
    waiting = [number for number in crowd if number != newest and held[number].may_give_way]
    if waiting:
        return min(waiting, key=lambda number: (held[number].stage is Stage.BODY, -held[number].quiet_s))
    coming = [number for number in crowd if held[number].stage is Stage.BODY]
    if coming and newest not in crowd:
        return min(coming, key=lambda number: held[number].pace)
    return newest if crowd else None


def _crowd(held: Sequence[Held], places: Places) -> list[int]:
    """Those of whom there are too many."""
    counts = Counter(one.address for one in held)
    crowded = {address for address, count in counts.items() if count > places.each}
    of_box = counts.pop(_BOX, 0)
    if not crowded and len(held) - of_box > places.network:
        crowded = {address for address, count in counts.items() if count == max(counts.values())}
    return [number for number, one in enumerate(held) if one.address in crowded]


class _Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[REFUSED] = self.request.refused
        return environ


class _BareTask(ErrorTask):  # type: ignore[misc]
    """What the server itself refuses, before there is a page."""

    def execute(self) -> None:
        self.response_headers.extend(BARE_HEADERS.items())
        super().execute()


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task
    error_task_class = _BareTask

    def __init__(
        self, server: Server, conn: socket.socket, addr: tuple[Any, ...], adj: object, **options: Any
    ) -> None:
        self.parser_class = partial(Parser, server.rules, server.room)
        self.address = _BOX if place_of(addr[0], server.host) is Place.BOX else str(addr[0])
        super().__init__(server, conn, addr, adj, **options)

    @property
    def last_activity(self) -> float:
        """By a clock that does not jump; waitress sets it by the one on the wall."""
        return self._active_s

    @last_activity.setter
    def last_activity(self, _wall_s: float) -> None:
        self._active_s = time.monotonic()

    def held(self) -> Held:
        """At this moment."""
        request, now_s = self.request, time.monotonic()
        held = Held(self.address, self._stage(), now_s - self.last_activity)
        if request is None:
            return held
        age_s, came, refused = now_s - request.begun_s, request.body_bytes_received, bool(request.refused)
        return replace(held, age_s=age_s, body_bytes=came, refused=refused)

    def handle_close(self) -> None:
        """What was half there is let go of, also on the disk."""
        super().handle_close()
        if self.request is not None:
            self.request.close()

    def _stage(self) -> Stage:
        if self.total_outbufs_len:
            return Stage.UNREAD
        if self.requests:
            return Stage.AT_WORK
        if self.request is None:
            return Stage.IDLE
        return Stage.BODY if self.request.headers_finished else Stage.HEADER


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Of an application, on a socket that listens. host: by which the box itself may open it too."""

    channel_class = _Channel
    places = Places()
    patience = Patience()
    next_channel_cleanup = math.inf
    """Waitress's own look, by the clock on the wall."""
    _next_look_s = 0.0

    def __init__(
        self, app: Flask, listener: socket.socket, rules: BodyRules, room: Room, host: str, **options: Any
    ) -> None:
        self.rules, self.room, self.host = rules, room, host
        self._ended = 0
        options["connection_limit"] = self.places.each + self.places.network + _OTHER_FILES
        where = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            app, _sock=listener, bind_socket=False, sockinfo=where, sockets=[listener], **options
        )

    def handle_accept(self) -> None:
        """Whoever comes is let in, and the one that waits longest goes."""
        super().handle_accept()
        if len(self.active_channels) > self.places.each:
            self._make_room()

    def readable(self) -> bool:
        """Asked before each wait, of a second at most."""
        if time.monotonic() >= self._next_look_s:
            self._next_look_s = time.monotonic() + _LOOK_EVERY_S
            self.maintenance(self._next_look_s)
        return bool(super().readable())

    def maintenance(self, now: float) -> None:
        """End what is over; not in here, where waitress is about to wait for the same connections."""
        self.trigger.pull_trigger(self._end_what_is_over)
        if self._ended:
            _log.warning("%d connections were ended: too many at once", self._ended)
            self._ended = 0

    def _make_room(self) -> None:
        channels = list(self.active_channels.values())
        number = gives_way([channel.held() for channel in channels], self.places)
        if number is not None:
            channels[number].handle_close()
            self._ended += 1

    def _end_what_is_over(self) -> None:
        for channel in list(self.active_channels.values()):
            if not channel.held().is_over(self.patience):
                continue
            if channel.total_outbufs_len:
                channel.handle_close()  # what its sender does not take would be waited for
            else:
                channel.will_close = True
