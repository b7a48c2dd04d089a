"""A real kiosk and a real Chromium for the tests of the viewer."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from device_app import KioskConfig, create_app
from device_app.intake.door import Door
from device_app.intake.sources import Sources, install_sources
from device_app.intake.stick import Sticks, install_sticks
from device_app.web import kiosk_of
from tests.device_app.browser import viewing
from tests.device_app.intake.conftest import PACE
from tests.device_app.intake.test_stick import Slot
from tests.device_app.test_serve import Kiosk

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    """A folder that sticks are plugged into."""
    (tmp_path / "usb").mkdir()
    return Slot(tmp_path / "usb")


@contextlib.contextmanager
def kiosk_with_sticks(config: KioskConfig, slot: Slot) -> Iterator[str]:
    """Address of a kiosk in this process that looks for sticks in a folder; no picture is read in it."""
    app, sources = create_app(config), Sources()
    door = Door(kiosk_of(app).store.records, kiosk_of(app).reader.wake)
    sticks = Sticks(slot.options, door, sources, PACE)
    install_sources(app, sources)
    install_sticks(app, sticks)
    sticks.start()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    sticks.stop()
    kiosk_of(app).store.close()


@pytest.fixture(scope="module")
def viewer_kiosk(tmp_path_factory: Any, kiosk_bundle: Any, kiosk_keys: Any) -> Iterator[Kiosk]:
    data = tmp_path_factory.mktemp("kiosk") / "data"
    running = Kiosk(KioskConfig(kiosk_bundle, data, trust=(kiosk_keys[1],)))
    running.data = data
    yield running
    running.end()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def viewer_page(chromium: Any, viewer_kiosk: Kiosk) -> Iterator[Any]:
    """A page that fails its test for a request to another host, a console error or a script error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, has_touch=True)
    troubles: list[str] = []
    yield viewing.watched(context.new_page(), viewer_kiosk, troubles)
    context.close()
    assert not troubles
