"""A USB stick in a temporary folder: what is shown, what may be taken, and what a hostile stick can do."""

import os
import re
import shutil
from dataclasses import replace

import pytest

from device_app import create_app
from device_app.config import MediaOptions
from device_app.intake.door import Door, Fate
from device_app.intake.sources import SourceKind, Sources
from device_app.intake.stick import Sticks, install_sticks, may_be_picture
from device_app.status import Phase, ReaderStatus
from device_app.store import open_store
from device_app.web import Kiosk, kiosk_of
from tests.device_app import sample
from tests.device_app.conftest import FixedReader
from tests.device_app.intake.conftest import PACE
from tests.device_app.intake.test_mounts import add_device


class Slot:
    """Where sticks are plugged in and pulled out."""

    def __init__(self, root):
        self.root = root
        (root / "media").mkdir()
        self._lines = {}
        self._write()
        add_device(root, "8:17", "usb1/sdb/sdb1", "1")

    @property
    def options(self):
        return MediaOptions((self.root / "media",), self.root / "mountinfo", self.root / "block")

    def plug(self, name="STICK", number=97):
        point = self.root / "media" / name
        point.mkdir()
        escaped = str(point).replace("\\", "\\134").replace(" ", "\\040").replace("\n", "\\012")
        self._lines[name] = f"{number} 1 8:17 / {escaped} rw - vfat /dev/sdb1 rw\n"
        self._write()
        return point

    def pull(self, name="STICK"):
        del self._lines[name]
        self._write()
        shutil.rmtree(self.root / "media" / name)

    def _write(self):
        (self.root / "mountinfo").write_text("".join(self._lines.values()))


@pytest.fixture
def slot(tmp_path):
    (tmp_path / "usb").mkdir()
    return Slot(tmp_path / "usb")


@pytest.fixture
def app(config, store, slot):
    app = create_app(config, FixedReader(ReaderStatus(Phase.READY)))
    door = Door(kiosk_of(app).store.records, kiosk_of(app).reader.wake)
    app.sources = Sources()
    app.sticks = Sticks(slot.options, door, app.sources, PACE)
    install_sticks(app, app.sticks)
    return app


@pytest.fixture
def sticks(app):
    return app.sticks


@pytest.fixture
def browser(app):
    return app.test_client()


def picture(seed=0):
    return sample.picture(sample.NONE, seed)


def put(stick, name, data=None):
    path = stick / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture() if data is None else data)
    return path


def names(sticks):
    return [file.name for stick in sticks.plugged_in() for file in stick.files]


def form_of(page):
    return {name: re.search(rf'name="{name}" value="([^"]*)"', page)[1] for name in ("csrf_token", "stick")}


def choose(browser, *places, **changed):
    form = {**form_of(browser.get("/stick").text), "file": [str(place) for place in places], **changed}
    return browser.post("/stick/pictures", data=form)


def test_the_first_page_says_that_a_stick_is_plugged_in(browser, sticks, slot):
    assert "A USB stick is plugged in" not in browser.get("/").text
    put(slot.plug(), "a.png")
    sticks.once()
    page = browser.get("/").text
    assert "A USB stick is plugged in" in page and 'href="/stick"' in page
    slot.pull()
    sticks.once()
    assert "A USB stick is plugged in" not in browser.get("/").text


def test_chosen_pictures_are_stored_under_the_patient_and_the_others_are_not(
    browser, sticks, slot, store, stored
):
    stick = slot.plug()
    for number, name in enumerate(("a.png", "b.png", "sub/c.png")):
        put(stick, name, picture(number))
    sticks.once()
    answer = choose(browser, 0, 2, patient_label="P 9")
    assert answer.status_code == 201 and answer.text.count("Stored. It is being read.") == 2
    assert stored() == ["a.png", "c.png"]
    rows = store.records.history(1, 10).examinations
    assert {row.patient_label for row in rows} == {"P 9"}
    assert store.log.page(1, 1).entries[0].actor == "kiosk"
    assert sorted(path.name for path in stick.rglob("*.png")) == ["a.png", "b.png", "c.png"]


def test_of_a_picture_stored_while_the_box_cannot_answer_nobody_is_told_to_wait(
    app, browser, sticks, slot, stored
):
    kiosk = kiosk_of(app)
    stopped = FixedReader(ReaderStatus(Phase.CANNOT_ANSWER))
    app.extensions["ulna"] = Kiosk(kiosk.config, kiosk.store, stopped)
    put(slot.plug(), "a.png")
    sticks.once()
    page = choose(browser, 0).text
    assert "Stored. The box cannot answer now" in page and "It is being read" not in page
    assert stored() == ["a.png"]


def test_a_stick_is_never_written_to(browser, sticks, slot):
    stick = slot.plug()
    put(stick, "a.png")
    put(stick, "note.pdf", b"%PDF")
    before = {path: path.stat() for path in (stick, *stick.rglob("*"))}
    sticks.once()
    choose(browser, 0)
    assert [path.name for path in stick.rglob("*")] == [path.name for path in before if path != stick]
    for path, facts in before.items():
        now = path.stat()
        assert (now.st_mtime_ns, now.st_ctime_ns, now.st_mode) == (
            facts.st_mtime_ns,
            facts.st_ctime_ns,
            facts.st_mode,
        )


def test_known_pictures_are_said_to_be_known(browser, sticks, slot, stored):
    put(slot.plug(), "a.png")
    sticks.once()
    choose(browser, 0)
    answer = choose(browser, 0)
    assert answer.status_code == 200 and "was already here" in answer.text and stored() == ["a.png"]


@pytest.mark.parametrize(
    "name", ["a.png", "A.JPG", "scan.tiff", "x.dcm", "IMG0001", "1.2.840.113.7", "I10", "photo.WebP"]
)
def test_names_of_pictures_and_of_dicom_exports_are_listed(name):
    assert may_be_picture(name)


@pytest.mark.parametrize("name", ["run.exe", "a.pdf", "song.mp3", "autorun.inf", "x.png.lnk", "a.sh"])
def test_other_names_are_not(name):
    assert not may_be_picture(name)


def test_system_folders_and_hidden_files_are_not_listed(sticks, slot):
    stick = slot.plug()
    for name in ("System Volume Information/a.png", "$RECYCLE.BIN/b.png", ".Trash/c.png", "._d.png", "e.png"):
        put(stick, name)
    sticks.once()
    assert names(sticks) == ["e.png"]


def test_a_program_with_the_name_of_a_picture_is_refused(browser, sticks, slot, stored):
    put(slot.plug(), "a.png", b"MZ" + bytes(500))
    sticks.once()
    answer = choose(browser, 0)
    assert answer.status_code == 400 and "no picture that the box reads" in answer.text and stored() == []


def test_links_to_files_of_the_box_are_neither_listed_nor_followed(browser, sticks, slot, stored, tmp_path):
    secret = put(tmp_path / "elsewhere", "secret.png")
    stick = slot.plug()
    (stick / "link.png").symlink_to(secret)
    (stick / "folder").symlink_to(secret.parent)
    os.mkfifo(stick / "pipe.png")
    put(stick, "a.png", picture(1))
    put(stick, "sub/b.png", picture(2))
    sticks.once()
    assert names(sticks) == ["a.png", "b.png"]
    (stick / "a.png").unlink()
    (stick / "a.png").symlink_to(secret)
    shutil.rmtree(stick / "sub")
    (stick / "sub").symlink_to(secret.parent)
    shutil.copy(secret, secret.parent / "b.png")
    answer = choose(browser, 0, 1)
    assert answer.status_code == 409 and answer.text.count("could not be read from the stick") == 2
    assert stored() == []


def test_a_file_that_was_replaced_since_it_was_listed_is_not_taken(browser, sticks, slot, stored):
    stick = slot.plug()
    put(stick, "a.png")
    sticks.once()
    put(stick, "a.png", picture(3) + b"more")
    assert choose(browser, 0).status_code == 409 and stored() == []


@pytest.mark.parametrize("place", ["../../etc/passwd", "-1", "99", "0x0", "", "a.png", "٣", "1e3", "9" * 30])
def test_what_is_no_place_in_the_list_takes_nothing(browser, sticks, slot, stored, place):
    put(slot.plug(), "a.png")
    sticks.once()
    assert choose(browser, place).status_code == 400 and stored() == []


@pytest.mark.parametrize("token", ["", "../..", "ß", "0" * 16])
def test_a_list_that_the_box_did_not_make_takes_nothing(browser, sticks, slot, stored, token):
    put(slot.plug(), "a.png")
    sticks.once()
    answer = choose(browser, 0, stick=token)
    assert answer.status_code == 409 and "pulled out or has changed" in answer.text and stored() == []


def test_without_the_forms_token_nothing_is_taken(browser, sticks, slot, stored):
    put(slot.plug(), "a.png")
    sticks.once()
    assert choose(browser, 0, csrf_token="").status_code == 400 and stored() == []


def test_a_page_of_another_stick_takes_nothing_from_this_one(browser, sticks, slot, stored):
    """Sticks may get the same numbers from the kernel one after the other."""
    put(slot.plug(), "a.png")
    sticks.once()
    old = form_of(browser.get("/stick").text)
    slot.pull()
    put(slot.plug(), "other.png", picture(8))
    sticks.once()
    assert names(sticks) == ["other.png"]
    answer = browser.post("/stick/pictures", data={**old, "file": "0"})
    assert answer.status_code == 409 and stored() == []


def test_a_stick_that_is_pulled_out_in_the_middle_stores_nothing_by_halves(app, browser, slot, store, stored):
    stick = slot.plug()
    for number in range(3):
        put(stick, f"{number}.png", picture(number))

    class Pulling(Door):
        def take(self, stream, upload):
            if upload.file_name == "1.png":
                shutil.rmtree(stick)
                os.dup2(os.open(slot.root, os.O_RDONLY), stream.descriptor)
            return super().take(stream, upload)

    sticks = Sticks(slot.options, Pulling(kiosk_of(app).store.records, lambda: None), Sources(), PACE)
    install_sticks(app, sticks)
    sticks.once()
    answer = choose(browser, 0, 1, 2)
    assert answer.status_code == 409 and stored() == ["0.png"]
    assert answer.text.count("could not be read from the stick") == 2
    assert not list(store.files.incoming.iterdir())
    sticks.once()
    assert sticks.plugged_in() == ()


def test_a_full_box_ends_the_taking_and_says_so(config, store, slot, stored):
    app = create_app(replace(config, max_waiting=2))
    sources = Sources()
    sticks = Sticks(slot.options, Door(kiosk_of(app).store.records, lambda: None), sources, PACE)
    install_sticks(app, sticks)
    stick = slot.plug()
    for number in range(5):
        put(stick, f"{number}.png", picture(number))
    sticks.once()
    answer = choose(app.test_client(), *range(5))
    assert answer.status_code == 503 and "Too many pictures are waiting" in answer.text
    assert stored() == ["0.png", "1.png"] and sources.one(SourceKind.STICK).taken == 2


@pytest.mark.parametrize(
    "name",
    [
        "two\nlines.png",
        "<script>alert(1)<.png",
        "\u202egnp.exe.png",
        "a\tb.png",
        "%00.png",
        "{{ 7 * 7 }}.png",
    ],
)
def test_odd_names_are_shown_harmlessly_and_can_be_taken(browser, sticks, slot, stored, name):
    put(slot.plug("ODD\nSTICK"), name)
    sticks.once()
    page = browser.get("/stick").text
    assert "<script>alert" not in page and "\u202e" not in page and "ODD STICK" in page and ">49<" not in page
    assert choose(browser, 0).status_code == 201 and len(stored()) == 1


def test_a_name_that_is_no_utf8_can_be_taken(browser, sticks, slot, stored):
    (slot.plug() / os.fsdecode(b"\xff\xfe.png")).write_bytes(picture())
    sticks.once()
    assert choose(browser, 0).status_code == 201 and len(stored()) == 1


def test_thousands_of_files_are_shown_in_part_and_by_pages(browser, sticks, slot):
    stick = slot.plug()
    for number in range(3000):
        (stick / f"{number:05}.png").touch()
    sticks.once()
    (listed,) = sticks.plugged_in()
    assert len(listed.files) == 1000 and not listed.complete
    page = browser.get("/stick").text
    assert page.count('type="checkbox"') == 50 and "Not all of this stick can be shown" in page
    last = browser.get(f"/stick?stick={listed.token}&page=999").text
    assert "Page 20 of 20" in last and 'value="999"' in last


def test_thousands_of_other_files_do_not_hide_the_pictures(sticks, slot):
    stick = slot.plug()
    for number in range(3000):
        (stick / f"{number:05}.mp3").touch()
    put(stick, "zz/hand.png")
    sticks.once()
    assert names(sticks) == ["hand.png"]


def test_two_sticks_are_kept_apart(browser, sticks, slot, stored):
    put(slot.plug("ONE", 1), "a.png", picture(1))
    put(slot.plug("TWO", 2), "b.png", picture(2))
    sticks.once()
    second = sticks.plugged_in()[1]
    assert choose(browser, 0, stick=second.token).status_code == 201 and stored() == ["b.png"]


def test_without_any_stick_the_page_says_what_to_do(browser, client):
    assert "No USB stick is plugged in" in browser.get("/stick").text
    assert "No USB stick is plugged in" in client.get("/stick").text, "a kiosk that looks for none"


def test_what_comes_after_the_first_that_must_wait_is_named_as_waiting_too(config, store, slot):
    full = open_store(replace(config, reserve_bytes=1 << 60))
    sticks = Sticks(slot.options, Door(full.records, lambda: None), Sources(), PACE)
    stick = slot.plug()
    put(stick, "a.png", picture(1))
    put(stick, "b.png", picture(2))
    sticks.once()
    outcomes = sticks.take(sticks.plugged_in()[0], [0, 1], "", "kiosk")
    assert [outcome.fate for _, outcome in outcomes] == [Fate.LATER, Fate.LATER]
    full.close()
