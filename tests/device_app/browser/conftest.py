"""A real kiosk and a real Chromium for the tests of the viewer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from device_app import KioskConfig
from tests.device_app.browser import viewing
from tests.device_app.test_serve import Kiosk

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


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
