"""The screens through Flask's client, with results that the real model gave."""

import errno
import io
import re
from dataclasses import replace

import pytest

from device_app import create_app
from device_app.status import Phase, ReaderStatus
from device_app.store.files import ImageFiles
from tests.device_app import sample
from tests.device_app.conftest import FixedReader, overwrite_database

NOTICE = "AI result, not a diagnosis"


BROKEN = ReaderStatus(Phase.CANNOT_ANSWER, reason="the bundle is not signed", hint="install another")
READY = ReaderStatus(Phase.READY, engine="onnxruntime-fp32", bundle_sha256="ab" * 32)


def token(client):
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get("/").text)[1]


def send(client, *files, label="", script=False):
    data = {
        "csrf_token": token(client),
        "patient_label": label,
        "picture": [(io.BytesIO(content), name) for name, content in files],
    }
    headers = {"Accept": "application/json"} if script else {}
    return client.post("/pictures", data=data, headers=headers, content_type="multipart/form-data")


def result(client, work_off, data, name="a.png"):
    """The result page of a picture that was sent and read."""
    address = send(client, (name, data)).headers["Location"]
    work_off()
    return client.get(address).text


def test_a_picture_sent_by_the_form_leads_to_its_result_page(config, store):
    client = create_app(config, FixedReader(READY)).test_client()
    answer = send(client, ("a.png", sample.picture(sample.NONE)), label="P 1")
    assert answer.status_code == 303
    page = client.get(answer.headers["Location"])
    assert page.status_code == 200 and "Still working" in page.text and "This picture is next." in page.text
    assert 'http-equiv="refresh"' in page.text and "P 1" in page.text


@pytest.mark.parametrize(
    ("gap", "headline", "must"),
    [
        (sample.NONE, "No fracture found", "If pain persists, take a new picture"),
        (sample.DOUBT, "Doubt: fracture possible", "Treat the injury as broken"),
        (sample.FRACTURE, "Fracture suspected", "Keep the injured part still"),
    ],
)
def test_each_answer_says_what_it_is_and_what_to_do(client, work_off, gap, headline, must):
    page = result(client, work_off, sample.picture(gap))
    assert f">{headline}</h1>" in page and must in page and NOTICE in page
    assert "It is not the chance that this patient has one." in page
    assert ('<rect class="box"' in page) == (gap != sample.NONE)
    assert "gap-finder 1.0.0" in page and "onnxruntime" in page


@pytest.mark.parametrize("kind", ["screen", "thumb", "heat"])
def test_the_pictures_of_a_result_are_served_as_png(client, work_off, kind):
    page = result(client, work_off, sample.picture(sample.FRACTURE))
    address = re.search(r'href="([^"]+)/screen.png"', page)[1]
    answer = client.get(f"{address}/{kind}.png")
    assert answer.status_code == 200 and answer.data.startswith(b"\x89PNG")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "1/original.png",
        "1/screen",
        "99/screen.png",
        "../../lock",
        "1/..%2f..%2fsession-secret",
        "0/screen.png",
    ],
)
def test_nothing_else_is_served_from_the_store(client, work_off, path):
    page = result(client, work_off, sample.picture(sample.FRACTURE))
    address = re.search(r'href="([^"]+)/1/screen.png"', page)[1]
    assert client.get(f"{address}/{path}").status_code == 404


def hostile_files():
    whole = sample.picture(sample.NONE)
    jpeg = sample.cv2.imencode(".jpg", sample.forearm(0) >> 4)[1].tobytes()
    bomb = sample.png(sample.np.zeros((6000, 6000), sample.np.uint8))
    lying = whole[:16] + b"\x7f\xff\xff\xff\x7f\xff\xff\xff" + whole[24:]
    return {
        "text": b"hello",
        "html": b"<script>alert(1)</script>",
        "truncated jpeg": jpeg[: len(jpeg) // 2],
        "truncated png": whole[: len(whole) // 2],
        "blank bomb": bomb,
        "lying size": lying,
        "zip": b"PK\x03\x04" + b"\0" * 500,
        "magic only": b"\x89PNG\r\n\x1a\n",
        "zeros": b"\0" * 5000,
    }


@pytest.mark.parametrize("name", hostile_files())
def test_a_hostile_file_is_cannot_read_and_never_no_fracture(client, work_off, name):
    page = result(client, work_off, hostile_files()[name], "../../<b>x</b>.png")
    assert ">Cannot read this picture</h1>" in page and ">No fracture found</h1>" not in page
    assert "Until there is a result, decide by examining the patient." in page
    assert "<b>x" not in page and "../" not in page.split("<main", 1)[1]


@pytest.mark.parametrize("script", [False, True])
def test_an_empty_file_is_refused_with_its_name(client, store, script):
    answer = send(client, ("empty.png", b""), script=script)
    assert answer.status_code == 400 and "The file is empty. It was not stored." in answer.text
    assert "empty.png" in answer.text and store.records.history(1, 1).total == 0


def test_no_file_at_all_is_said(client):
    assert "No picture was chosen." in send(client).text


def test_each_of_several_files_has_its_own_outcome(client):
    answer = send(client, ("good.png", sample.picture(0)), ("empty.png", b""), script=True)
    good, empty = answer.json["outcomes"]
    assert good["url"] and not good["error"] and empty["error"] and not empty["url"]


def test_too_large_a_file_is_refused_in_plain_words(config, store):
    from dataclasses import replace

    client = create_app(replace(config, max_upload_bytes=1 << 20)).test_client()
    for size in ((1 << 20) + 1, 5 << 20):
        answer = send(client, ("big.png", b"x" * size))
        assert answer.status_code in (400, 413) and "at most 1 MB" in answer.text
    assert store.records.history(1, 1).total == 0


def test_a_full_disk_is_said_in_plain_words(config, store):
    from dataclasses import replace

    client = create_app(replace(config, reserve_bytes=1 << 60)).test_client()
    answer = send(client, ("a.png", sample.picture(0)))
    assert answer.status_code == 507 and "disk is full. Nothing was stored." in answer.text
    assert client.get("/health").json["intake_open"] is False


def test_a_picture_sent_twice_shows_the_result_it_has(client, work_off):
    result(client, work_off, sample.picture(sample.FRACTURE))
    answer = send(client, ("other-name.png", sample.picture(sample.FRACTURE)))
    page = client.get(answer.headers["Location"]).text
    assert "This picture was already here." in page and "Fracture suspected" in page


def test_the_script_of_a_waiting_page_learns_place_and_end(client, work_off):
    addresses = [send(client, ("a.png", sample.picture(0, seed))).headers["Location"] for seed in range(3)]
    states = [client.get(f"{address}state").json for address in addresses]
    assert [said["ended"] for said in states] == [0, 0, 0]
    assert states[2]["place"] == "2 pictures are read before this one."
    work_off()
    assert client.get(f"{addresses[2]}state").json["ended"] == 1


def test_a_lost_picture_can_be_sent_and_tried_again(client, store, work_off):
    address = send(client, ("a.png", sample.picture(sample.FRACTURE))).headers["Location"]
    from device_app.store.queue import FailureCode

    store.queue.fail(store.queue.claim("a"), FailureCode.FILE_LOST)
    page = client.get(address).text
    assert "damaged on the box" in page and ">Try again</button>" in page
    action = re.search(r'action="([^"]+/retry)"', page)[1]
    assert client.post(action, data={"csrf_token": token(client)}).status_code == 303
    work_off()
    assert "Fracture suspected" in client.get(address).text


def test_history_shows_every_examination_once_over_its_pages(client, work_off):
    for number in range(4):
        send(client, (f"{number}.png", sample.picture(sample.NONE, number)), label=f"Patient {number}")
    work_off()
    first, second = client.get("/history").text, client.get("/history?page=2").text
    assert re.findall(r"Patient \d", first) == ["Patient 3", "Patient 2", "Patient 1"]
    assert re.findall(r"Patient \d", second) == ["Patient 0"] and "Page 2 of 2" in second
    assert "No fracture found" in first and NOTICE in first


@pytest.mark.parametrize("page", ["0", "-5", "999999", "x", ""])
def test_an_odd_page_number_is_some_page(client, page):
    assert client.get(f"/history?page={page}").status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/examinations/unknown/", "/examinations/x/images/1/thumb.png"])
def test_an_unknown_address_is_a_plain_page(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and "There is no such page." in answer.text and NOTICE in answer.text


def test_a_box_that_cannot_answer_says_why_on_every_screen(config, store):
    client = create_app(config, FixedReader(BROKEN)).test_client()
    address = send(client, ("a.png", sample.picture(0))).headers["Location"]
    for path in ("/", "/history", "/box", "/nowhere", "/box/banner", address):
        page = client.get(path).text
        assert "This box cannot answer now." in page and "the bundle is not signed" in page
        assert "install another" in page and ">No fracture found<" not in page
    page = client.get(address).text
    assert "Waiting: the box cannot answer" in page and "Do not wait for the box." in page
    assert client.get(f"{address}state").json["held"] is True
    assert client.get("/health").status_code == 503


def test_a_kiosk_without_a_reader_does_not_look_ready(client):
    assert "This box cannot answer now." in client.get("/").text
    assert client.get("/health").status_code == 503


def test_health_of_a_box_that_works(config, store):
    client = create_app(config, FixedReader(READY)).test_client()
    answer = client.get("/health")
    assert answer.status_code == 200 and answer.json["healthy"] is True
    assert answer.json["queue"] == {"waiting": 0, "working": 0} and answer.json["disk_free_bytes"] > 0
    assert answer.json["reader"]["bundle_sha256"] == "ab" * 32
    assert "cannot answer" not in client.get("/").text


def test_a_known_picture_sent_for_another_patient_says_whose_it_is(client):
    picture = ("a.png", sample.picture(sample.NONE))
    send(client, picture, label="P 1")
    again = client.get(send(client, picture, label="P 1").headers["Location"]).text
    assert "already here" in again and "Take care" not in again
    other = send(client, picture, label="P 2", script=True).get_json()["outcomes"][0]
    assert "under the patient “P 1”; the one given now was not taken" in other["says"]
    assert other["says"] in client.get(other["url"]).text


def test_a_known_picture_stored_without_a_patient_says_that_the_name_was_not_taken(client):
    picture = ("a.png", sample.picture(sample.NONE))
    send(client, picture)
    page = client.get(send(client, picture, label="P 2").headers["Location"]).text
    assert "stored without a patient; the one given now was not taken" in page


def test_the_patient_stands_above_the_answer(client):
    page = client.get(
        send(client, ("a.png", sample.picture(sample.NONE)), label="P 7").headers["Location"]
    ).text
    assert page.index("<bdi>P 7</bdi>") < page.index("<h1")


def test_a_map_that_is_not_there_has_no_switch(client, work_off, store):
    picture = sample.picture(sample.FRACTURE)
    assert 'data-toggle="heat"' in result(client, work_off, picture)
    image = store.records.history(1, 1).examinations[0].images[0]
    store.files.derived_path(image.sha256, "heat").unlink()
    page = client.get(send(client, ("a.png", picture)).headers["Location"]).text
    assert "heat" not in page and 'data-toggle="boxes"' in page


@pytest.fixture
def damaged(config, store):
    """The screens of a box whose database was overwritten after it started."""
    client = create_app(config, FixedReader(READY)).test_client()
    assert send(client, ("a.png", sample.picture(sample.NONE))).status_code == 303
    overwrite_database(config, store)
    return client


def test_a_damaged_database_is_unhealthy_in_json(damaged):
    answer = damaged.get("/health")
    assert answer.status_code == 503 and answer.get_json()["healthy"] is False
    assert "database" in answer.get_json()["error"] and answer.get_json()["hint"]


def test_a_damaged_database_shows_no_result_and_stores_no_picture(damaged):
    for path in ("/history", "/box"):
        answer = damaged.get(path)
        assert answer.status_code == 503 and "This is not a result." in answer.text
        assert "No fracture found" not in answer.text and "SELECT" not in answer.text
    sent = send(damaged, ("b.png", b"b"), script=True)
    assert sent.status_code == 503
    assert sent.get_json()["outcomes"][0]["error"] == "The box could not store this picture."


def test_a_folder_that_refuses_one_file_keeps_the_line_of_the_other(client, store, monkeypatch):
    stage, seen = store.files.stage, []

    def once(_files, *given):
        seen.append(given)
        if len(seen) == 2:
            raise OSError(errno.EIO, "Input/output error")
        return stage(*given)

    monkeypatch.setattr(ImageFiles, "stage", once)
    answer = send(client, ("good.png", b"a"), ("bad.png", b"b"))
    assert answer.status_code == 503
    assert "Show result" in answer.text and "could not store this picture" in answer.text


def test_every_screen_of_a_full_box_says_that_it_takes_no_pictures(config, store):
    client = create_app(replace(config, reserve_bytes=1 << 60), FixedReader(READY)).test_client()
    for path in ("/", "/history", "/box", "/box/banner", "/nowhere"):
        assert "takes no new pictures: its disk is full" in client.get(path).text, path


def test_a_vanished_data_folder_is_a_page_in_plain_words_too(config, store):
    client = create_app(config, FixedReader(READY)).test_client()
    config.data_dir.rename(config.data_dir.with_name("elsewhere"))
    for path in ("/", "/history", "/box", "/nowhere"):
        page = client.get(path).text
        assert NOTICE in page and "No fracture found" not in page, path
    assert client.get("/health").status_code == 503
