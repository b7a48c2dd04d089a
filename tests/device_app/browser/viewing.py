"""What the tests of the viewer share: pictures with known values, and what is where on the stage."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.device_app import sample
from tests.runtime.readers.makers import dicom

WIDTH_PX, HEIGHT_PX = 400, 520
ROW_MM, COLUMN_MM = 0.16, 0.125
PATCHES = {500: (375, 490), 700: (375, 450), 1200: (375, 410)}
"""Value: middle (x, y) of a square of it in the corner of every picture made here."""
PATCH_PX = 30
RESULT = "article:not(.result-working)"
PANELS = {"wide": (1280, 800), "small": (800, 480), "phone": (390, 844)}
SCREENSHOTS = os.environ.get("ULNA_SCREENSHOTS")


class Matrix(NamedTuple):
    """From the picture's pixels to the stage's."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f

    @property
    def scale(self) -> float:
        """Stage pixels for one of the picture."""
        return math.hypot(self.a, self.b)


def forearm(gap: float, seed: int) -> NDArray[np.uint16]:
    """The sample's forearm with squares of known values."""
    pixels = sample.forearm(gap, seed)
    for value, (x, y) in PATCHES.items():
        half = PATCH_PX // 2
        pixels[y - half : y + half, x - half : x + half] = value
    return pixels


def plain(gap: float, seed: int) -> dict[str, Any]:
    """A PNG of 16 bits for the picker; it has no scale."""
    return _file(f"forearm-{seed}.png", sample.png(forearm(gap, seed)))


def scaled(gap: float, seed: int) -> dict[str, Any]:
    """A DICOM file whose pixels are higher than wide."""
    return _file(f"forearm-{seed}.dcm", dicom(forearm(gap, seed), PixelSpacing=[ROW_MM, COLUMN_MM]))


def _file(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def watched(page: Any, kiosk: Any, troubles: list[str]) -> Any:
    """Note every request to another host and every error of a script or on the console."""
    page.set_default_timeout(60_000)
    page.on("request", lambda one: one.url.startswith(kiosk.address) or troubles.append(one.url))
    page.on("console", lambda message: message.type == "error" and troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    return page


def send(page: Any, kiosk: Any, picture: dict[str, Any], label: str = "") -> str:
    """Choose a picture with the picker, wait for its result and its values; the address of its page."""
    page.goto(kiosk.address)
    page.get_by_label("Patient number or name").fill(label)
    page.locator("#picture").set_input_files(picture)
    page.wait_for_selector(RESULT)
    page.wait_for_selector(".viewer-gray")
    settle(page)
    return str(page.url)


def settle(page: Any) -> None:
    """Until what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def drawn(shape: Any) -> dict[str, float]:
    """Where a shape lies on the screen; each drawing of the stage puts a new one in its place."""
    for _ in range(50):
        if found := shape.bounding_box():
            return dict(found)
        shape.page.wait_for_timeout(100)
    raise AssertionError("the shape is not drawn")


def matrix(page: Any, viewer: str = ".viewer") -> Matrix:
    """Where the picture is on the stage now."""
    settle(page)
    said = page.locator(f"{viewer} g.scene").first.get_attribute("transform")
    return Matrix(*map(float, said.removeprefix("matrix(").removesuffix(")").split()))


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """A point of the picture as a point of the window."""
    stage = page.locator(".stage").first.bounding_box()
    across, down = matrix(page)(x, y)
    return stage["x"] + across, stage["y"] + down


def gray(page: Any, value: int) -> int:
    """The shade in the middle of a square of that value, read back from the canvas."""
    across, down = matrix(page)(*PATCHES[value])
    read = "([x, y]) => [...document.querySelector('.grays').getContext('2d').getImageData(x, y, 1, 1).data]"
    red, green, blue, alpha = page.evaluate(read, [across, down])
    assert red == green == blue and alpha == 255
    return int(red)


def window(page: Any) -> tuple[float, float]:
    """Level and width as the page says them."""
    words = page.locator("[data-window]").first.inner_text().replace(",", "").split()
    return float(words[1]), float(words[3])


def shade(value: int, level: float, width: float) -> float:
    """What a stored value should look like in a window."""
    return float(np.clip((value - level) / width + 0.5, 0, 1) * 255)


def touch(page: Any, kind: str, *points: tuple[float, float]) -> None:
    """One event of real fingers: touchStart, touchMove or touchEnd."""
    if not hasattr(page, "fingers"):
        page.fingers = page.context.new_cdp_session(page)
    listed = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    page.fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": listed})


def keep(page: Any, name: str) -> None:
    """A screenshot, where somebody asked for them."""
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        settle(page)
        page.screenshot(path=str(Path(SCREENSHOTS) / f"viewer-{name}.png"))
