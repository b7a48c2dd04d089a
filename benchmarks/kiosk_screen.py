"""From sending a picture to seeing it on the kiosk's screen, and how long a change of its window takes.

`python -m benchmarks.kiosk_screen --picture FILE --out benchmarks/results/NAME.json [--bundle FOLDER]`

A real kiosk process and a real Chromium on the same machine. The clock is the browser's: it starts when
the page begins to send the file and stops in the second frame after the picture is decoded, on whatever page
that is; the answer's time ends when the page shows a state other than "Still working". The first picture
after the kiosk's start is told apart: libraries are loaded then. A window is changed by its slider and is
there with the frame that follows.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from benchmarks.results import Result, Row, bundle_facts, save
from runtime.errors import UlnaError
from runtime.latency import summarise
from runtime.reference import open_named

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_TIMEOUT_MS = 120_000
_LOOK_MS = 100
_END_S = 30
_DICOM_PREAMBLE_BYTES = 128
_CHANGES = 30
_WATCH = """
(() => {
  const now = () => performance.timeOrigin + performance.now();
  const note = (name) => sessionStorage.getItem(name) || sessionStorage.setItem(name, now());
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (body) {
    sessionStorage.clear();
    note("sent");
    return send.call(this, body);
  };
  const asked = new WeakSet();
  const shown = (picture) => {
    asked.add(picture);
    const drawn = () => requestAnimationFrame(() => requestAnimationFrame(() => note("seen")));
    picture.decode().then(drawn, () => asked.delete(picture));
  };
  const look = () => {
    const picture = document.querySelector("svg.plate image:not(.heat)");
    if (picture && !asked.has(picture)) shown(picture);
    if (document.querySelector("article:not(.result-working)")) note("answered");
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""
_CHANGE = """
async (count) => {
  const slider = document.querySelector("[data-slider=brightness]");
  const times = [];
  for (let number = 0; number < count; number++) {
    slider.value = String(20 + (number % 60));
    const started = performance.now();
    slider.dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    times.push(performance.now() - started);
  }
  return times;
}
"""


class Seen(NamedTuple):
    """Milliseconds from the start of sending to the picture and to the answer."""

    screen_ms: float
    answer_ms: float


def fresh(data: bytes, number: int) -> bytes:
    """The same picture in other bytes, because the kiosk knows a file that it has seen.

    A DICOM file's first bytes are free; other formats end before their file does.
    """
    said = f"round {number:08d}".encode()
    if data[_DICOM_PREAMBLE_BYTES:][:4] == b"DICM":
        return said.ljust(_DICOM_PREAMBLE_BYTES, b"\0") + data[_DICOM_PREAMBLE_BYTES:]
    return data + said


@contextlib.contextmanager
def running_kiosk(bundle: Path | None) -> Iterator[str]:
    """The address of a kiosk on an empty data folder. Raises UlnaError when it does not start."""
    named = [] if bundle is None else ["--bundle", str(bundle)]
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "runtime.main", "serve", "--port", "0", "--data", data, *named]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            try:
                if found is None:
                    raise UlnaError("the kiosk did not start", "run `ulna serve` to see why")
                yield found[0]
            finally:
                process.terminate()
                process.wait(_END_S)


@contextlib.contextmanager
def opened_browser() -> Iterator[Browser]:
    """A headless Chromium. Raises UlnaError where there is none."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise UlnaError("there is no Chromium on this machine", "install the package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def send(page: Page, address: str, data: bytes, name: str) -> Seen:
    """Send one picture with the first page's picker and wait for its answer.

    Raises UlnaError where that does not come.
    """
    page.goto(address)
    page.wait_for_load_state("load")
    page.locator("#picture").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )
    deadline = time.monotonic() + _TIMEOUT_MS / 1e3
    while None in (noted := _noted(page)):
        if time.monotonic() > deadline:
            raise UlnaError("no picture and answer in time", "open the kiosk's page about the box")
        page.wait_for_timeout(_LOOK_MS)
    sent, seen, answered = (float(moment) for moment in noted if moment is not None)
    return Seen(seen - sent, answered - sent)


def _noted(page: Page) -> list[str | None]:
    """When it was sent, seen and answered, as far as it was.

    Asked again and again from here, because the page's policy forbids scripts that wait for it.
    """
    from playwright.sync_api import Error

    try:
        found = page.evaluate("['sent', 'seen', 'answered'].map((name) => sessionStorage.getItem(name))")
        return list(found)
    except Error:  # between two pages
        return [None]


def window_changes(page: Page) -> list[float]:
    """Milliseconds of each change of the window on a result's page; none where it has no such tool."""
    if page.locator("[data-slider=brightness]").count() == 0:
        return []
    page.locator("[data-switch=light]").first.click()
    page.locator(".viewer-gray").first.wait_for()
    return [float(ms) for ms in page.evaluate(_CHANGE, _CHANGES)]


def measure_screen(bundle: Path | None, picture: Path, rounds: int) -> Row:
    """One row. Raises UlnaError without a kiosk or a Chromium."""
    data = picture.read_bytes()
    with running_kiosk(bundle) as address, opened_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(_TIMEOUT_MS)
        page.add_init_script(_WATCH)
        page.goto(address)
        page.locator(".pill-ready").wait_for()
        first, *later = (
            send(page, address, fresh(data, number), picture.name) for number in range(rounds + 1)
        )
        changes = window_changes(page)
    return _row(picture, first, later, changes)


def _row(picture: Path, first: Seen, later: list[Seen], changes: list[float]) -> Row:
    screen, answer = summarise([one.screen_ms for one in later]), summarise([one.answer_ms for one in later])
    row: Row = {
        "picture": picture.name,
        "rounds": len(later),
        "screen p50 ms": screen.p50_ms,
        "screen p90 ms": screen.p90_ms,
        "answer p50 ms": answer.p50_ms,
        "answer p90 ms": answer.p90_ms,
        "first screen ms": first.screen_ms,
        "first answer ms": first.answer_ms,
    }
    if changes:
        window = summarise(changes)
        row |= {"window p50 ms": window.p50_ms, "window p90 ms": window.p90_ms}
    return row


def main(
    picture: Annotated[Path, typer.Option(help="A radiograph.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 15,
) -> None:
    """Measure and write it down."""
    opened = open_named(bundle, None)
    row = measure_screen(bundle, picture, rounds)
    save(Result("kiosk screen", (row,), {"rounds": rounds}, bundle_facts(opened)), out)
    typer.echo(
        f"{row['picture']}: on the screen p50 {row['screen p50 ms']:.0f} ms, "
        f"p90 {row['screen p90 ms']:.0f} ms; answer p50 {row['answer p50 ms']:.0f} ms, "
        f"p90 {row['answer p90 ms']:.0f} ms; first after the start {row['first screen ms']:.0f} ms"
    )


if __name__ == "__main__":
    typer.run(main)
