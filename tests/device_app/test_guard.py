import stat
from dataclasses import replace

import pytest

from device_app import create_app
from device_app.guard import host_allowed, session_secret


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST."]
)
def test_the_box_answers_under_its_own_names(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.9", "[::1", "", "localhost@evil"],
)
@pytest.mark.parametrize("path", ["/", "/history", "/health", "/static/kiosk.css", "/nowhere"])
def test_a_foreign_name_gets_nothing(client, host, path):
    """DNS rebinding: a web page's own name made to point at this box."""
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 400 and b"Ulna" not in answer.data


def test_names_the_clinic_gave_are_allowed(config):
    named = replace(config, allowed_hosts=("Kiosk.clinic",), host="192.168.1.5")
    assert host_allowed("kiosk.clinic:80", named) and host_allowed("192.168.1.5", named)
    assert not host_allowed("192.168.1.6", named)


def test_a_kiosk_on_every_address_is_reached_by_address_but_not_by_any_name(config):
    wide = replace(config, host="0.0.0.0")
    assert host_allowed("10.1.2.3:8080", wide) and not host_allowed("evil.example", wide)


@pytest.mark.parametrize("path", ["/", "/history", "/box", "/health", "/nowhere", "/static/kiosk.css"])
def test_every_answer_carries_the_headers(client, path):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert path.startswith("/static") or headers["Cache-Control"] == "no-store"


def test_the_session_cookie_stays_on_the_box(client):
    cookie = client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie


@pytest.mark.parametrize("path", ["/pictures", "/examinations/x/images/1/retry"])
def test_a_post_without_the_token_changes_nothing(client, store, path):
    answer = client.post(path, data={"picture": (b"", "a.png")})
    assert answer.status_code == 400 and b"too old" in answer.data
    assert store.records.history(1, 1).total == 0


def test_the_secret_is_made_once_for_a_box_and_private(config, store):
    secret = session_secret(config.data_dir)
    assert secret == session_secret(config.data_dir) and len(secret) == 32
    assert stat.S_IMODE((config.data_dir / "session-secret").stat().st_mode) == 0o600


def test_a_secret_half_written_when_the_power_went_is_made_again(config, store):
    (config.data_dir / "session-secret").write_bytes(b"half")
    assert len(session_secret(config.data_dir)) == 32


def test_an_unexpected_error_says_that_it_is_no_result(config, store, monkeypatch):
    app = create_app(config)
    monkeypatch.setattr(type(store.records), "history", lambda *_: 1 / 0)
    answer = app.test_client().get("/history")
    assert answer.status_code == 500 and b"This is not a result" in answer.data
    assert b"ZeroDivision" not in answer.data
