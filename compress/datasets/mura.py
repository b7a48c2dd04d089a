"""MURA: musculoskeletal radiographs of seven body parts, labelled by study.

Source: Rajpurkar and others, MURA: Large Dataset for Abnormality Detection in Musculoskeletal Radiographs,
2017.

Layout: train/ and valid/ with XR_PART/patientNNNNN/studyN_positive|negative/imageN.png, and for each of both
NAME_image_paths.csv and NAME_labeled_studies.csv, without headers.

The label is the study's and says normal (0) or abnormal (1): abnormal is more than fractured (hardware,
degenerative joints, lesions). Every image carries its study's label, whether or not the finding is in view;
the study is the unit of the answer (`study_id`), the patient the unit of a division. The tag "split" holds
the publisher's division, train or valid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from compress.datasets.base import Case
from compress.datasets.cells import parse_label, parsed
from compress.datasets.csv_files import read_lines
from compress.datasets.image_files import images_below, scan, without_row
from compress.datasets.layout import Layout, without_rule
from compress.datasets.problems import Problem
from compress.datasets.reading import Reading, finish
from compress.datasets.sidecars import read_sidecars

NAME = "mura"
_SPLITS = ("train", "valid")
_RULE = (
    "label: 1 where the study is abnormal (positive), which is more than fractured; "
    "every image has its study's label"
)
_STUDY = re.compile(r"(train|valid)/XR_([A-Z]+)/(patient\d+)/(study\d+)_(positive|negative)", re.ASCII)


def recognises(path: Path) -> bool:
    """Whether the folder holds a table of MURA's."""
    return any((path / f"{split}_image_paths.csv").is_file() for split in _SPLITS)


def read_mura(root: Path) -> Reading:
    """Both divisions. Raises StepError for a table that is no CSV."""
    problems: list[Problem] = []
    drafts: list[Case] = []
    for split in _SPLITS:
        drafts += _read_split(root, split, problems)
    files = scan(case.path for case in drafts)
    reading = Reading(
        layout=NAME,
        root=root,
        cases=tuple(drafts),
        problems=tuple(problems),
        notes=tuple(note for split in _SPLITS for note in _without_row(root, split)),
        caution=_RULE,
    )
    return finish(reading, files, read_sidecars(root))


def _read_split(root: Path, split: str, problems: list[Problem]) -> list[Case]:
    images, studies = root / f"{split}_image_paths.csv", root / f"{split}_labeled_studies.csv"
    if not images.is_file() and not studies.is_file():
        return []
    missing = [path for path in (images, studies) if not path.is_file()]
    problems += [Problem(f"{path.name} is missing") for path in missing]
    if missing:
        return []
    labels = _study_labels(studies, problems)
    lines = read_lines(images)
    drafts = []
    for line, cells in lines:
        draft = _draft(root, cells[0], labels, problems, f"{images.name} line {line}")
        drafts += [draft] if draft is not None else []
    used = {str(PurePosixPath(_below_root(cells[0])).parent) for _, cells in lines}
    problems += [
        Problem(f"{studies.name}: study {study!r} has no image") for study in labels if study not in used
    ]
    return drafts


def _without_row(root: Path, split: str) -> list[str]:
    """A note on the images of a division that its table of paths does not name."""
    table = root / f"{split}_image_paths.csv"
    named = {_below_root(cells[0]) for _, cells in read_lines(table)} if table.is_file() else set()
    found = {path.relative_to(root).as_posix() for path in images_below(root / split)}
    return without_row(found - named, table.name)


def _study_labels(path: Path, problems: list[Problem]) -> dict[str, int]:
    """Label by the study's folder below the root."""
    labels: dict[str, int] = {}
    for line, cells in read_lines(path):
        study = _below_root(cells[0])
        found = _STUDY.fullmatch(study)
        faults: list[str] = []
        if found is None or len(cells) != 2:
            got = ",".join(cells)[:120]
            faults.append(f"expected .../XR_PART/patientN/studyN_positive/,1, got {got!r}")
        else:
            label = parsed(partial(parse_label, column="the label"), cells[1], faults)
            if label is not None and label != (found[5] == "positive"):
                faults.append(f"study {study!r} is labelled {label}, its folder says {found[5]}")
            if study in labels:
                faults.append(f"study {study!r} is named twice")
            if label is not None and not faults:
                labels[study] = label
        problems += [Problem(f"{path.name} line {line}: {fault}") for fault in faults]
    return labels


def _draft(
    root: Path, text: str, labels: Mapping[str, int], problems: list[Problem], where: str
) -> Case | None:
    name = _below_root(text)
    study = str(PurePosixPath(name).parent)
    found = _STUDY.fullmatch(study)
    if found is None:
        problems.append(
            Problem(f"{where}: expected .../XR_PART/patientN/studyN_.../imageN.png, got {text[:120]!r}")
        )
        return None
    is_there = (root / name).is_file()
    if study not in labels:
        problems.append(Problem(f"{where}: study {study!r} has no usable label", name))
    if not is_there:
        problems.append(Problem(f"{where}: image {name!r} is missing", name))
    if study not in labels or not is_there:
        return None
    split, part, patient, number, _ = found.groups()
    return Case(
        case_id=name,
        patient_id=patient,
        path=root / name,
        label=labels[study],
        body_part=part.lower(),
        tags={"split": split},
        study_id=f"{patient}/{part.lower()}/{number}",
    )


def _below_root(text: str) -> str:
    """The path without the name that the publisher gave the root ("MURA-v1.1/")."""
    parts = PurePosixPath(text.strip()).parts
    start = next((number for number, part in enumerate(parts) if part in _SPLITS), 0)
    return str(PurePosixPath(*parts[start:]))


LAYOUT = Layout(
    name=NAME,
    marker="train_image_paths.csv or valid_image_paths.csv (MURA)",
    recognises=recognises,
    read=without_rule(read_mura),
)
