"""A data set that a tiny network learns in seconds: a bone with or without a dark gap across it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

PARTS = ("hand", "leg")


def write_easy_data(folder: Path, patients: int = 120, seed: int = 5, side_px: int = 96) -> Path:
    """Two images a patient, every other patient fractured; returns `folder` with its labels.csv."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["image_id", "file", "fractured", "body_part", "group", "boxes", "hardware"])
        for patient in range(patients):
            for view in range(2):
                name, fractured = f"p{patient:03d}v{view}", patient % 2
                pixels, gap = _draw(rng, side_px, bool(fractured))
                cv2.imwrite(str(folder / "images" / f"{name}.png"), pixels)
                boxes = json.dumps([[x / side_px for x in gap]] if fractured else [])
                part, implant = PARTS[patient // 2 % 2], int(patient % 20 == 1)
                row = [name, f"images/{name}.png", fractured, part, f"g{patient}", boxes, implant]
                table.writerow(row)
    return folder


def _draw(
    rng: np.random.Generator, side_px: int, fractured: bool
) -> tuple[NDArray[np.uint16], tuple[int, int, int, int]]:
    """A 12-bit plane and where the gap is or would be."""
    x, width = int(rng.integers(side_px // 4, side_px // 2)), side_px // 6
    y = int(rng.integers(side_px // 4, 3 * side_px // 4))
    plane = rng.normal(600, 60, (side_px, side_px))
    plane[:, x - width : x + 2 * width] += 500
    plane[:, x : x + width] += 1500
    gap = (x - 2, y - 5, x + width + 2, y + 5)
    if fractured:
        plane[gap[1] : gap[3], x : x + width] -= 1400
    smooth = cv2.GaussianBlur(plane, (0, 0), 1.2)
    return np.clip(smooth, 0, 4095).astype(np.uint16), gap
