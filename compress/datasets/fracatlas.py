"""FracAtlas as published: images/Fractured, images/Non_fractured, dataset.csv, Annotations/.

Source: Abedeen and others, FracAtlas: A Dataset for Fracture Classification, Localization and Segmentation of
Musculoskeletal Radiographs, Scientific Data, 2023.

The label is dataset.csv's column `fractured`; it must agree with the folder and with the boxes. Boxes come
from the COCO outlines where an image has any, else from PASCAL VOC, else from YOLO; where several forms have
boxes they are compared. The publication names no patients: groups.csv beside the data may (see sidecars.py).
Its own division (Utilities/Fracture Split) holds fractured images only, so it is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from compress.datasets.base import Case
from compress.datasets.cells import UNKNOWN_PART, parse_flag
from compress.datasets.csv_files import Record, read_records
from compress.datasets.fracatlas_boxes import FracAtlasBoxes
from compress.datasets.image_files import ImageFile, by_name, images_below, scan
from compress.datasets.layout import Layout, without_rule
from compress.datasets.problems import Problem
from compress.datasets.reading import Reading, finish
from compress.datasets.sidecars import read_sidecars

NAME = "fracatlas"
_TABLE = "dataset.csv"
_FOLDERS = {"Fractured": 1, "Non_fractured": 0}
_PARTS = ("hand", "leg", "hip", "shoulder")
_VIEWS = ("frontal", "lateral", "oblique")
_TAGS = ("hardware", "multiscan", "mixed")
_RULE = "label: 1 where dataset.csv says fractured"


def recognises(path: Path) -> bool:
    """Whether the folder looks like FracAtlas."""
    return (path / _TABLE).is_file() and any((path / "images" / name).is_dir() for name in _FOLDERS)


def read_fracatlas(root: Path) -> Reading:
    """Everything in the folder. Raises StepError for a dataset.csv that is no table or lacks a column."""
    faults: list[str] = []
    needed = ("image_id", *_PARTS, "fractured", *_VIEWS)
    _, records = read_records(root / _TABLE, needed, faults)
    problems = list(map(Problem, faults))
    images = _Images(root, problems)
    files = scan(images.paths)
    boxes = FracAtlasBoxes(root / "Annotations", problems)
    drafts: list[Case] = []
    for line, record in records:
        draft, own = _draft(record, images, files, boxes)
        case_id = images.id_of(record)
        problems += [Problem(f"{_TABLE} line {line} ({case_id}): {text}", case_id) for text in own]
        drafts += [draft] if draft is not None else []
    problems += images.without_row(images.id_of(record) for _, record in records)
    reading = Reading(
        layout=NAME,
        root=root,
        cases=tuple(drafts),
        problems=tuple(problems),
        notes=(_RULE, *boxes.notes(drafts)),
        has_patients=False,
    )
    return finish(reading, files, read_sidecars(root))


class _Images:
    """Where each image lies, by its file's name without suffix."""

    def __init__(self, root: Path, problems: list[Problem]) -> None:
        self._path_of = by_name(images_below(root / "images"), root, problems, lambda path: path.stem)

    @property
    def paths(self) -> Iterable[Path]:
        return self._path_of.values()

    def id_of(self, record: Record) -> str:
        return Path(record["image_id"]).stem

    def path_of(self, case_id: str) -> Path | None:
        return self._path_of.get(case_id)

    def without_row(self, named: Iterable[str]) -> list[Problem]:
        strangers = sorted(set(self._path_of) - set(named))
        return [Problem(f"image {name!r} has no row in {_TABLE}", name) for name in strangers]


def _draft(
    record: Record, images: _Images, files: Mapping[Path, ImageFile], boxes: FracAtlasBoxes
) -> tuple[Case | None, list[str]]:
    """The case, as far as one can be made of the row, and what is wrong with the row."""
    case_id = images.id_of(record)
    path = images.path_of(case_id)
    faults = [] if path is not None else [f"image {record['image_id']!r} is missing"]
    flags = _flags(record, faults)
    if path is None:
        return None, faults
    marked = boxes.take(case_id, files[path], faults)
    faults += _contradictions(flags["fractured"], _FOLDERS.get(path.parent.name), len(marked))
    draft = Case(
        case_id=case_id,
        patient_id=case_id,
        path=path,
        label=flags["fractured"],
        body_part=_joined(_PARTS, flags) or UNKNOWN_PART,
        view=_joined(_VIEWS, flags),
        boxes=marked,
        tags={name: str(flags[name]) for name in _TAGS if name in flags},
    )
    return draft, faults


def _flags(record: Record, faults: list[str]) -> dict[str, int]:
    flags = {}
    for name in ("fractured", *_PARTS, *_VIEWS, *_TAGS):
        try:
            flags[name] = parse_flag(record.get(name, ""), name)
        except ValueError as error:
            flags[name] = 0
            faults.append(str(error))
    return {name: flag for name, flag in flags.items() if name in record}


def _contradictions(label: int, folder_label: int | None, boxes: int) -> list[str]:
    words = ("not fractured", "fractured")
    others = []
    if folder_label is not None and folder_label != label:
        others.append(f"its folder says {words[folder_label]}")
    if boxes and not label:
        others.append(f"{boxes} {'box says' if boxes == 1 else 'boxes say'} fractured")
    return [f"the table says {words[label]}, {' and '.join(others)}"] if others else []


def _joined(names: Iterable[str], flags: Mapping[str, int]) -> str:
    return "+".join(name for name in names if flags.get(name))


LAYOUT = Layout(
    name=NAME,
    marker="dataset.csv with images/Fractured or images/Non_fractured (FracAtlas)",
    recognises=recognises,
    read=without_rule(read_fracatlas),
)
