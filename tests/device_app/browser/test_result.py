"""A result page that stays open while views are added, taken out and read."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from device_app import create_app
from device_app.access.people import People
from device_app.access.roles import Role
from device_app.settings import Settings
from device_app.store.records import Upload
from device_app.worker import read_picture
from tests.device_app import sample
from tests.device_app.browser.viewing import keep
from tests.device_app.conftest import FixedReader
from tests.device_app.views.conftest import PINS
from tests.device_app.views.test_screens import READY
from tests.runtime.readers.makers import dicom

pytestmark = pytest.mark.browser
OLD = "This examination has changed: what stands here is old."


class Clinic:
    """A kiosk in this process, whose pictures are read one at a time."""

    def __init__(self, address: str, store: Any, detector: Any) -> None:
        self.address, self.store, self._detector = address, store, detector

    def give(self, gap: float, seed: int, **more: str) -> str:
        """The public id of the examination that got the picture."""
        data = io.BytesIO(dicom(sample.forearm(gap, seed), StudyInstanceUID="1.2.3", PatientID="P 7"))
        return str(self.store.records.receive(data, Upload(f"{seed}.dcm", **more)).public_id)

    def read(self) -> None:
        """The next picture that waits."""
        claim = self.store.queue.claim("here")
        assert self.store.queue.complete(claim, read_picture(claim, self.store, self._detector))

    def page_of(self, examination: str) -> str:
        return f"{self.address}/examinations/{examination}/"


@pytest.fixture
def clinic(config: Any, store: Any, detector: Any) -> Iterator[Clinic]:
    server = make_server("127.0.0.1", 0, create_app(config, FixedReader(READY)), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Clinic(f"http://127.0.0.1:{server.port}", store, detector)
    server.shutdown()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, has_touch=True)
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    yield opened
    context.close()
    assert not troubles


def sign_in(page: Any, clinic: Clinic, role: Role) -> None:
    person = People(clinic.store.database).add(str(role), role, PINS[role], "box")
    page.goto(f"{clinic.address}/sign-in/")
    token = page.locator("[name=csrf_token]").first.get_attribute("value")
    form = {"csrf_token": token, "person": person.public_id, "pin": PINS[role]}
    assert page.request.post(f"{clinic.address}/sign-in/", form=form).ok


def whole(page: Any, said: str) -> None:
    """Until the page gives one answer, and that is it."""
    page.locator("#whole h1", has_text=said).wait_for()
    assert page.locator("h1").count() == 1 and page.title().startswith(said)
    assert page.locator("article").count() == 2 and "null" not in page.locator("main").inner_text()


def test_the_second_view_of_a_study_is_read_after_the_page_had_its_answer(page: Any, clinic: Clinic) -> None:
    first, _ = clinic.give(sample.NONE, 1), clinic.give(sample.FRACTURE, 2)
    page.goto(clinic.page_of(first))
    page.get_by_role("heading", name="Still working").wait_for()
    clinic.read()
    page.get_by_role("heading", name="No fracture found").wait_for()
    clinic.read()
    whole(page, "Doubt: fracture possible")
    keep(page, "result-view-joined")


def test_a_view_is_added_while_the_page_waits(page: Any, clinic: Clinic) -> None:
    first = clinic.give(sample.NONE, 1)
    page.goto(clinic.page_of(first))
    page.get_by_role("heading", name="Still working").wait_for()
    page.context.set_offline(True)
    clinic.give(sample.FRACTURE, 2, examination=first)
    clinic.read()
    clinic.read()
    page.context.set_offline(False)
    whole(page, "Doubt: fracture possible")


def test_a_view_is_taken_out_and_another_one_put_in_its_place(page: Any, clinic: Clinic) -> None:
    first = clinic.give(sample.NONE, 1)
    clinic.give(sample.NONE, 2, examination=first)
    clinic.read()
    clinic.read()
    page.goto(clinic.page_of(first))
    whole(page, "No fracture found")
    clinic.store.grouping.part(first, 2, "kiosk")
    clinic.give(sample.FRACTURE, 3, examination=first)
    clinic.read()
    whole(page, "Doubt: fracture possible")


def test_a_page_whose_views_went_to_another_examination_goes_there(page: Any, clinic: Clinic) -> None:
    first = clinic.give(sample.NONE, 1)
    clinic.read()
    page.goto(clinic.page_of(first))
    page.get_by_role("heading", name="No fracture found").wait_for()
    other = clinic.give(sample.FRACTURE, 2, examination="")
    clinic.store.grouping.join(first, other, "kiosk")
    page.wait_for_url(clinic.page_of(other))


def remark_while_a_view_is_added(page: Any, clinic: Clinic) -> None:
    first = clinic.give(sample.NONE, 1)
    clinic.read()
    sign_in(page, clinic, Role.READER)
    page.goto(clinic.page_of(first))
    page.get_by_text("Say what you think of it").tap()
    page.get_by_label("Remark").fill("old scar")
    clinic.give(sample.FRACTURE, 2, examination=first)


def test_what_was_begun_is_not_lost_and_no_old_answer_stands_beside_it(page: Any, clinic: Clinic) -> None:
    remark_while_a_view_is_added(page, clinic)
    page.get_by_text(OLD).wait_for()
    keep(page, "result-old")
    assert page.get_by_label("Remark").input_value() == "old scar"
    assert not page.get_by_role("heading", name="No fracture found").is_visible()
    assert not page.get_by_role("button", name="I agree").is_visible()
    assert page.title() == OLD
    page.locator("#say [value=none]").check(force=True)
    page.locator("#say").get_by_role("button", name="Store").tap()
    page.get_by_text("have changed meanwhile").wait_for()
    keep(page, "reading-changed")
    assert page.get_by_text("old scar").is_visible() and not clinic.store.readings.all()
    page.get_by_role("link", name="Back to the picture").tap()
    page.locator("article").nth(1).wait_for()


def test_the_way_to_the_examination_as_it_is_now_is_one_touch(page: Any, clinic: Clinic) -> None:
    remark_while_a_view_is_added(page, clinic)
    page.get_by_role("link", name="Show it as it is now").tap()
    page.locator("article").nth(1).wait_for()


def test_a_page_that_is_not_left_after_all_goes_on_looking(page: Any, clinic: Clinic) -> None:
    first = clinic.give(sample.NONE, 1)
    clinic.read()
    sign_in(page, clinic, Role.READER)
    page.goto(clinic.page_of(first))
    page.get_by_role("heading", name="No fracture found").wait_for()
    page.evaluate("addEventListener('beforeunload', (event) => event.preventDefault())")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="I agree").tap()
    clinic.give(sample.FRACTURE, 2, examination=first)
    clinic.read()
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("main").tap(position={"x": 4, "y": 4})  # whoever touches it has stayed
    whole(page, "Doubt: fracture possible")


def test_whoever_reads_first_sees_a_view_that_comes_and_says_nothing_of_it_before(
    page: Any, clinic: Clinic
) -> None:
    first = clinic.give(sample.NONE, 1)
    clinic.read()
    Settings(clinic.store.database).change("box", own_read_first=True)
    sign_in(page, clinic, Role.USER)
    page.goto(clinic.page_of(first))
    page.get_by_role("button", name="Store and show").wait_for()
    clinic.give(sample.FRACTURE, 2, examination=first)
    page.get_by_text("Still working").first.wait_for()
    keep(page, "read-first-waiting")
    clinic.read()
    page.locator("article").nth(1).locator("image.shown").wait_for()
    page.get_by_role("radio", name="Not sure").check(force=True)
    page.get_by_role("button", name="Store and show").tap()
    whole(page, "Doubt: fracture possible")


def test_a_page_that_nobody_looks_at_asks_nothing_and_what_it_asks_keeps_nobody_signed_in(
    page: Any, clinic: Clinic
) -> None:
    first = clinic.give(sample.NONE, 1)
    clinic.read()
    asked: list[Any] = []
    page.on("request", lambda one: asked.append(one) if one.url.endswith("/state") else None)
    page.goto(clinic.page_of(first))
    with page.expect_request("**/state") as found:
        pass
    assert found.value.headers["x-ulna-watching"] == "1"
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.wait_for_timeout(500)
    before = len(asked)
    page.wait_for_timeout(6000)
    assert len(asked) == before
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(1000)
    assert len(asked) > before


def test_files_of_somebody_else_are_told_above_the_answer(page: Any, clinic: Clinic) -> None:
    first = clinic.give(sample.DOUBT, 9)
    for seed in (1, 2):
        clinic.give(sample.NONE, seed, examination=first)
    for _ in range(3):
        clinic.read()
    page.goto(clinic.page_of(first))
    page.get_by_role("heading", name="No fracture found").first.wait_for()
    with clinic.store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE images SET names_other = 1 WHERE id = 2")
    page.get_by_text("View 2: The file names another patient.").wait_for()
    keep(page, "result-names-other")
    page.goto(f"{clinic.address}/history")
    keep(page, "history-names-other")
    page.set_viewport_size({"width": 390, "height": 844})
    keep(page, "history-names-other-phone")
    page.goto(clinic.page_of(first))
    keep(page, "result-names-other-phone")
