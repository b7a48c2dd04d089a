"""Body picture and several views of one examination, by touch and by keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.device_app import sample
from tests.device_app.browser.test_access import PANELS, keep
from tests.device_app.browser.viewing import plain
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser


def choose(page: Any, *pictures: dict[str, Any]) -> None:
    page.locator("#picture").set_input_files(list(pictures))


def settled(page: Any) -> None:
    page.wait_for_url("**/examinations/**")
    page.wait_for_selector("[data-state]", state="detached")


def test_two_pictures_chosen_at_once_become_one_examination_by_touch(
    viewer_page: Any, viewer_kiosk: Kiosk
) -> None:
    page = viewer_page
    page.goto(viewer_kiosk.address)
    choose(page, plain(sample.FRACTURE, 201), plain(sample.FRACTURE, 202))
    page.get_by_role("heading", name="Do these pictures belong together?").wait_for()
    keep(page, "belong-together")
    page.get_by_role("button", name="Yes: views of one injury").tap()
    settled(page)
    assert page.locator("#whole h1").text_content() == "Fracture suspected"
    assert page.locator("article").count() == 2
    keep(page, "two-views")
    page.get_by_role("link", name="Add another view").tap()
    page.get_by_role("heading", name="Another view of the same examination").wait_for()
    choose(page, plain(sample.NONE, 203))
    settled(page)
    assert page.locator("article").count() == 3
    page.get_by_role("button", name="take this view out").last.tap()
    page.wait_for_url("**/examinations/**")
    page.wait_for_selector("h1:has-text('No fracture found')")
    assert page.locator("article").count() == 1


def test_two_pictures_of_two_patients_stay_apart_by_keyboard(viewer_page: Any, viewer_kiosk: Kiosk) -> None:
    page = viewer_page
    page.goto(viewer_kiosk.address)
    choose(page, plain(sample.NONE, 211), plain(sample.NONE, 212))
    page.wait_for_selector("#ask-what:focus")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".outcome-ok >> nth=1")
    links = [link.get_attribute("href") for link in page.locator(".outcome a").all()]
    assert len(set(links)) == 2 and page.locator("#ask").is_hidden()


def test_what_is_chosen_while_the_box_asks_is_asked_about_too(viewer_page: Any, viewer_kiosk: Kiosk) -> None:
    page = viewer_page
    page.goto(viewer_kiosk.address)
    choose(page, plain(sample.NONE, 261), plain(sample.NONE, 262))
    page.get_by_role("button", name="Yes: views of one injury").wait_for()
    choose(page, plain(sample.NONE, 263))
    page.get_by_text("forearm-263.png").wait_for()
    page.get_by_role("button", name="Yes: views of one injury").tap()
    settled(page)
    page.locator("article").nth(2).wait_for()


def test_nothing_is_sent_where_nobody_says_what_belongs_together(
    viewer_page: Any, viewer_kiosk: Kiosk
) -> None:
    page = viewer_page
    page.goto(viewer_kiosk.address)
    choose(page, plain(sample.NONE, 221), plain(sample.NONE, 222))
    page.get_by_role("button", name="Send nothing").tap()
    assert page.locator(".outcome").count() == 0 and page.locator("#ask").is_hidden()


def test_a_part_touched_on_the_figure_is_chosen_and_a_word_chosen_is_marked(
    viewer_page: Any, viewer_kiosk: Kiosk
) -> None:
    page = viewer_page
    page.goto(viewer_kiosk.address)
    page.locator("#facts > summary").tap()
    page.locator("[data-part=knee]").tap()
    assert page.get_by_role("radio", name="knee").is_checked()
    page.get_by_role("radio", name="knee").press("ArrowUp")
    assert page.get_by_role("radio", name="thigh").is_checked()
    assert page.locator(".limb-chosen").get_attribute("data-part") == "thigh"
    page.get_by_role("radio", name="forearm").check(force=True)
    choose(page, plain(sample.NONE, 231))
    settled(page)
    assert page.get_by_text("The picture is said to show: forearm.").is_visible()


def test_every_part_can_be_touched_on_the_figure(viewer_page: Any, viewer_kiosk: Kiosk) -> None:
    page = viewer_page
    page.goto(viewer_kiosk.address)
    page.locator("#facts > summary").tap()
    parts = [limb.get_attribute("data-part") for limb in page.locator("[data-part]").all()]
    assert len(parts) == 18
    page.locator(".body-other").scroll_into_view_if_needed()
    for part in parts:
        box = page.locator(f'[data-part="{part}"]').bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert page.locator(".body input:checked").get_attribute("value") == part


@pytest.mark.parametrize("panel", PANELS)
def test_the_form_and_several_views_pass_axe_and_fit(chromium: Any, viewer_kiosk: Kiosk, panel: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    width, height = PANELS[panel]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, has_touch=True, bypass_csp=True
    )
    page = context.new_page()
    page.goto(viewer_kiosk.address)
    page.locator("#facts > summary").click()
    number = list(PANELS).index(panel)
    check(axe, page, f"form-{panel}")
    choose(page, plain(sample.FRACTURE, 240 + number), plain(sample.NONE, 250 + number))
    check(axe, page, f"belong-{panel}")
    page.get_by_role("button", name="Yes: views of one injury").click()
    settled(page)
    check(axe, page, f"views-{panel}")
    context.close()


def check(axe: Any, page: Any, name: str) -> None:
    keep(page, name)
    assert axe.Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    small = page.evaluate(
        "() => [...document.querySelectorAll('.part, .choice, button, summary')]"
        ".map((one) => one.getBoundingClientRect()).filter((box) => box.height && box.height < 44).length"
    )
    assert small == 0
