"""The annotations of FracAtlas: three forms of the same boxes, compared with each other.

COCO outlines are used where an image has any, else PASCAL VOC, else YOLO. They are drawn on the image as it
is shown, turned upright by its EXIF orientation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from compress.datasets.annotations import Annotated, faults_of, parse_coco, parse_voc, parse_yolo
from compress.datasets.base import Case, FractionBox
from compress.datasets.boxes import same_places
from compress.datasets.image_files import ImageFile
from compress.datasets.problems import Problem


@dataclass
class _Form:
    """One form of annotations: boxes, and all that is wrong with a file, by the image's id."""

    boxes: dict[str, Annotated] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)


class FracAtlasBoxes:
    """The boxes of each image by its id, read from `Annotations`.

    A form that cannot be read is a problem; one file of it is a fault of its image where no form that is
    trusted more has boxes, else it is noted.
    """

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        self._forms = {
            "COCO": _read_coco(sorted(folder.glob("*COCO*/*.json")), problems),
            "PASCAL VOC": _read_each(sorted(folder.glob("*VOC*/*.xml")), parse_voc),
            "YOLO": _read_each(sorted(folder.glob("*YOLO*/*.txt")), parse_yolo),
        }
        self._used: Counter[str] = Counter()
        self._disagreements: list[str] = []
        self._unneeded_faults: list[str] = []

    def take(self, case_id: str, file: ImageFile, faults: list[str]) -> tuple[FractionBox, ...]:
        """The boxes of one image from the first form that has any; what is wrong is added to `faults`."""
        used: Annotated | None = None
        used_name = ""
        for name, form in self._forms.items():
            (faults if used is None else self._unneeded_faults).extend(form.faults.get(case_id, ()))
            found = form.boxes.get(case_id)
            if found is None or not found.boxes:
                continue
            if used is None:
                used, used_name = found, name
            elif not same_places(used.boxes, found.boxes):
                counts = f"{used_name} {len(used.boxes)}, {name} {len(found.boxes)}"
                self._disagreements.append(f"{case_id} ({counts})")
        if used is None:
            return ()
        self._used[used_name] += 1
        if used.size_px is not None and file.height_px and used.size_px != (file.height_px, file.width_px):
            faults.append(
                f"{used_name} annotates {used.size_px[1]} x {used.size_px[0]} pixels, "
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
        if self._unneeded_faults:
            notes.append(
                f"{len(self._unneeded_faults)} faulty annotations were not needed: "
                f"{'; '.join(self._unneeded_faults)}"
            )
        unmarked = [case.case_id for case in cases if case.label and not case.boxes]
        if used and unmarked:
            notes.append(f"{len(unmarked)} fractured images have no box: {', '.join(unmarked)}")
        return notes


def _read_coco(paths: Iterable[Path], problems: list[Problem]) -> _Form:
    form = _Form()
    for path in paths:
        try:
            found, faults = parse_coco(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            problems.append(Problem(f"{path.name}: {error}"))
            continue
        form.boxes |= found
        for case_id, text in faults:
            if case_id:
                form.faults.setdefault(case_id, []).append(f"{path.name}: {text}")
            else:
                problems.append(Problem(f"{path.name}: {text}"))
    return form


def _read_each(paths: Iterable[Path], parse: Callable[[str], Annotated]) -> _Form:
    form = _Form()
    for path in paths:
        if path.name == "classes.txt":  # label tools write the classes' names beside the boxes
            continue
        try:
            form.boxes[path.stem] = parse(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            where = f"{path.parent.name}/{path.name}"
            form.faults[path.stem] = [f"{where}: {fault}" for fault in faults_of(error)]
    return form
