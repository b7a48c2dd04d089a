"""The annotations of FracAtlas: three forms of the same boxes, compared with each other.

COCO outlines are used where an image has any, else PASCAL VOC, else YOLO. They are drawn on the image as it
is shown, turned upright by its EXIF orientation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from compress.datasets.annotations import Annotated, parse_coco, parse_voc, parse_yolo
from compress.datasets.base import Case, FractionBox
from compress.datasets.boxes import same_places
from compress.datasets.image_files import ImageFile
from compress.datasets.problems import Problem


class FracAtlasBoxes:
    """The boxes of each image by its id, read from `Annotations`; unreadable files become problems."""

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        self._forms = {
            "COCO": _read_coco(sorted(folder.glob("*COCO*/*.json")), problems),
            "PASCAL VOC": _read_each(sorted(folder.glob("*VOC*/*.xml")), parse_voc, problems),
            "YOLO": _read_each(sorted(folder.glob("*YOLO*/*.txt")), parse_yolo, problems),
        }
        self._used: Counter[str] = Counter()
        self._disagreements: list[str] = []

    def take(self, case_id: str, file: ImageFile, faults: list[str]) -> tuple[FractionBox, ...]:
        """The boxes of one image from the first form that has any; other sizes are added to `faults`."""
        found = {name: form[case_id] for name, form in self._forms.items() if case_id in form}
        marked = {name: each for name, each in found.items() if each.boxes}
        if not marked:
            return ()
        (first, used), *others = marked.items()
        self._used[first] += 1
        for name, other in others:
            if not same_places(used.boxes, other.boxes):
                self._disagreements.append(
                    f"{case_id} ({first} {len(used.boxes)}, {name} {len(other.boxes)})"
                )
        if used.size_px is not None and file.height_px and used.size_px != (file.height_px, file.width_px):
            faults.append(
                f"{first} annotates {used.size_px[1]} x {used.size_px[0]} pixels, "
                f"the image upright has {file.width_px} x {file.height_px}"
            )
        return used.boxes

    def notes(self, cases: Iterable[Case]) -> list[str]:
        """Which form was used how often, where forms disagree, and which fractures nobody marked."""
        used = ", ".join(f"{count} from {name}" for name, count in self._used.items())
        notes = [f"boxes: {used} annotations" if used else "boxes: there are no annotations"]
        if self._disagreements:
            notes.append(
                f"{len(self._disagreements)} images are boxed differently (number, or IoU below 0.5) in "
                f"another form: {', '.join(self._disagreements)}"
            )
        unmarked = [case.case_id for case in cases if case.label and not case.boxes]
        if used and unmarked:
            notes.append(f"{len(unmarked)} fractured images have no box: {', '.join(unmarked)}")
        return notes


def _read_coco(paths: Iterable[Path], problems: list[Problem]) -> dict[str, Annotated]:
    merged: dict[str, Annotated] = {}
    for path in paths:
        try:
            found, faults = parse_coco(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            problems.append(Problem(f"{path.name}: {error}"))
            continue
        merged |= found
        problems += [Problem(f"{path.name}: {text}", case_id) for case_id, text in faults]
    return merged


def _read_each(
    paths: Iterable[Path], parse: Callable[[str], Annotated], problems: list[Problem]
) -> dict[str, Annotated]:
    found = {}
    for path in paths:
        if path.name == "classes.txt":  # label tools write the classes' names beside the boxes
            continue
        try:
            found[path.stem] = parse(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            problems.append(Problem(f"{path.parent.name}/{path.name}: {error}", path.stem))
    return found
