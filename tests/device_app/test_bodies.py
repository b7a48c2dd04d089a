"""Bodies of requests over real sockets: what is not taken never reaches the disk, and its sender is told."""

import contextlib
import http.client
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from device_app import create_app
from device_app.bodies import FORM_BYTES
from device_app.safe_mode import SafeBox, Trouble
from device_app.safe_mode_pages import build_safe_app
from tests.device_app import sample
from tests.device_app.conftest import wait_until
from tests.device_app.here import answer, header, served

MB = 1 << 20
LARGE = 40 * MB


@pytest.fixture
def spool(config, store, monkeypatch):
    """Where what comes lies until it is stored."""
    monkeypatch.setattr(tempfile, "tempdir", str(store.files.incoming))
    return store.files.incoming


def lying_in(folder):
    """Bytes of files that are open there; they have no name."""
    sizes = []
    for one in Path("/proc/self/fd").iterdir():
        try:
            if one.readlink().is_relative_to(folder):
                sizes.append(one.stat().st_size)
        except OSError:
            continue
    return sum(sizes)


def picture_form(token, size_bytes):
    """A form with a file that is no picture, so that it is only stored."""
    parts = [
        f'--B\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n',
        '--B\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n',
    ]
    return "".join(parts).encode() + os.urandom(size_bytes) + b"\r\n--B--\r\n"


def post(client, path, body, *lines):
    """All of it, and what is answered."""
    about = ("Content-Type: multipart/form-data; boundary=B", *lines)
    with client.open(header("POST", path, f"Content-Length: {len(body)}", *about)) as opened:
        opened.sendall(body)
        return answer(opened)


def half(client, path, sent, *lines):
    """A request of which only so many bytes of the body are there."""
    opened = client.open(header("POST", path, f"Content-Length: {LARGE}", *lines))
    opened.sendall(b"\0" * sent)
    return opened


@pytest.mark.parametrize(
    ("path", "cookie"),
    [
        ("/nosuchpage", "ulna=forged"),
        ("/sign-in/", "ulna=forged"),
        ("/pictures/", "ulna=forged"),
        ("/pictures", "no=ulna"),
        ("/photograph", "ulnax=1; x=ulna=1"),
    ],
)
def test_half_a_body_that_no_page_takes_or_without_a_session_does_not_fill_the_disk(
    config, spool, path, cookie
):
    with served(create_app(config), config) as client, half(client, path, 6 * MB, f"Cookie: {cookie}"):
        wait_until(lambda: received(client) > 5 * MB)
        assert lying_in(spool) == 0


def received(client):
    """Bytes of the body of the request that is half there."""
    (channel,) = client.server.active_channels.values()
    return channel.request.body_bytes_received if channel.request else 0


def test_a_picture_on_its_way_lies_in_the_data_folder_and_is_gone_with_its_sender(config, spool):
    with served(create_app(config), config) as client:
        opened = half(client, "/pictures", 6 * MB, "Cookie: ulna=x")
        wait_until(lambda: lying_in(spool) > 5 * MB)
        opened.close()
        wait_until(lambda: lying_in(spool) == 0)


def test_a_picture_is_stored(config, spool, store):
    with served(create_app(config), config) as client:
        cookie, token = client.session()
        said = post(client, "/pictures", picture_form(token, 2 * MB), f"Cookie: {cookie}")
    assert said.status == 303 and store.records.history(1, 1).total == 1


def test_a_picture_in_pieces_of_unknown_number_is_stored(config, spool, store):
    with served(create_app(config), config) as client:
        cookie, token = client.session()
        body = picture_form(token, 2 * MB)
        connection = http.client.HTTPConnection("localhost", client.port, timeout=30)
        headers = {"Cookie": cookie, "Content-Type": "multipart/form-data; boundary=B"}
        pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
        connection.request("POST", "/pictures", pieces, headers, encode_chunked=True)
        assert connection.getresponse().status == 303
        connection.close()
    assert store.records.history(1, 1).total == 1


def test_pieces_are_counted_while_they_come(config, spool):
    piece = b"100000\r\n" + b"\0" * MB + b"\r\n"
    about = header("POST", "/nosuchpage", "Transfer-Encoding: chunked")
    with served(create_app(config), config) as client, client.open(about) as opened:
        opened.sendall(piece * 6)
        wait_until(lambda: received(client) > 5 * MB)
        assert lying_in(spool) == 0
        opened.sendall(b"0\r\n\r\n")
        assert answer(opened).status == 413


def test_a_file_that_is_too_large_is_told_so_once_it_was_sent(config, spool):
    small = replace(config, max_upload_bytes=MB)
    with served(create_app(small), small) as client:
        cookie, token = client.session()
        said = post(client, "/pictures", picture_form(token, 3 * MB), f"Cookie: {cookie}")
    assert said.status == 413 and "The file is too large: at most 1 MB are taken." in said.body


def test_a_full_disk_is_said_in_the_words_of_the_other_pages(config, spool, store):
    with served(create_app(config), config, lambda: MB) as client:
        cookie, token = client.session()
        form = picture_form(token, 2 * MB)
        said = post(client, "/pictures", form, f"Cookie: {cookie}")
        script = post(client, "/pictures", form, f"Cookie: {cookie}", "Accept: application/json")
    assert (
        said.status == script.status == 507 and "The box&#39;s disk is full. Nothing was stored." in said.body
    )
    assert '"error":"The box\'s disk is full. Nothing was stored."' in script.body.replace('": "', '":"')
    assert store.records.history(1, 1).total == 0


def test_pictures_on_their_way_are_counted_together_and_leave_the_reserve(config, spool):
    kept = replace(config, reserve_bytes=100 * MB)
    with served(create_app(kept), kept, lambda: 100 * MB + 3 * LARGE + MB) as client:
        cookie, token = client.session()
        form = picture_form(token, 2 * MB)
        first = half(client, "/pictures", MB, f"Cookie: {cookie}")
        wait_until(lambda: lying_in(spool) > 0)
        assert post(client, "/pictures", form, f"Cookie: {cookie}").status == 507
        first.close()
        wait_until(lambda: lying_in(spool) == 0)
        assert post(client, "/pictures", form, f"Cookie: {cookie}").status == 303
        assert post(client, "/pictures", form, f"Cookie: {cookie}").status == 303, (
            "what was stored gives back"
        )


@pytest.mark.parametrize(
    ("length", "cookie", "status"),
    [(LARGE, "", 400), (1 << 40, "ulna=x", 413), (FORM_BYTES + 1, "", 400)],
)
def test_who_waits_for_a_word_before_the_body_is_answered_at_once(config, spool, length, cookie, status):
    lines = (f"Content-Length: {length}", "Expect: 100-continue", f"Cookie: {cookie}")
    with (
        served(create_app(config), config) as client,
        client.open(header("POST", "/pictures", *lines)) as opened,
    ):
        said = answer(opened)
    assert said.status == status and "Connection: close" in said.headers


def test_who_waits_for_a_word_and_may_send_gets_it(config, spool):
    with served(create_app(config), config) as client:
        cookie, token = client.session()
        body = picture_form(token, 2 * MB)
        lines = (f"Content-Length: {len(body)}", f"Cookie: {cookie}", "Expect: 100-continue")
        about = header("POST", "/pictures", "Content-Type: multipart/form-data; boundary=B", *lines)
        with client.open(about) as opened:
            assert opened.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            opened.sendall(body)
            assert answer(opened).status == 303


def test_without_a_session_a_large_picture_is_answered_like_a_small_one(config, spool):
    with served(create_app(config), config) as client:
        large, small = (post(client, "/pictures", picture_form("", size)) for size in (2 * MB, 1000))
    assert (large.status, large.body) == (small.status, small.body) and "too old" in large.body


def test_a_large_body_leaves_its_connection_of_use(config, spool):
    about = header("POST", "/nosuchpage", f"Content-Length: {2 * MB}")
    with served(create_app(config), config) as client, client.open(about) as opened:
        opened.sendall(b"\0" * (2 * MB))
        assert answer(opened).status == 413
        opened.sendall(header("GET", "/healthz"))
        assert answer(opened).status == 503


def test_a_header_of_ours_that_somebody_sends_means_nothing(config, spool):
    about = header("GET", "/", "ulna.refused: no_room", "Ulna-Refused: no_room")
    with served(create_app(config), config) as client, client.open(about) as opened:
        assert answer(opened).status == 200


def test_a_box_in_safe_mode_takes_no_picture_and_says_so(config, store, spool):
    box = SafeBox(config)
    box.begin(Trouble("kiosk.sqlite3 is damaged"))
    with served(build_safe_app(box), config, lambda: 0) as client:
        said = post(client, "/pictures", sample.picture(sample.NONE) + b"\0" * 2 * MB, "Cookie: ulna=x")
    assert said.status == 503 and "Nothing was stored." in said.body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (header("GET", "/", "X: " + "x" * 300_000), 431),
        (b"GET nonsense here\r\n\r\n", 400),
        (header("POST", "/pictures", f"Content-Length: {1 << 40}"), 413),
        (header("POST", "/pictures", "Transfer-Encoding: gzip"), 501),
    ],
)
def test_what_the_server_itself_refuses_carries_headers_too(config, store, request_, status):
    with served(create_app(config), config) as client, client.open() as opened:
        with contextlib.suppress(ConnectionError):
            opened.sendall(request_)
        said = answer(opened)
    assert said.status == status
    assert "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'" in said.headers
    assert "X-Content-Type-Options: nosniff" in said.headers and "Cache-Control: no-store" in said.headers
