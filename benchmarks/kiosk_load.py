"""How fast the kiosk's pages answer while its queue is full, against the same clients with nothing to read.

`python -m benchmarks.kiosk_load --picture FILE --out benchmarks/results/NAME.json [--bundle FOLDER]`

A real kiosk process, clients on connections of their own that open one page after the other with a pause
between (a person looks, a page asks by itself once a second). Idle, full and idle again take turns, so that
the machine's own drift is in both; full means that pictures wait from the first request to the last. A time
is from sending the request to the last byte of the answer. What does not answer 200 ends the measurement.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from benchmarks.kiosk_screen import fresh, running_kiosk
from benchmarks.results import Result, Row, bundle_facts, save
from runtime.errors import UlnaError
from runtime.latency import summarise
from runtime.reference import open_named

WANTED_MS = 150.0
_TIMEOUT_S = 60
_READY_WITHIN_S = 600


@dataclass(frozen=True)
class Load:
    """clients: at the same time. requests: of each client in a turn. pause_ms: between two of them. waiting:
    pictures that wait when a full turn begins; at least one must when it ends.
    """

    clients: int = 4
    requests: int = 60
    pause_ms: float = 100.0
    waiting: int = 150


class Client:
    """One connection that is kept open, as a browser keeps its own."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        self._open = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)

    def get(self, path: str, *also: int) -> tuple[http.client.HTTPResponse, bytes]:
        """The answer, read to its end. Raises UlnaError for a status that is neither 200 nor among `also`."""
        return self._ask("GET", path, b"", {}, also)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The body of the answer."""
        return self._ask("POST", path, body, headers, ())[1]

    def close(self) -> None:
        """End the connection."""
        self._open.close()

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str], also: tuple[int, ...]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        self._open.request(method, path, body or None, headers)
        answer = self._open.getresponse()
        data = answer.read()
        if answer.status not in (200, 201, *also):
            raise UlnaError(f"{path} answered {answer.status}", "see what the kiosk says of it")
        return answer, data


class Sender:
    """Sends pictures as the page's script does."""

    def __init__(self, address: str, picture: bytes) -> None:
        self._client, self._picture, self._sent = Client(address), picture, 0
        answer, page = self._client.get("/")
        found = re.search(rb'name="csrf_token" value="([^"]+)"', page)
        assert found is not None
        self._token = found[1]
        self._cookie = (answer.getheader("Set-Cookie") or "").split(";")[0]

    def send(self) -> str:
        """One more; the address of its page."""
        self._sent += 1
        bound = uuid.uuid4().hex.encode()
        body = b"".join(
            [
                b'--%b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n%b\r\n'
                % (bound, self._token),
                b'--%b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n' % bound,
                fresh(self._picture, self._sent),
                b"\r\n--%b--\r\n" % bound,
            ]
        )
        headers = {
            "Content-Type": f"multipart/form-data; boundary={bound.decode()}",
            "Cookie": self._cookie,
            "Accept": "application/json",
        }
        outcome = json.loads(self._client.post("/pictures", body, headers))["outcomes"][0]
        if not outcome["url"]:
            raise UlnaError(f"the picture was not stored: {outcome['error']}", outcome["hint"])
        return str(outcome["url"])


def in_queue(address: str) -> int:
    """Pictures that have not been read yet."""
    client = Client(address)
    try:
        counts = json.loads(client.get("/health", 503)[1])["queue"]
        return int(counts["waiting"]) + int(counts["working"])
    finally:
        client.close()


def turn(address: str, paths: Sequence[str], load: Load) -> dict[str, list[float]]:
    """Milliseconds of every request, by path; each client begins with another one."""
    with ThreadPoolExecutor(load.clients) as clients:
        told = list(clients.map(lambda first: _one_client(address, paths, load, first), range(load.clients)))
    return {path: [ms for times in told for where, ms in times if where == path] for path in paths}


def _one_client(address: str, paths: Sequence[str], load: Load, first: int) -> list[tuple[str, float]]:
    client, times = Client(address), []
    for number in range(load.requests):
        path = paths[(first + number) % len(paths)]
        began = time.perf_counter()
        client.get(path)
        times.append((path, (time.perf_counter() - began) * 1e3))
        time.sleep(load.pause_ms / 1e3)
    client.close()
    return times


def measure_load(bundle: Path | None, picture: Path, load: Load, turns: int) -> tuple[Row, ...]:
    """A row for each kind of page and one for all. Raises UlnaError without a kiosk."""
    with running_kiosk(bundle) as address:
        sender = Sender(address, picture.read_bytes())
        done = sender.send()
        _until_idle(address)
        paths = (
            "/",
            "/history",
            done,
            f"{done}state",
            _picture_path(address, done),
            "/box/banner",
            "/health",
        )
        idle: dict[str, list[float]] = {path: [] for path in paths}
        full: dict[str, list[float]] = {path: [] for path in paths}
        for _turn in range(turns):
            _add(idle, turn(address, paths, load))
            while in_queue(address) < load.waiting:
                sender.send()
            _add(full, turn(address, paths, load))
            if not in_queue(address):
                raise UlnaError("the queue ran empty while pages were asked for", "give fewer --requests")
            _until_idle(address)
    names = ("new picture", "history", "result", "state", "picture", "status line", "health")
    rows = [_row(name, idle[path], full[path]) for name, path in zip(names, paths, strict=True)]
    return (*rows, _row("all", _all(idle), _all(full)))


def _picture_path(address: str, page: str) -> str:
    found = re.search(rb'href="([^"]*/screen[^"]*)"', Client(address).get(page)[1])
    if found is None:
        raise UlnaError("the result's page shows no picture", "send a picture that can be read")
    return found[1].decode().replace("&amp;", "&")


def _until_idle(address: str) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while in_queue(address):
        if time.monotonic() > deadline:
            raise UlnaError("the queue did not become empty", "see whether the kiosk reads pictures")
        time.sleep(0.2)


def _add(into: dict[str, list[float]], times: dict[str, list[float]]) -> None:
    for path, more in times.items():
        into[path] += more


def _all(times: dict[str, list[float]]) -> list[float]:
    return [ms for some in times.values() for ms in some]


def _row(name: str, idle: list[float], full: list[float]) -> Row:
    calm, busy = summarise(idle), summarise(full)
    return {
        "page": name,
        "requests": len(full),
        "idle p50 ms": calm.p50_ms,
        "idle p99 ms": calm.p99_ms,
        "full p50 ms": busy.p50_ms,
        "full p99 ms": busy.p99_ms,
        "p50 ratio": busy.p50_ms / calm.p50_ms,
        "p99 ratio": busy.p99_ms / calm.p99_ms,
        "share within 150 ms": sum(ms <= WANTED_MS for ms in full) / len(full),
    }


def main(
    picture: Annotated[Path, typer.Option(help="A radiograph.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    requests: Annotated[int, typer.Option(min=1, help="Of each client in a turn.")] = 60,
    turns: Annotated[int, typer.Option(min=1)] = 3,
    waiting: Annotated[int, typer.Option(min=1, help="Pictures in the queue when a full turn begins.")] = 150,
) -> None:
    """Measure and write it down."""
    opened, load = open_named(bundle, None), Load(requests=requests, waiting=waiting)
    rows = measure_load(bundle, picture, load, turns)
    settings = {**vars(load), "turns": turns, "picture": picture.name}
    save(Result("kiosk load", rows, settings, bundle_facts(opened)), out)
    for row in rows:
        typer.echo(
            f"{row['page']}: full p50 {row['full p50 ms']:.0f}, p99 {row['full p99 ms']:.0f} ms; idle "
            f"{row['idle p50 ms']:.0f}, {row['idle p99 ms']:.0f} ms; "
            f"{100 * row['share within 150 ms']:.1f}% within 150 ms"
        )


if __name__ == "__main__":
    typer.run(main)
