"""The whole way of a nurse through the kiosk, in a real headless Chromium, against a real kiosk process."""

import base64
import importlib.util
import itertools
import os
import shutil
from pathlib import Path

import pytest

from device_app import KioskConfig
from runtime.trust import generate_key, save_public_key
from tests.device_app import sample
from tests.device_app.test_serve import Kiosk

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PANELS = {"wide": (1280, 800), "small": (800, 480), "phone": (390, 844)}
SMALLEST_TARGET_PX = 48
SCREENSHOTS = os.environ.get("ULNA_SCREENSHOTS")
RESULT = "article:not(.result-working)"
_SEEDS = itertools.count(600)

if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory, kiosk_bundle, kiosk_keys):
    data = tmp_path_factory.mktemp("kiosk") / "data"
    running = Kiosk(KioskConfig(kiosk_bundle, data, trust=(kiosk_keys[1],)))
    yield running
    running.end()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, kiosk):
    """A page that fails its test for a request to another host, a console error or a script error."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, has_touch=True)
    opened, troubles = context.new_page(), []
    opened.set_default_timeout(60_000)
    opened.on(
        "request",
        lambda request: None if request.url.startswith(kiosk.address) else troubles.append(request.url),
    )
    opened.on("console", lambda message: message.type == "error" and troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    yield opened
    context.close()
    assert not troubles


def file(name, content):
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def send(page, kiosk, gap, seed, label=""):
    """Choose a picture with the picker and wait for its result page."""
    page.goto(kiosk.address)
    page.get_by_label("Patient number or name").fill(label)
    page.locator("#picture").set_input_files(file(f"forearm-{seed}.png", sample.picture(gap, seed)))
    page.wait_for_selector(RESULT)


def keep(page, name):
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"))


def test_a_fracture_from_the_picker_to_the_switched_map(page, kiosk):
    send(page, kiosk, sample.FRACTURE, 21, "P 21")
    assert page.get_by_role("heading", name="Fracture suspected").is_visible()
    assert page.get_by_text("Keep the injured part still.").is_visible()
    assert page.get_by_text("AI result, not a diagnosis").is_visible()
    box, heat = page.locator("rect.box"), page.locator("image.heat")
    assert box.is_visible() and not heat.is_visible()
    check_box_lies_on_the_gap(page)
    button = page.get_by_role("button", name="Evidence map")
    button.tap()
    assert heat.is_visible() and button.get_attribute("aria-pressed") == "true"
    keep(page, "fracture-map")
    button.focus()
    page.keyboard.press("Space")
    assert not heat.is_visible() and button.get_attribute("aria-pressed") == "false"
    page.get_by_role("button", name="Suspected place").tap()
    assert not box.is_visible()


def check_box_lies_on_the_gap(page):
    plate, box = page.locator("svg.plate image").first.bounding_box(), page.locator("rect.box").bounding_box()
    middle = (box["y"] + box["height"] / 2 - plate["y"]) / plate["height"]
    across = (box["x"] + box["width"] / 2 - plate["x"]) / plate["width"]
    assert abs(middle - 0.47) < 0.05 and abs(across - 0.40) < 0.08


def test_a_doubt_is_dotted_and_said_in_words(page, kiosk):
    send(page, kiosk, sample.DOUBT, 22)
    assert page.get_by_role("heading", name="Doubt: fracture possible").is_visible()
    style = "element => getComputedStyle(element).strokeDasharray"
    assert page.locator("rect.box").evaluate(style) != "none"
    keep(page, "doubt")


def test_no_fracture_found_says_when_to_come_back(page, kiosk):
    send(page, kiosk, sample.NONE, 23)
    assert page.get_by_role("heading", name="No fracture found").is_visible()
    assert page.get_by_text("If pain persists, take a new picture").is_visible()
    assert page.locator("rect.box").count() == 0
    keep(page, "none")


DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name));
  const zone = document.getElementById("drop");
  for (const kind of ["dragenter", "dragover", "drop"])
    zone.dispatchEvent(new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


def test_a_dropped_picture_is_read(page, kiosk):
    page.goto(kiosk.address)
    content = base64.b64encode(sample.picture(sample.FRACTURE, 24)).decode()
    page.evaluate(DROP, ["dropped.png", content])
    page.wait_for_selector(RESULT)
    assert page.get_by_role("heading", name="Fracture suspected").is_visible()


def test_an_unreadable_file_is_no_result_and_says_what_to_do(page, kiosk):
    page.goto(kiosk.address)
    page.locator("#picture").set_input_files(file("notes.png", b"these are words"))
    page.wait_for_selector(RESULT)
    assert page.get_by_role("heading", name="Cannot read this picture").is_visible()
    assert page.get_by_text("Nothing is known about a fracture.").is_visible()
    assert page.get_by_text("Export the picture again").is_visible()
    keep(page, "unreadable")


FOLDER = """() => {
  DataTransferItem.prototype.webkitGetAsEntry = () => ({ isDirectory: true, name: "DCIM" });
  const files = new DataTransfer();
  files.items.add(new File(["x"], "DCIM"));
  const drop = new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(drop);
}"""


def test_a_dropped_folder_is_refused_by_name_and_says_what_to_do(page, kiosk):
    page.goto(kiosk.address)
    page.evaluate(FOLDER)
    said = page.locator(".outcome-refused").inner_text()
    assert "DCIM" in said and "This is a folder." in said and "Open it" in said


def test_a_box_that_hangs_up_because_its_disk_is_full_says_so(browser, kiosk):
    context = browser.new_context()
    page = context.new_page()
    page.goto(kiosk.address)
    page.route("**/pictures", lambda route: route.abort())
    page.route(
        "**/health", lambda route: route.fulfill(status=503, json={"room": False, "intake_open": False})
    )
    page.locator("#picture").set_input_files(file("a.png", b"bytes"))
    page.locator(".outcome-refused").get_by_text("The box's disk is full.").wait_for()
    context.close()


def test_the_next_pictures_do_not_get_the_last_patients_name(page, kiosk):
    page.goto(kiosk.address)
    label = page.get_by_label("Patient number or name")
    label.fill("P 31")
    page.locator("#picture").set_input_files(
        [file(f"{seed}.png", sample.picture(sample.NONE, seed)) for seed in (31, 32)]
    )
    page.get_by_role("button", name="No: several injuries of one patient").tap()
    page.locator(".outcome-ok").nth(1).wait_for()
    assert label.input_value() == ""
    assert page.locator(".outcome-ok").nth(1).inner_text().startswith("P 31 · 32.png")


def test_pictures_of_several_patients_do_not_get_the_name_of_one(page, kiosk):
    page.goto(kiosk.address)
    page.get_by_label("Patient number or name").fill("P 35")
    page.locator("#picture").set_input_files(
        [file(f"{seed}.png", sample.picture(sample.NONE, seed)) for seed in (35, 36)]
    )
    page.get_by_role("button", name="No: several patients").tap()
    page.locator(".outcome-ok").nth(1).wait_for()
    rows = page.locator(".outcome-ok").all_inner_texts()
    assert all("What was said of the patient now was not taken." in row for row in rows)
    assert not any("P 35" in row for row in rows)


@pytest.fixture
def asking_page(browser, tmp_path, kiosk_bundle):
    """The first screen of a kiosk that trusts no model, does not know one, and so asks everything."""
    stranger = tmp_path / "stranger.pem"
    save_public_key(generate_key().public_key(), stranger)
    running = Kiosk(KioskConfig(kiosk_bundle, tmp_path / "data", trust=(stranger,)))
    context = browser.new_context()
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.goto(running.address)
    yield opened
    context.close()
    running.end()


def lose_an_upload(page, meanwhile):
    """Send a picture of a girl of 7 whose upload fails once `meanwhile` has been done on the page."""
    page.locator("#facts > summary").click()
    page.get_by_label("Age in years").fill("7")
    page.get_by_label("Sex").select_option("female")
    page.get_by_role("radio", name="forearm").check(force=True)
    held = []
    page.route("**/pictures", lambda route: held.append(route))  # noqa: PLW0108  (playwright marks the handler)
    page.locator("#picture").set_input_files(file("a.png", sample.picture(sample.NONE, 41)))
    page.locator(".outcome-sending").wait_for()
    while not held:
        page.wait_for_timeout(20)
    meanwhile()
    held[0].abort()
    page.locator(".outcome-refused").wait_for()


def facts_on(page):
    typed = [page.get_by_label(label).input_value() for label in ("Age in years", "Sex")]
    return [*typed, page.locator(".body input:checked").get_attribute("value")]


def test_facts_of_a_picture_that_was_not_sent_come_back_into_an_empty_form(asking_page):
    lose_an_upload(asking_page, lambda: None)
    assert facts_on(asking_page) == ["7", "female", "forearm"]
    assert asking_page.locator(".limb-chosen").get_attribute("data-part") == "forearm"


def test_facts_typed_for_the_next_patient_outlive_a_failed_upload(asking_page):
    lose_an_upload(asking_page, lambda: asking_page.get_by_role("radio", name="wrist").check(force=True))
    assert facts_on(asking_page) == ["", "", "wrist"]


OUTDATE = """row => {
  row.dataset.renew = "";
  row.querySelector(".row-state span").textContent = "Still working";
}"""  # as the page looked before the answer came


def test_a_waiting_row_of_the_history_gets_its_answer_by_itself(page, kiosk):
    send(page, kiosk, sample.FRACTURE, 33, "Renewed 33")
    page.goto(f"{kiosk.address}/history")
    row = page.locator("li", has_text="Renewed 33")
    row.evaluate(OUTDATE)
    row.get_by_text("Fracture suspected").wait_for()
    assert row.get_attribute("data-renew") is None


def test_without_scripts_the_place_is_marked_and_the_map_is_a_link(browser, page, kiosk):
    send(page, kiosk, sample.FRACTURE, 34)
    context = browser.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.goto(page.url)
    assert bare.locator("rect.box").is_visible() and not bare.locator("image.heat").is_visible()
    assert bare.get_by_role("button").count() == 0
    bare.get_by_role("link", name="Evidence map").click()
    assert bare.locator("image.heat").is_visible()
    context.close()


def test_several_files_each_get_a_line_and_a_refused_one_its_reason(page, kiosk):
    page.goto(kiosk.address)
    good = file("good.png", sample.picture(sample.NONE, 25))
    page.locator("#picture").set_input_files([file("empty.png", b""), good])
    page.locator(".outcome-ok").wait_for()
    assert "The file is empty." in page.locator(".outcome-refused").inner_text()
    keep(page, "several")
    page.get_by_role("link", name="Show result").tap()
    page.wait_for_selector(RESULT)


def test_history_leads_back_to_a_result_by_keyboard_alone(page, kiosk):
    send(page, kiosk, sample.FRACTURE, 26, "Keyboard 26")
    page.goto(kiosk.address)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "History":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/history")
    keep(page, "history")
    page.get_by_role("link", name="Keyboard 26").press("Enter")
    page.wait_for_selector(RESULT)
    assert page.get_by_role("heading", name="Fracture suspected").is_visible()


def test_without_scripts_the_form_and_the_refresh_do_the_same(browser, kiosk):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(kiosk.address)
    page.locator("#picture").set_input_files(file("plain.png", sample.picture(sample.FRACTURE, 27)))
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector(RESULT)
    assert page.get_by_role("heading", name="Fracture suspected").is_visible()
    context.close()


def addresses(page, kiosk):
    send(page, kiosk, sample.FRACTURE, next(_SEEDS))
    return [kiosk.address + path for path in ("/", "/history", "/box", "/nowhere")] + [page.url]


@pytest.mark.parametrize("panel", PANELS)
def test_targets_are_large_and_nothing_is_cut_off_sideways(browser, kiosk, panel):
    width, height = PANELS[panel]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(60_000)
    for address in addresses(page, kiosk):
        page.goto(address)
        keep(page, f"{panel}-{address.split('/')[3] or 'upload'}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        for target in page.locator(
            "a, button, summary, label.drop, input:not([type=file]):not([type=hidden])"
        ).all():
            shape = target.bounding_box()
            if shape is None or shape["x"] < 0 or not target.is_visible():
                continue
            assert shape["height"] >= SMALLEST_TARGET_PX, (address, target.inner_text())
    context.close()


@pytest.mark.skipif(
    importlib.util.find_spec("axe_playwright_python") is None, reason="axe-playwright-python is not installed"
)
def test_axe_finds_nothing_to_complain_of(browser, kiosk):
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    for address in addresses(page, kiosk):
        page.goto(address)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    context.close()
