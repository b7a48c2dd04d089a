"""When the upload page leaves for a result by itself, and when it stays to tell what became of every file."""

from __future__ import annotations

import importlib.util
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete
from werkzeug.serving import make_server

from device_app import create_app
from device_app.access.people import People
from device_app.access.roles import Role
from device_app.store import Store
from device_app.store.models import SignIn
from device_app.store.records import MAX_VIEWS
from tests.device_app import sample
from tests.device_app.browser.viewing import PANELS, keep, plain
from tests.device_app.conftest import FixedReader
from tests.device_app.views.test_screens import READY

pytestmark = pytest.mark.browser
SMALLEST_TARGET_PX = 44
PIN = "492741"
YES, INJURIES, PATIENTS = "Yes: views of one injury", "No: several injuries", "No: several patients"
EMPTY = {"name": "empty.png", "mimeType": "image/png", "buffer": b""}
FULL_QUEUE = {"outcomes": [{"url": "", "error": "This one was not stored.", "hint": "", "examination": ""}]}
_SEEDS = itertools.count(900)


@pytest.fixture
def address(config: Any, store: Store) -> Iterator[str]:
    """A kiosk in which no picture is read."""
    server = make_server("127.0.0.1", 0, create_app(config, FixedReader(READY)), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """Its first screen, which fails its test for an error of a script."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, has_touch=True)
    opened, troubles = context.new_page(), []
    opened.set_default_timeout(20_000)
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.goto(address)
    yield opened
    context.close()
    assert not troubles


def picture() -> dict[str, Any]:
    return plain(sample.NONE, next(_SEEDS))


def label(page: Any, text: str) -> None:
    page.get_by_label("Patient number or name").fill(text)


def choose(page: Any, *pictures: dict[str, Any]) -> None:
    page.locator("#picture").set_input_files(list(pictures))


def answer(page: Any, words: str) -> None:
    page.get_by_role("button", name=words).tap()


def give(page: Any, address: str, text: str, *pictures: dict[str, Any]) -> str:
    """Pictures that become one examination; its id."""
    page.goto(address)
    label(page, text)
    choose(page, *pictures)
    if len(pictures) > 1:
        answer(page, YES)
    page.wait_for_url("**/examinations/**")
    return str(page.url).rstrip("/").rpartition("/")[2]


def rows(page: Any, ok: int, refused: int = 0) -> str:
    """What stands in the rows, once so many have ended, on a page that has not left."""
    page.locator(".outcome-ok").nth(ok - 1).wait_for()
    if refused:
        page.locator(".outcome-refused").nth(refused - 1).wait_for()
    page.wait_for_timeout(400)  # in which it could leave
    assert page.locator("#upload").count() == 1
    assert page.locator(".outcome-ok").count() == ok and page.locator(".outcome-refused").count() == refused
    return str(page.locator("#outcomes").inner_text())


def refuse_first(page: Any) -> None:
    """As a box whose queue is full for a moment."""
    refusals = iter([True])
    page.route(
        "**/pictures",
        lambda route: (
            route.fulfill(status=503, json=FULL_QUEUE) if next(refusals, False) else route.continue_()
        ),
    )


def held(page: Any) -> list[Any]:
    """Every upload from now on, not yet sent."""
    waiting: list[Any] = []
    page.route("**/pictures", lambda route: waiting.append(route))  # noqa: PLW0108  (playwright marks it)
    return waiting


def wait_for_one(page: Any, waiting: list[Any], number: int) -> Any:
    while len(waiting) < number:
        page.wait_for_timeout(20)
    return waiting[number - 1]


def filed(store: Store) -> list[tuple[str, int]]:
    """Label and views of every examination, oldest first."""
    found = store.records.history(1, 50).examinations
    return [(one.patient_label, len(one.images)) for one in reversed(found)]


def test_one_picture_leads_to_its_result(page: Any, address: str, store: Store) -> None:
    give(page, address, "A 17", picture())
    assert filed(store) == [("A 17", 1)]


def test_the_page_stays_where_one_of_two_views_was_not_stored(page: Any) -> None:
    refuse_first(page)
    choose(page, picture(), picture())
    answer(page, YES)
    assert "This one was not stored." in rows(page, ok=1, refused=1)
    keep(page, "upload-one-refused")


def test_the_page_stays_where_one_of_three_views_is_empty(page: Any, store: Store) -> None:
    choose(page, EMPTY, picture(), picture())
    answer(page, YES)
    assert "The file is empty." in rows(page, ok=2, refused=1)
    assert filed(store) == [("", 2)]


def test_the_page_stays_where_a_view_found_no_room(page: Any, store: Store) -> None:
    label(page, "B 23")
    choose(page, *(picture() for _ in range(MAX_VIEWS + 1)))
    answer(page, YES)
    assert "stands by itself: the other examination takes no more views" in rows(page, ok=MAX_VIEWS + 1)
    assert filed(store) == [("B 23", MAX_VIEWS), ("B 23", 1)]


def test_the_page_stays_where_an_added_view_found_no_room(page: Any, address: str, store: Store) -> None:
    full = give(page, address, "B 23", *(picture() for _ in range(MAX_VIEWS)))
    page.goto(f"{address}/?examination={full}")
    choose(page, picture())
    assert "stands by itself" in rows(page, ok=1)
    page.get_by_role("link", name="Show result").tap()
    page.get_by_text("This picture stands by itself: the other examination takes no more views.").wait_for()
    assert filed(store) == [("B 23", MAX_VIEWS), ("B 23", 1)]


def test_a_failure_is_not_left_for_the_result_of_the_next_patient(page: Any) -> None:
    waiting = held(page)
    label(page, "A 17")
    choose(page, picture())
    first = wait_for_one(page, waiting, 1)
    label(page, "B 23")
    choose(page, picture())
    second = wait_for_one(page, waiting, 2)
    first.fulfill(status=503, json=FULL_QUEUE)
    second.continue_()
    assert "A 17" in rows(page, ok=1, refused=1)
    assert page.get_by_label("Patient number or name").input_value() == ""


def test_a_known_picture_among_two_is_told_and_both_are_shown(page: Any, address: str, store: Store) -> None:
    known = picture()
    give(page, address, "A 17", known)
    page.goto(address)
    label(page, "B 23")
    choose(page, known, picture())
    answer(page, YES)
    said = rows(page, ok=2)
    assert said.count("B 23") == 1, "only the row of the picture that is hers names her"
    assert "stored under the patient “A 17”" in said and "was not put together with the one" in said
    assert filed(store) == [("A 17", 1), ("B 23", 1)]
    keep(page, "upload-known-first")


def test_a_known_picture_is_followed_where_the_label_is_the_same(
    page: Any, address: str, store: Store
) -> None:
    known = picture()
    give(page, address, "A 17", known)
    page.goto(address)
    label(page, "A 17")
    choose(page, known, picture())
    answer(page, YES)
    assert "This picture was already here." in rows(page, ok=2)
    assert filed(store) == [("A 17", 2)]


def test_anothers_picture_is_not_added_and_the_page_stays(page: Any, address: str, store: Store) -> None:
    known = picture()
    give(page, address, "A 17", known)
    other = give(page, address, "B 23", picture())
    page.goto(f"{address}/?examination={other}")
    choose(page, known)
    assert "It was not added to the examination that it was sent for." in rows(page, ok=1)
    assert filed(store) == [("A 17", 1), ("B 23", 1)]


def test_the_label_is_that_of_when_the_files_were_chosen(page: Any, store: Store) -> None:
    label(page, "A 17")
    choose(page, picture(), picture())
    page.locator("#ask-files", has_text="A 17").wait_for()
    assert page.get_by_label("Patient number or name").input_value() == ""
    label(page, "B 23")
    answer(page, YES)
    rows(page, ok=2)
    assert filed(store) == [("A 17", 2)]
    assert page.get_by_label("Patient number or name").input_value() == "B 23"


def test_files_chosen_under_another_label_do_not_join_an_open_question(page: Any, store: Store) -> None:
    label(page, "A 17")
    choose(page, picture(), picture())
    page.locator("#ask").wait_for()
    label(page, "B 23")
    choose(page, picture())
    rows(page, ok=1)
    answer(page, YES)
    rows(page, ok=3)
    assert sorted(filed(store)) == [("A 17", 2), ("B 23", 1)]


def test_a_second_question_waits_for_the_first(page: Any, store: Store) -> None:
    label(page, "A 17")
    choose(page, picture(), picture())
    page.locator("#ask-files", has_text="A 17").wait_for()
    label(page, "B 23")
    choose(page, picture(), picture())
    choose(page, picture())  # of the second one too: nothing was typed since
    answer(page, YES)
    page.locator("#ask-files", has_text="B 23").wait_for()
    keep(page, "upload-second-question")
    answer(page, INJURIES)
    rows(page, ok=5)
    assert filed(store) == [("A 17", 2), ("B 23", 1), ("B 23", 1), ("B 23", 1)]


def test_signed_out_while_the_question_is_open_nothing_of_the_patient_stays(
    page: Any, address: str, store: Store
) -> None:
    person = People(store.database).add("Bola", Role.USER, PIN, "box")
    page.goto(f"{address}/sign-in/")
    token = page.locator("[name=csrf_token]").first.get_attribute("value")
    form = {"csrf_token": token, "person": person.public_id, "pin": PIN}
    assert page.request.post(f"{address}/sign-in/", form=form).ok
    page.goto(address)
    label(page, "P 7 Wanjiku")
    choose(page, picture(), picture())
    page.get_by_text("P 7 Wanjiku").wait_for()
    with store.database.write() as session:
        session.execute(delete(SignIn))
    page.get_by_text("P 7 Wanjiku").wait_for(state="detached")
    assert not store.records.history(1, 9).total


def test_pictures_of_several_patients_are_nobodys(page: Any, store: Store) -> None:
    label(page, "A 17")
    choose(page, picture(), picture())
    answer(page, PATIENTS)
    assert "A 17" not in rows(page, ok=2)
    assert filed(store) == [("", 1), ("", 1)]


def test_what_was_typed_comes_back_where_nothing_is_sent(page: Any, store: Store) -> None:
    label(page, "A 17")
    choose(page, picture(), picture())
    answer(page, "Send nothing")
    assert page.get_by_label("Patient number or name").input_value() == "A 17"
    assert filed(store) == []


def test_two_films_dropped_on_the_page_of_the_camera_are_asked_about(page: Any, address: str) -> None:
    page.goto(f"{address}/photograph")
    page.evaluate(
        """() => {
          const files = new DataTransfer();
          for (const name of ["a.png", "b.png"]) files.items.add(new File([name], name));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, cancelable: true }));
        }"""
    )
    page.locator("#ask-files", has_text="a.png, b.png").wait_for()


def test_a_photograph_taken_again_says_whose_it_is_and_forgets_it_once_sent(
    page: Any, address: str, store: Store
) -> None:
    first = give(page, address, "A 17", picture())
    page.goto(f"{address}/photograph?again={first}")
    assert "A 17" in page.locator("#again").inner_text()
    assert page.get_by_label("Patient number or name").input_value() == "A 17"
    keep(page, "camera-again")
    choose(page, picture())
    page.wait_for_url("**/examinations/**")
    page.go_back()
    page.wait_for_url("**/photograph")
    page.reload()
    assert page.get_by_label("Patient number or name").input_value() == ""
    assert page.locator("#again").count() == 0
    assert filed(store) == [("A 17", 1), ("A 17", 1)]
    page.goto(f"{address}/photograph?again={first}")
    page.get_by_role("link", name="It is of another patient").tap()
    page.wait_for_url("**/photograph")
    assert page.get_by_label("Patient number or name").input_value() == ""


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("panel", PANELS)
def test_question_rows_and_form_without_scripts_pass_axe_and_fit(
    chromium: Any, address: str, panel: str, language: str
) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed")
    width, height = PANELS[panel]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, bypass_csp=True, locale=language
    )
    page = context.new_page()
    page.goto(address)
    page.locator("#patient_label").fill("A 17")
    choose(page, EMPTY, picture(), picture())
    page.locator("#ask").wait_for()
    check(page, f"upload-question-{panel}-{language}")
    page.locator("#ask button").nth(1).click()
    page.locator(".outcome-ok").nth(1).wait_for()
    page.evaluate("document.getElementById('upload').classList.remove('scripted')")  # as without scripts
    check(page, f"upload-{panel}-{language}")
    context.close()


def check(page: Any, name: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    keep(page, name)
    page.evaluate("document.getElementById('outcomes').scrollIntoView({ block: 'end' })")
    keep(page, f"{name}-below")
    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for target in page.locator("main a:visible, main button:visible, main .choice:visible").all():
        assert target.bounding_box()["height"] >= SMALLEST_TARGET_PX, target.inner_text()
