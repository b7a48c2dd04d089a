"""What an administrator looks at: the pixels that would leave, with the places of writing marked."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from device_app.export.prepared import Prepared
from device_app.pictures import SCREEN_SIDE_PX, screen_png
from runtime.burned_in import Corners

SIDES_PX = {"small": 520, "large": SCREEN_SIDE_PX}
_BLANKED, _OVER = (255, 196, 92), (64, 64, 255)  # blue, green, red


def preview_png(prepared: Prepared, kind: str) -> bytes:
    """kind: of SIDES_PX. Blanked places have a thin frame, writing that is still there has a thick one.

    The window that the file states is passed over: it may hide what is there.
    """
    radiograph = prepared.radiograph
    whole = replace(radiograph, facts=replace(radiograph.facts, window=None))
    data = np.frombuffer(screen_png(whole, SIDES_PX[kind]), np.uint8)
    shown = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2BGR)
    scale = shown.shape[1] / radiograph.width_px
    for boxes, colour, thick in ((prepared.blanked, _BLANKED, 1), (prepared.over, _OVER, 3)):
        for box in boxes:
            _frame(shown, box, scale, colour, thick)
    done, png = cv2.imencode(".png", shown)
    if not done:
        raise ValueError(f"no PNG can be made of an array of shape {shown.shape}")
    return bytes(png)


def _frame(
    shown: np.typing.NDArray[np.uint8], box: Corners, scale: float, colour: tuple[int, int, int], thick: int
) -> None:
    first, last = (
        (round(box[0] * scale), round(box[1] * scale)),
        (round(box[2] * scale), round(box[3] * scale)),
    )
    cv2.rectangle(shown, first, last, colour, thick)
