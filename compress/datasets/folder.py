"""A folder for each class: fractured/ and normal/, or words that mean the same.

Folders above the class folder say more: train, valid (val, validation) or test is the division (tag "split"),
any other name the body part ("Hand/not fractured/x.png", "train/wrist/fractured/x.png"). What lies below the
class folder belongs to it. DICOM files are read too.

The rule "folder:SEPARATOR" says that an image's name up to the first SEPARATOR names the patient
("folder:_" reads p012_frontal.png as patient p012). Without it every image counts as a patient.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path, PurePath

from compress.datasets.base import Case
from compress.datasets.cells import UNKNOWN_PART
from compress.datasets.image_files import SUFFIXES, images_below, scan
from compress.datasets.layout import Layout
from compress.datasets.problems import Problem
from compress.datasets.reading import Reading, finish
from compress.datasets.sidecars import read_sidecars

NAME = "folder"
_CLASSES = {
    **dict.fromkeys(("fractured", "fracture", "fractures", "broken", "positive", "abnormal", "1"), 1),
    **dict.fromkeys(
        (
            "normal",
            "not fractured",
            "non fractured",
            "unfractured",
            "no fracture",
            "no fractures",
            "healthy",
            "negative",
            "unbroken",
            "not broken",
            "0",
        ),
        0,
    ),
}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_DEEPEST = 3  # division, body part, class
_RULE = "label: the class folder's name"


def recognises(path: Path) -> bool:
    """Whether folders for both classes lie in it, at most three levels down."""
    return path.is_dir() and {0, 1} <= _classes_below(path, _DEEPEST)


def read_folder(root: Path, separator: str = "") -> Reading:
    """All images below a class folder; `separator` ends the patient's part of a file name, "" for none."""
    problems: list[Problem] = []
    drafts = []
    for path in images_below(root, (*SUFFIXES, ".dcm")):
        draft = _draft(root, path, separator, problems)
        drafts += [draft] if draft is not None else []
    reading = Reading(
        layout=NAME,
        root=root,
        cases=tuple(drafts),
        problems=tuple(problems),
        notes=(_RULE, _patients_in_words(separator)),
        has_patients=bool(separator),
    )
    return finish(reading, scan(case.path for case in drafts), read_sidecars(root))


def _draft(root: Path, path: Path, separator: str, problems: list[Problem]) -> Case | None:
    case_id = path.relative_to(root).as_posix()
    folders = path.relative_to(root).parts[:-1]
    at = [number for number, name in enumerate(folders) if _words(name) in _CLASSES]
    if len(at) != 1:
        problems.append(Problem(f"{case_id!r} lies below {len(at)} class folders, expected one", case_id))
        return None
    patient, found, _ = path.name.partition(separator) if separator else (case_id, "", "")
    if separator and not (patient and found):
        problems.append(Problem(f"{case_id!r}: its name has no patient before {separator!r}", case_id))
        return None
    above = [_words(name) for name in folders[: at[0]]]
    split = next((_SPLITS[name] for name in above if name in _SPLITS), None)
    return Case(
        case_id=case_id,
        patient_id=patient,
        path=path,
        label=_CLASSES[_words(folders[at[0]])],
        body_part=next((name for name in reversed(above) if name not in _SPLITS), UNKNOWN_PART),
        tags={} if split is None else {"split": split},
    )


def _classes_below(folder: Path, levels: int) -> set[int]:
    found: set[int] = set()
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return found
    for name in names:
        if _words(name) in _CLASSES:
            found.add(_CLASSES[_words(name)])
        elif levels > 1 and not name.startswith("."):
            found |= _classes_below(folder / name, levels - 1)
    return found


@functools.cache
def _words(name: str) -> str:
    """Lower-case words: "Non_fractured" and "non-fractured" are the same."""
    return " ".join(PurePath(name).name.lower().replace("_", " ").replace("-", " ").split())


def _patients_in_words(separator: str) -> str:
    if not separator:
        return "patients: nothing names them"
    return f"patients: a file's name up to the first {separator!r}"


LAYOUT = Layout(
    name=NAME,
    marker="folders such as fractured/ and normal/, at most three levels down",
    recognises=recognises,
    read=read_folder,
    rule="what ends the patient's part of a file name, for example _",
)
