"""Many connections at once, and such that never end: everybody else gets a page all the same."""

import contextlib
import socket
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import waitress.channel
import waitress.server

from device_app import connections, create_app
from device_app.connections import Held, Patience, Places, Server, Stage, gives_way
from tests.device_app.conftest import wait_until
from tests.device_app.here import answer, header, served

HALF_HEADER = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
HALF_BODY = header("POST", "/pictures", "Content-Length: 1000000") + b"--x\r\n"
SEVENTY = [HALF_HEADER] * 20 + [HALF_BODY] * 20 + [b""] * 30
SHORT = Patience(idle_s=1, header_s=1, silent_s=1, bytes_a_s=1000, unread_s=1)


@pytest.fixture
def client(config, store):
    with served(create_app(config), config) as client:
        yield client


@pytest.fixture
def impatient(monkeypatch, config, store):
    monkeypatch.setattr(connections, "_LOOK_EVERY_S", 1)
    monkeypatch.setattr(Server, "patience", SHORT)
    with served(create_app(config), config) as client:
        yield client


@pytest.fixture
def over_network(monkeypatch):
    """Only 127.0.0.1 is the box's own screen: the others of its addresses stand for machines of a network."""
    monkeypatch.setattr(
        connections,
        "place_of",
        lambda address, _host: connections.Place.BOX if address == "127.0.0.1" else connections.Place.NETWORK,
    )


def is_over(opened):
    """Whether the kiosk ended a connection."""
    opened.setblocking(False)
    try:
        return opened.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def open_all(stack, client, what, host="127.0.0.1"):
    return [stack.enter_context(client.open(data, host)) for data in what]


def test_seventy_at_once_from_the_box_itself_keep_nobody_from_it(client):
    with contextlib.ExitStack() as stack:
        open_all(stack, client, SEVENTY)
        begun = time.monotonic()
        assert client.get("/healthz").status == 503 and client.get("/").status == 200
        assert time.monotonic() - begun < 5


def test_an_address_that_opens_many_keeps_nobody_else_out_nor_itself(over_network, client):
    with contextlib.ExitStack() as stack:
        nurse = stack.enter_context(client.open(HALF_HEADER, "127.0.0.3"))
        open_all(stack, client, SEVENTY, "127.0.0.2")
        for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            assert client.get("/", host).status == 200
        assert not is_over(nurse), "whoever holds few loses none"
        nurse.setblocking(True)
        nurse.sendall(b"x\r\nConnection: close\r\n\r\n")
        assert answer(nurse).status == 200


def test_many_addresses_together_keep_neither_the_box_out_nor_a_further_one(over_network, client):
    with contextlib.ExitStack() as stack:
        at_the_box = stack.enter_context(client.open(HALF_HEADER))
        for number in range(2, 8):
            open_all(stack, client, [HALF_HEADER] * 25, f"127.0.0.{number}")
        assert client.get("/").status == client.get("/", "127.0.0.9").status == 200
        assert not is_over(at_the_box)
        wait_until(lambda: len(client.server.active_channels) <= 96 + 1)


def test_half_bodies_that_are_silent_give_way_to_a_page(client, monkeypatch):
    """Not at once: somebody may be sending a picture."""
    monkeypatch.setattr(connections, "_QUIET_S", 0.5)
    with contextlib.ExitStack() as stack:
        open_all(stack, client, [HALF_BODY] * 32)
        time.sleep(1)
        assert client.get("/").status == 200


@pytest.fixture
def jump(monkeypatch):
    """Sets the clock on the wall by so many seconds, for waitress."""
    by = [0.0]
    wall = SimpleNamespace(time=lambda: time.time() + by[0])
    for module in (waitress.channel, waitress.server):
        monkeypatch.setattr(module, "time", wall)
    return lambda seconds: by.__setitem__(0, seconds)


def test_a_clock_that_jumps_ahead_cuts_nothing_off(client, jump):
    with contextlib.ExitStack() as stack:
        sending, idle = (stack.enter_context(client.open(data)) for data in (HALF_BODY, b""))
        assert client.get("/healthz").status == 503
        jump(3600.0)
        time.sleep(2)  # the server looks round at least once
        assert not is_over(sending) and not is_over(idle)


def test_a_clock_that_jumps_back_keeps_nothing_that_is_over(impatient, jump):
    with impatient.open(HALF_BODY) as opened:
        jump(-3600.0)
        wait_until(lambda: is_over(opened))


def test_a_picture_that_is_being_sent_outlasts_idle_connections(client):
    with contextlib.ExitStack() as stack:
        sending = stack.enter_context(client.open(HALF_BODY))
        open_all(stack, client, [b""] * 60)
        assert client.get("/healthz").status == 503  # all that came before it have been let in by now
        wait_until(lambda: len(client.server.active_channels) <= 32)
        assert not is_over(sending)


@pytest.mark.parametrize("data", [b"", HALF_HEADER, HALF_BODY, header("GET", "/healthz")])
def test_what_never_goes_on_is_ended(impatient, data):
    with impatient.open(data) as opened:
        if data.endswith(b"\r\n\r\n"):
            assert answer(opened).status == 503
        wait_until(lambda: is_over(opened))


@pytest.mark.parametrize("start", [HALF_HEADER, HALF_BODY])
def test_a_byte_now_and_then_holds_no_connection_for_ever(impatient, start):
    with impatient.open(start) as opened:
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - begun < 15:
                opened.sendall(b"x")
                time.sleep(0.2)


def test_answers_that_nobody_takes_hold_no_connection_for_ever(impatient):
    """Its socket takes no more: waitress alone would wait for it, and its thread with it."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    opened.connect(("127.0.0.1", impatient.port))
    with opened:
        opened.sendall(header("GET", "/static/kiosk.css") * 150)
        wait_until(lambda: impatient.server.active_channels)
        wait_until(lambda: not impatient.server.active_channels)


def test_who_listens_on_one_address_of_a_network_has_the_places_of_the_box_there_too(config, store):
    named = replace(config, host="127.0.0.5")
    with served(create_app(named), named) as client, client.open(b"GET", "127.0.0.5"):
        wait_until(lambda: client.server.active_channels)
        assert [one.address for one in client.server.active_channels.values()] == [""]


def held(address="10.0.0.2", stage=Stage.IDLE, quiet_s=0.0, **more):
    return Held(address, stage, quiet_s, **more)


FEW = Places(each=2, network=4)


def test_with_places_for_all_nobody_goes():
    assert gives_way([held()] * 2 + [held("")] * 2 + [held("10.0.0.3")] * 2, FEW) is None


def test_what_waits_longest_goes_first():
    assert gives_way([held(quiet_s=1), held(quiet_s=9), held()], FEW) == 1


def test_half_a_picture_goes_last_and_only_when_it_is_silent():
    body = held(stage=Stage.BODY, quiet_s=20)
    assert gives_way([body, held(quiet_s=1), held()], FEW) == 1
    assert gives_way([body, held(stage=Stage.AT_WORK, quiet_s=60), held()], FEW) == 0
    assert gives_way([replace(body, quiet_s=1)] * 2 + [held()], FEW) == 2


def test_where_all_are_served_the_newest_is_not_let_in():
    assert gives_way([held(stage=Stage.AT_WORK, quiet_s=60)] * 2 + [held()], FEW) == 2


def test_where_the_network_has_too_many_whoever_holds_most_loses_one():
    others = [held("10.0.0.3", quiet_s=90), held("10.0.0.4", quiet_s=80), held("", quiet_s=99)]
    assert gives_way([*others, held(quiet_s=1), held(quiet_s=2), held("10.0.0.5")], FEW) == 4


def test_a_slow_network_may_send_a_large_picture_and_a_trickle_may_not():
    patience = Patience()
    slow = held(stage=Stage.BODY, quiet_s=3, age_s=1000, body_bytes=1000 * 10_000)
    assert not slow.is_over(patience) and replace(slow, body_bytes=1000).is_over(patience)
    assert not held(stage=Stage.AT_WORK, quiet_s=9999).is_over(patience)


def test_what_is_dropped_as_it_comes_gives_way_at_once():
    body = held(stage=Stage.BODY, quiet_s=0, age_s=1)
    assert gives_way([body, replace(body, refused=True), held()], FEW) == 1


def test_a_newcomer_of_another_address_is_let_in_where_all_are_sending():
    body = held(stage=Stage.BODY, quiet_s=1, age_s=10, body_bytes=5000)
    full = [body, replace(body, body_bytes=20)] + [replace(body, address="10.0.0.7")] * 2
    assert gives_way([*full, held("10.0.0.8")], replace(FEW, network=4)) == 1
