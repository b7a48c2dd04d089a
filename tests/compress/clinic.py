"""A clinic's folder of labelled plates, which the bundle of tests.bundles reads rightly."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np

from compress.datasets.table import TableDataset
from tests.bundles import radiograph_png

GAP_BOX = [0.3, 0.4, 0.7, 0.5]
_HEADER = ["image_id", "file", "fractured", "body_part", "group", "boxes", "view", "hardware", "study_id"]


def write_data(folder: Path, damaged: bool = False, mislabelled: tuple[int, ...] = ()) -> TableDataset:
    """Eight patients with two plates each, half of them fractured, in examinations of two views.

    damaged: and three unreadable files. mislabelled: numbers of plates whose truth is written down wrongly.
    """
    rows = [_row(folder, number, number in mislabelled) for number in range(16)]
    if damaged:
        (folder / "cut.png").write_bytes(radiograph_png(True, seed=50)[:900])
        (folder / "text.png").write_bytes(b"this is no image")
        flat = np.full((300, 300), 2000, np.uint16)
        (folder / "flat.png").write_bytes(cv2.imencode(".png", flat)[1].tobytes())
        for name, ill in (("cut", 1), ("text", 0), ("flat", 1)):
            rows.append([name, f"{name}.png", ill, "hand", f"p-{name}", "", "", "0", ""])
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([_HEADER, *rows])
    return TableDataset(folder)


def _row(folder: Path, number: int, wrong: bool) -> list[str | int]:
    ill = number % 4 < 2
    (folder / f"{number}.png").write_bytes(radiograph_png(ill, seed=number))
    part, patient = "forearm" if number < 8 else "hand", number // 2
    label = int(ill != wrong)
    boxes = json.dumps([GAP_BOX]) if label else ""
    view = "lateral" if number % 2 else "frontal"
    hardware = int(ill and number < 6)
    return [f"i{number}", f"{number}.png", label, part, f"p{patient}", boxes, view, hardware, f"s{patient}"]
