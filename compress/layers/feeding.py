"""From image files to what a network is fed, by the runtime's own preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.datasets.image_files import SUFFIXES, images_below
from compress.datasets.registry import LAYOUTS, open_dataset
from compress.layers.base import Feed, LayeredModel
from compress.steps.fidelity import draw_facts
from runtime import readers
from runtime.backends.base import INPUT_NAME, METADATA_NAME
from runtime.errors import InputError, StepError
from runtime.preprocess import PreprocessSpec, preprocess

_SUFFIXES = (*SUFFIXES, ".dcm", ".dicom")


def image_feeds(model: LayeredModel, place: Path, images: int) -> tuple[Feed, ...]:
    """Up to `images` feeds, spread evenly over the image, the folder of images or the data set at `place`.

    A network that takes facts of the patient is told seeded ones, the first time nothing: the graph does not
    say what they mean. Raises StepError for no images, with every one that cannot be read, and for a network
    that takes no image.
    """
    size_px, width = _sizes(model)
    paths = _paths(place)
    rows = np.unique(np.linspace(0, len(paths) - 1, min(images, len(paths))).round().astype(int))
    tensors = _read([paths[row] for row in rows], PreprocessSpec(size_px))
    if not width:
        return tuple({INPUT_NAME: tensor} for tensor in tensors)
    facts = draw_facts(width, len(tensors))
    return tuple(
        {INPUT_NAME: tensor, METADATA_NAME: row[None]} for tensor, row in zip(tensors, facts, strict=True)
    )


def _sizes(model: LayeredModel) -> tuple[int, int]:
    """Pixels of the square image, and how many facts are taken."""
    shapes = {info.name: info.shape for info in model.inputs}
    shape = shapes.get(INPUT_NAME, ())
    if len(shape) != 4 or shape[2] is None or shape[2] != shape[3]:
        raise StepError(f"the network must take {INPUT_NAME!r} (N, 1, S, S) with S fixed, it takes {shapes}")
    return shape[2], shapes.get(METADATA_NAME, (0,))[-1] or 0


def _paths(place: Path) -> list[Path]:
    if place.is_file() and place.suffix.lower() != ".csv":
        return [place]
    if any(layout.recognises(place) for layout in LAYOUTS.values()):
        return [case.path for case in open_dataset(place).cases]
    found = images_below(place, _SUFFIXES) if place.is_dir() else []
    if not found:
        raise StepError(
            f"{place} holds no images", f"name a data set, or a folder with {', '.join(_SUFFIXES)}"
        )
    return found


def _read(paths: list[Path], spec: PreprocessSpec) -> list[NDArray[np.float32]]:
    tensors, problems = [], []
    for path in paths:
        try:
            tensors.append(preprocess(readers.read_file(path), spec)[0])
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise StepError(f"{len(problems)} images cannot be read: {'; '.join(problems)}", "leave them out")
    return tensors
