"""Small dataset folders for tests: real PNG files and a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from compress.datasets.base import Case

COLUMNS = ("image_id", "file", "fractured", "body_part", "view", "group", "boxes", "hardware")


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A sound row of a table; patient g0 has the images 0 and 1, and so on."""
    label = number % 2
    base = {
        "image_id": f"image{number}",
        "file": f"images/{number}.png",
        "fractured": label,
        "body_part": ("hand", "leg")[number // 2 % 2],
        "view": "frontal",
        "group": f"g{number // 2}",
        "boxes": json.dumps([[0.1, 0.2, 0.3, 0.4]] if label else []),
        "hardware": "0",
    }
    return base | changes


def write_table(folder: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> Path:
    """Write labels.csv alone."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def write_image(path: Path, seed: int, height_px: int = 40, width_px: int = 30) -> None:
    """A 16-bit PNG of random values below 4096."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 4096, (height_px, width_px)).astype(np.uint16)
    cv2.imwrite(str(path), pixels)


def make_folder(folder: Path, count: int = 6) -> Path:
    """Images and their table."""
    for number in range(count):
        write_image(folder / "images" / f"{number}.png", number, 40 + number, 30)
    return write_table(folder, [row(number) for number in range(count)])


def case(number: int, patient: str, label: int = 0, body_part: str = "hand") -> Case:
    """A case without a file."""
    return Case(f"c{number}", patient, Path(f"{number}.png"), label, body_part)
