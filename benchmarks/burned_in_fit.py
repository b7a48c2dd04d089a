"""Fits the trees that tell rows of letters from anatomy (runtime.letter_trees), on names written onto
radiographs.

`python -m benchmarks.burned_in_fit --data DIR --out runtime/letter_trees.json`

The shipped ones: --count 2000 on FracAtlas, in OpenCV's four fonts, DejaVu Sans and Liberation Mono (--font).

Half of the pictures carry a name, half are as they are. Only patients of the fit part are looked at; the
figures of benchmarks.burned_in are of the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.burned_in_names import FIT_TEXTS, Written, any_name, write
from compress.datasets.base import Case, Dataset
from compress.datasets.registry import open_dataset
from runtime import letter_rows, letters

_INKED = 0.12
_ROW_OF_LETTERS = 0.6
_TREES, _LEAVES, _RATE = 120, 12, 0.1
_TRIES = 20


def is_fit(case: Case) -> bool:
    """Whether a patient belongs to the part that is fitted on: three in five, by the id's own digits."""
    return int.from_bytes(case.patient_id.encode()[-3:], "big") % 5 < 3


def plane_of(dataset: Dataset, case: Case) -> NDArray[np.uint8]:
    """The picture in eight bits."""
    found = dataset.load(case)
    return np.asarray(found.pixels >> (found.bit_depth - 8), np.uint8)


def written_on(
    plane: NDArray[np.uint8],
    random: np.random.Generator,
    fonts: tuple[str, ...],
    texts: tuple[str, ...] = FIT_TEXTS,
) -> Written | None:
    """A name somewhere on the picture; None for a picture too small for one."""
    height, width = plane.shape
    for _ in range(_TRIES):
        name = any_name(random, max(height, width), fonts, texts)
        done = write(plane, name, (int(random.integers(width)), int(random.integers(height))))
        if done is not None:
            return done
    return None


def examples(
    plane: NDArray[np.uint8], inked: NDArray[np.uint8] | None
) -> Iterator[tuple[NDArray[np.float32], bool]]:
    """The figures of every row of a picture, and whether most of its marks are letters.

    inked: where letters are.
    """
    scale = letters.working_scale(*plane.shape)
    working = letters.working(plane.astype(np.uint16), scale)
    size = (working.shape[1], working.shape[0])
    ink = None if inked is None else cv2.resize(inked, size, interpolation=cv2.INTER_NEAREST) > 0
    strokes = letters.STROKES_PX * 2
    for stroke, marks in zip(strokes, letters.marks(working), strict=True):
        found = letter_rows.rows(marks, stroke)
        for figures, members in zip(found.features, found.members, strict=True):
            yield figures, ink is not None and _share_inked(ink, members) > _ROW_OF_LETTERS


def _share_inked(ink: NDArray[np.bool_], members: NDArray[np.float32]) -> float:
    corners = members.astype(int)
    return float(np.mean([ink[y0:y1, x0:x1].mean() > _INKED for x0, y0, x1, y1 in corners]))


def gather(
    dataset: Dataset, count: int, seed: int, fonts: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows of `count` pictures, every other of them with a name."""
    random = np.random.default_rng(seed)
    cases = [case for case in dataset.cases if is_fit(case)]
    figures: list[NDArray[np.float32]] = []
    labels: list[bool] = []
    for number in range(count):
        plane = plane_of(dataset, cases[int(random.integers(len(cases)))])
        done = written_on(plane, random, fonts) if number % 2 else None
        for row, is_text in examples(done.pixels if done else plane, done.letters if done else None):
            figures.append(row)
            labels.append(is_text)
    return np.array(figures), np.array(labels, bool)


def fitted(figures: NDArray[np.float32], labels: NDArray[np.bool_]) -> dict[str, Any]:
    """The trees as data: of each node the feature, the limit, both children and the value."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=_TREES, max_leaf_nodes=_LEAVES, learning_rate=_RATE, random_state=0, early_stopping=False
    ).fit(figures, labels)
    trees = [[_node(node) for node in each[0].nodes] for each in model._predictors]
    return {
        "features": list(letter_rows.FEATURES),
        "start": round(float(model._baseline_prediction.ravel()[0]), 6),
        "trees": trees,
    }


def _node(node: Any) -> list[float]:
    """[feature, limit, left, right, value]; feature -1 for a leaf."""
    if node["is_leaf"]:
        return [-1, 0, 0, 0, round(float(node["value"]), 6)]
    return [
        int(node["feature_idx"]),
        round(float(node["num_threshold"]), 6),
        int(node["left"]),
        int(node["right"]),
        0,
    ]


def main(
    data: Annotated[Path, typer.Option(help="Radiographs (folder or table).")],
    out: Annotated[Path, typer.Option(help="Where the trees go.")],
    count: Annotated[int, typer.Option(help="Pictures to look at.")] = 2400,
    font: Annotated[
        list[str] | None, typer.Option(help="Font file and weight, FILE:400; else OpenCV's own.")
    ] = None,
) -> None:
    """Fit and write."""
    figures, labels = gather(open_dataset(data), count, 1, tuple(font or ()))
    out.write_text(json.dumps(fitted(figures, labels), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
