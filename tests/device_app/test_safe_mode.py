"""The pages of a box in safe mode: they need no store, take nothing in, and mend for who may."""

from __future__ import annotations

import io
import json
import re
import threading
import time

import pytest

from device_app.access.people import People
from device_app.access.roles import Role
from device_app.guard import SAFE_MODE
from device_app.mend import condition
from device_app.safe_mode import BY_CODE, Phase, SafeBox, Trouble, trouble_of
from device_app.safe_mode_checks import Part, look
from device_app.safe_mode_pages import build_safe_app
from device_app.store import open_store
from device_app.store.recover_source import Condition
from tests.device_app import broken
from tests.device_app.conftest import wait_until

PIN = "574038"
ELSEWHERE = "192.168.1.20"
TRIES = "safe-mode-tries"


@pytest.fixture
def box(config, monkeypatch):
    monkeypatch.setattr("device_app.safe_mode._SHOWN_S", 3600.0)
    return SafeBox(config)


def open_box(box, reason="kiosk.sqlite3 is damaged"):
    box.begin(Trouble(reason, "mend it"))
    app = build_safe_app(box)
    app.testing = True
    return app.test_client()


def token(client):
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get("/").text)[1]


def mend(client, who, proof, address="127.0.0.1"):
    said = {"csrf_token": token(client), "who": who, "proof": proof}
    return client.post("/safe/mend", data=said, environ_base={"REMOTE_ADDR": address})


def lock_out(client, who, proof="111222", address="127.0.0.1"):
    for _ in range(5):
        answer = mend(client, who, proof, address)
    assert "Too many wrong tries." in answer.text


@pytest.fixture
def damaged(config):
    """With an administrator whose row can still be read."""
    store = broken.filled(config, 6)
    ada = People(store.database).add("Ada", Role.ADMINISTRATOR, PIN, "box")
    People(store.database).add("Ben", Role.READER, "830271", "box")
    broken.settled(store, config.data_dir)
    connection = broken.connection_of(config.data_dir)
    connection.execute("DELETE FROM examinations WHERE id = 3")
    connection.commit()
    connection.close()
    return ada.public_id


@pytest.mark.parametrize("path", ["/", "/history", "/settings/", "/examinations/abc/", "/nonsense"])
def test_every_page_says_what_to_do_now_and_is_no_success(box, damaged, path):
    answer = open_box(box).get(path)
    assert answer.status_code == 503 and "Decide by examining the patient." in answer.text
    assert "kiosk.sqlite3 is damaged" in answer.text and "AI result, not a diagnosis" in answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert SAFE_MODE in answer.headers, "pages that were open before ask for it"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/health", "/healthz"])
def test_machines_are_told_503_and_why(box, damaged, path):
    answer = open_box(box).get(path)
    told = answer.get_json()
    assert answer.status_code == 503 and told["safe_mode"]
    assert told["healthy"] is told["intake_open"] is False
    assert told["parts"]["database"]["ok"] is False and told["parts"]["disk"]["ok"] is True


def test_a_picture_that_is_sent_is_not_stored_and_that_is_said(box, damaged, config):
    client = open_box(box)
    before = sorted(config.data_dir.rglob("*"))
    picture = {"picture": (io.BytesIO(b"x" * 200_000), "a.png")}
    page = client.post("/pictures", data=picture)
    assert page.status_code == 503 and "Nothing was stored." in page.text
    script = client.post("/pictures", headers={"Accept": "application/json"})
    assert script.status_code == 503 and script.get_json()["hint"] == "Nothing was stored."
    assert sorted(config.data_dir.rglob("*")) == before


def test_a_foreign_name_is_refused_as_by_the_kiosk_itself(box, damaged):
    assert open_box(box).get("/", headers={"Host": "evil.example"}).status_code == 400


def test_nothing_is_mended_without_a_pin_or_the_code(box, damaged, config):
    client = open_box(box)
    for who, proof in ((damaged, "111222"), (BY_CODE, "AAAA-AAAA"), ("Ben", "830271"), ("", "")):
        assert "Nothing was changed." in mend(client, who, proof).text
    client.post(
        "/safe/mend", data={"who": BY_CODE, "proof": box.code}
    )  # a page of another site knows no token
    assert box.phase is Phase.BROKEN and condition(config.data_dir).condition is Condition.DAMAGED


def test_too_many_wrong_tries_lock_out_the_right_one(box, damaged):
    client = open_box(box)
    lock_out(client, damaged)
    assert "Wait 1 min" in mend(client, damaged, PIN).text and box.phase is Phase.BROKEN


@pytest.mark.parametrize("by_code", [False, True])
def test_a_stranger_on_the_network_locks_nobody_out_at_the_box(box, damaged, by_code):
    client = open_box(box)
    for who in ("", damaged, BY_CODE):
        lock_out(client, who, address=ELSEWHERE)
    who, proof = (BY_CODE, box.code) if by_code else (damaged, PIN)
    assert "Too many wrong tries." in mend(client, who, proof, ELSEWHERE).text
    mend(client, who, proof)
    wait_until(lambda: box.phase is Phase.MENDED)


@pytest.mark.parametrize("by_code", [False, True])
def test_wrong_tries_of_one_lock_out_neither_another_nor_who_has_the_code(box, damaged, by_code):
    client = open_box(box)
    for who in ("", "Wanjiku 17", damaged if by_code else BY_CODE):
        lock_out(client, who)
    mend(client, *(BY_CODE, box.code) if by_code else (damaged, PIN))
    wait_until(lambda: box.phase is Phase.MENDED)


def test_wrong_tries_outlive_a_start_of_the_box_and_name_nobody(box, damaged, config):
    client = open_box(box)
    for who in (damaged, BY_CODE, "Wanjiku 17"):
        lock_out(client, who)
    again = SafeBox(config)
    client = open_box(again)
    for who, proof in ((damaged, PIN), (BY_CODE, again.code)):
        assert "Too many wrong tries." in mend(client, who, proof).text
    assert again.phase is Phase.BROKEN
    kept = (config.data_dir / TRIES).read_text()
    assert not [name for name in ("Ada", "Wanjiku", "111222", PIN) if name in kept]
    assert (config.data_dir / TRIES).stat().st_mode & 0o077 == 0


def test_a_right_pin_begins_to_count_anew_for_its_own(box, damaged, config):
    client = open_box(box)
    for who in (damaged, BY_CODE):
        for _ in range(4):
            mend(client, who, "111222")
    mend(client, damaged, PIN)
    wait_until(lambda: box.phase is Phase.MENDED)
    assert damaged not in (config.data_dir / TRIES).read_text()
    assert BY_CODE in (config.data_dir / TRIES).read_text()


UNUSABLE = (
    b"",
    b"{",
    b"[1]",
    b"\xff\x00",
    b'{"box code": 3}',
    b"[" * 60_000,
    b'{"box code": {"failures": "x"}}',
)


@pytest.mark.parametrize("content", UNUSABLE)
def test_tries_that_cannot_be_understood_are_counted_anew(box, damaged, config, content):
    (config.data_dir / TRIES).write_bytes(content)
    client = open_box(box)
    lock_out(client, BY_CODE)
    assert "Too many wrong tries." in mend(open_box(SafeBox(config)), BY_CODE, "111222").text
    mend(client, damaged, PIN)
    wait_until(lambda: box.phase is Phase.MENDED)


def test_tries_that_another_clock_has_locked_wait_an_hour_at_most(box, damaged, config):
    until = {"failures": 9, "locked_until_utc": "2199-01-01T00:00:00"}
    (config.data_dir / TRIES).write_text(json.dumps({f"box {damaged}": until}))
    assert "Wait 60 min" in mend(open_box(box), damaged, PIN).text
    assert "2199" not in (config.data_dir / TRIES).read_text()


def test_tries_that_cannot_be_written_down_are_counted_all_the_same(box, damaged, config):
    (config.data_dir / TRIES).mkdir()
    client = open_box(box)
    lock_out(client, damaged)
    assert "Too many wrong tries." in mend(client, damaged, PIN).text and box.phase is Phase.BROKEN


def test_a_folder_that_is_not_there_is_not_made_by_a_wrong_try(box, config, monkeypatch):
    monkeypatch.setattr("device_app.safe_mode.can_be_mended", lambda _found: True)
    lock_out(open_box(box), BY_CODE)
    assert not config.data_dir.exists()


@pytest.mark.parametrize("by_code", [False, True])
def test_an_administrator_and_who_knows_the_code_mend_it(box, damaged, config, by_code):
    client, code = open_box(box), box.code
    who, proof = (BY_CODE, code.lower().replace("-", " ")) if by_code else (damaged, PIN)
    mend(client, who, proof)
    wait_until(lambda: box.phase is Phase.MENDED)
    page = client.get("/").text
    assert "The database was mended." in page and "set-aside" in page
    assert condition(config.data_dir).condition is Condition.SOUND and box.code != code
    store = open_store(config)
    assert store.log.page(1, 1).entries[0].actor == ("box" if by_code else damaged)
    store.close()


def test_what_cannot_be_mended_is_said_and_can_be_tried_again(box, damaged, config, monkeypatch):
    client = open_box(box)
    with monkeypatch.context() as context:
        context.setattr("device_app.store.recover.migrate", no_room)
        mend(client, BY_CODE, box.code)
        wait_until(lambda: box.failed.reason)
    assert "It could not be mended; everything is as it was." in client.get("/").text
    mend(client, BY_CODE, box.code)
    wait_until(lambda: box.phase is Phase.MENDED)


def no_room(_path):
    raise OSError(28, "No space left on device")


def test_where_no_administrator_can_be_read_the_code_is_left(box, damaged, config):
    broken.spoil_header(broken.database(config.data_dir))
    page = open_box(box).get("/").text
    assert "Ada" not in page and f'value="{BY_CODE}"' in page and box.code not in page


def test_a_newer_database_is_not_offered_to_be_mended(box, config):
    broken.settled(broken.filled(config, 2), config.data_dir)
    broken.make_newer(config.data_dir)
    client = open_box(box, "the database is of a newer version")
    page = client.get("/").text
    assert "Start that version" in page and "/safe/mend" not in page
    assert box.parts[Part.VERSION].ok is False and box.parts[Part.DATABASE].ok is True
    assert "nothing to mend" in mend(client, BY_CODE, box.code).text


def test_a_schema_that_is_no_text_is_offered_to_be_mended(box, damaged, config):
    broken.spoil_schema(broken.database(config.data_dir))
    client = open_box(box)
    assert box.offers_mending and 'name="proof"' in client.get("/").text
    assert look(config, Part.DATABASE).ok is False


def test_each_part_is_looked_at_by_itself(config, damaged, kiosk_bundle):
    states = {part: look(config, part).ok for part in Part}
    assert states == {
        Part.FOLDER: True,
        Part.DISK: True,
        Part.DATABASE: False,
        Part.VERSION: None,
        Part.LOG: True,
        Part.BUNDLE: True,
        Part.ENGINE: True,
    }


def test_stored_pictures_are_counted_and_untouched(box, damaged):
    assert "The stored pictures are untouched: 6 files." in open_box(box).get("/").text


def test_a_folder_that_is_a_file_breaks_that_part_and_no_page(box, config, monkeypatch):
    config.data_dir.write_text("not a folder")
    assert open_box(box, "the data folder cannot be used").get("/").status_code == 503
    assert box.parts[Part.FOLDER].ok is False


def test_after_a_mending_that_failed_the_code_still_fits_and_the_box_tries_to_start_by_itself(
    box, damaged, monkeypatch
):
    monkeypatch.setattr("device_app.safe_mode._FIRST_PAUSE_S", 2.0)
    asked, started = threading.Event(), threading.Event()
    monkeypatch.setattr("device_app.safe_mode.serving.leave", started.set)
    monkeypatch.setattr("device_app.safe_mode._ANSWERED_S", 0.0)

    def fail(*_):
        assert asked.wait(30)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("device_app.safe_mode.mend", fail)
    box = SafeBox(box.config)
    code, client = box.code, open_box(box)
    mend(client, BY_CODE, code)
    time.sleep(3.0)  # the time of the next start comes while it is being mended
    assert box.phase is Phase.MENDING and box.code == code
    asked.set()
    assert started.wait(30), "nothing starts it any more"


@pytest.mark.parametrize("what", ["kept", "can_be_mended", "administrators"])
def test_the_page_comes_up_whatever_a_look_runs_into(box, damaged, config, monkeypatch, what):
    def stumble(*_):
        raise ValueError("Wanjiku 17")

    places = {"kept": "safe_mode_checks.made_utc", "administrators": "safe_mode.find_rows"}
    monkeypatch.setattr(f"device_app.{places.get(what, f'safe_mode.{what}')}", stumble)
    (config.data_dir / "copies").mkdir()
    (config.data_dir / "copies" / "kiosk-20260101T000000Z.sqlite3").write_bytes(b"x")
    page = open_box(box).get("/")
    assert page.status_code == 503 and "Decide by examining the patient." in page.text
    assert "Wanjiku" not in page.text


def test_a_copy_with_a_date_that_cannot_be_keeps_no_page_from_coming_up(box, damaged, config):
    (config.data_dir / "copies").mkdir()
    (config.data_dir / "copies" / "kiosk-20261399T000000Z.sqlite3").write_bytes(b"x")
    assert open_box(box).get("/").status_code == 503


def test_a_wrong_pin_is_told_to_whoever_reads_the_journal_and_what_was_sent_is_not(box, damaged, caplog):
    client = open_box(box)
    mend(client, damaged, "111222")
    mend(client, "Wanjiku 17", "333444")
    said = [one.getMessage() for one in caplog.records if "wrong PIN" in one.getMessage()]
    assert [damaged in said[0], "nobody" in said[1]] == [True, True]
    assert "Wanjiku" not in caplog.text and "111222" not in caplog.text and "333444" not in caplog.text


def test_machines_are_not_told_where_the_data_lie(box, damaged, config):
    client = open_box(box, f"the data folder {config.data_dir} cannot be used")
    for path in ("/health", "/healthz"):
        told = client.get(path)
        assert str(config.data_dir) not in told.text and "DATA" in told.get_json()["reason"]


def test_what_ended_a_start_quotes_no_row():
    error = ValueError("Invalid isoformat string: 'Wanjiku 17'")
    assert trouble_of(error).reason == "ValueError"
    assert "No such file" in trouble_of(FileNotFoundError(2, "No such file", "x")).reason
