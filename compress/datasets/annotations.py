"""Boxes in the three forms the field writes them in: COCO JSON, PASCAL VOC XML, YOLO text.

All become fractions of the image. Every parser takes text and raises ValueError with a reason for people;
where a file has several faults, it is an AnnotationError that lists them all.
Sources: Lin and others, Microsoft COCO: Common Objects in Context, 2014; Everingham and others, The PASCAL
Visual Object Classes (VOC) Challenge, 2010; Redmon and others, You Only Look Once, 2016.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PureWindowsPath
from typing import Any, TypeVar
from xml.etree import ElementTree

from compress.datasets.base import FractionBox
from compress.datasets.boxes import clipped

_T = TypeVar("_T")
_VOC_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_WHOLE = re.compile(r"\s*(\d{1,6})(?:\.0*)?\s*", re.ASCII)
_YOLO_BOX_CELLS = 5
_LEAST_POLYGON_CELLS = 7  # class and three corners


@dataclass(frozen=True)
class Annotated:
    """Boxes of one image; size_px: (height, width) that they were drawn on, None where the form has none."""

    boxes: tuple[FractionBox, ...]
    size_px: tuple[int, int] | None = None


class AnnotationError(ValueError):
    """What is wrong with one file of annotations: every fault of it, not the first."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def faults_of(error: Exception) -> tuple[str, ...]:
    """Every fault that a parser's (or a file's) error tells of."""
    return error.faults if isinstance(error, AnnotationError) else (str(error),)


def parse_coco(text: str) -> tuple[dict[str, Annotated], list[tuple[str, str]]]:
    """Annotations by the image's file name without suffix, and (such a name, what is wrong with one of them).

    An annotation's box is the hull of its polygons where it has any, else its bbox.
    Raises ValueError for text that is no COCO file.
    """
    try:
        table = json.loads(text)
        images = {entry["id"]: _coco_image(entry) for entry in table["images"]}
        entries = [(images.get(entry["image_id"]), entry) for entry in table["annotations"]]
    except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError, RecursionError) as error:
        raise ValueError(f"it is no COCO file: {type(error).__name__} {error}"[:160]) from error
    boxes: dict[str, list[FractionBox]] = {stem: [] for stem, _ in images.values()}
    faults: list[tuple[str, str]] = []
    for image, entry in entries:
        if image is None:
            faults.append(("", f"an annotation names the unknown image id {entry['image_id']!r}"))
            continue
        stem, (height, width) = image
        try:
            boxes[stem].append(clipped(_coco_corners(entry), width, height))
        except ValueError as error:
            faults.append((stem, f"{stem}: {error}"))
        except (TypeError, KeyError, ArithmeticError):
            faults.append((stem, f"{stem}: neither segmentation nor bbox holds the numbers that COCO wants"))
    return {stem: Annotated(tuple(boxes[stem]), size) for stem, size in images.values()}, faults


def parse_voc(text: str) -> Annotated:
    """The objects of one image, whatever their names.

    Raises ValueError for text that is no VOC file; its faults name every bad size and object (from 1).
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares a document type, which no VOC file needs")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  (without a document type there is no entity)
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"it is no XML: {error}") from error
    faults: list[str] = []
    height = _kept(lambda: _whole(root, "size/height"), "", faults)
    width = _kept(lambda: _whole(root, "size/width"), "", faults)
    boxes = []
    for number, item in enumerate(root.iter("object"), start=1):
        corners = _voc_corners(item, f"object {number}: ", faults)
        if corners is not None and width is not None and height is not None:
            boxes.append(_kept(partial(clipped, corners, width, height), f"object {number}: ", faults))
    if faults or width is None or height is None:
        raise AnnotationError(faults)
    return Annotated(tuple(box for box in boxes if box is not None), (height, width))


def parse_yolo(text: str, classes: Collection[int] | None = None) -> Annotated:
    """The lines of the wanted classes (all without `classes`): "class cx cy w h" or "class x y x y x y ...".

    All values are fractions. Raises ValueError whose faults name every line that is neither.
    """
    boxes = []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        try:
            kind, values = int(float(cells[0])), [float(cell) for cell in cells[1:]]
            box = clipped(_yolo_corners(values))
        except (ValueError, OverflowError) as error:
            faults.append(f"line {number}: {error}")
            continue
        if classes is None or kind in classes:
            boxes.append(box)
    if faults:
        raise AnnotationError(faults)
    return Annotated(tuple(boxes))


def _coco_image(entry: dict[str, Any]) -> tuple[str, tuple[int, int]]:
    # A path of Windows or of POSIX: this class splits both.
    return PureWindowsPath(entry["file_name"]).stem, (int(entry["height"]), int(entry["width"]))


def _coco_corners(entry: dict[str, Any]) -> list[float]:
    outline = entry.get("segmentation")
    if isinstance(outline, list) and outline:
        return _hull([float(value) for polygon in outline for value in polygon])
    x, y, width, height = (float(value) for value in entry["bbox"])
    return [x, y, x + width, y + height]


def _voc_corners(item: ElementTree.Element, where: str, faults: list[str]) -> list[float] | None:
    found = [_kept(partial(_number, item, f"bndbox/{name}"), where, faults) for name in _VOC_CORNERS]
    corners = [value for value in found if value is not None]
    return corners if len(corners) == len(_VOC_CORNERS) else None


def _kept(read: Callable[[], _T], where: str, faults: list[str]) -> _T | None:
    """What `read` gives, or None and its reason among the faults."""
    try:
        return read()
    except ValueError as error:
        faults.append(f"{where}{error}")
        return None


def _yolo_corners(values: list[float]) -> list[float]:
    if len(values) + 1 >= _LEAST_POLYGON_CELLS:
        return _hull(values)
    if len(values) + 1 != _YOLO_BOX_CELLS:
        raise ValueError(f"expected a class and a box or polygon, got {len(values) + 1} values")
    x, y, width, height = values
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def _hull(flat: list[float]) -> list[float]:
    if len(flat) % 2 or not all(math.isfinite(value) for value in flat):
        raise ValueError("a polygon must be pairs of finite numbers")
    xs, ys = flat[::2], flat[1::2]
    return [min(xs), min(ys), max(xs), max(ys)]


def _text_at(element: ElementTree.Element, path: str) -> str:
    found = element.find(path)
    if found is None or not found.text:
        raise ValueError(f"{path} is missing")
    return found.text


def _whole(element: ElementTree.Element, path: str) -> int:
    text = _text_at(element, path)
    found = _WHOLE.fullmatch(text)
    if found is None:
        raise ValueError(f"{path} must be a whole number, got {text[:40]!r}")
    return int(found[1])


def _number(element: ElementTree.Element, path: str) -> float:
    text = _text_at(element, path)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{path} must be a number, got {text[:40]!r}") from None
