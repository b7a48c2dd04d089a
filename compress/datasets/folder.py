"""A folder for each class: fractured/ and normal/, or words that mean the same.

Folders above the class folder say more: train, valid (val, validation) or test is the division (tag "split"),
any other name the body part ("Hand/not fractured/x.png", "train/wrist/fractured/x.png"). What lies below the
class folder belongs to it. DICOM files (.dcm) are read too. Images of a form that is not read are a problem;
other files below a class folder are counted in a note.

The rule "folder:SEPARATOR" says that an image's name up to the first SEPARATOR names the patient
("folder:_" reads p012_frontal.png as patient p012). Without it every image counts as a patient.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath

from compress.datasets.base import Case
from compress.datasets.cells import UNKNOWN_PART
from compress.datasets.image_files import SUFFIXES, files_below, scan
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
_READ = (*SUFFIXES, ".dcm")
_UNREAD_IMAGES = (".gif", ".jp2", ".heic", ".avif", ".jfif", ".pgm")
_DEEPEST = 3  # division, body part, class
_RULE = "label: the class folder's name"


def recognises(path: Path) -> bool:
    """Whether folders for both classes lie in it, at most three levels down."""
    return path.is_dir() and {0, 1} <= _classes_below(path, _DEEPEST)


def read_folder(root: Path, separator: str = "") -> Reading:
    """All images below a class folder; `separator` ends the patient's part of a file name, "" for none."""
    problems: list[Problem] = []
    drafts = []
    further: list[Path] = []
    for path in files_below(root):
        if path.suffix.lower() in _READ:
            draft = _draft(root, path, separator, problems)
            drafts += [draft] if draft is not None else []
        elif path.suffix.lower() in _UNREAD_IMAGES:
            problems.append(_unread(path.relative_to(root).as_posix(), path.suffix))
        else:
            further.append(path.relative_to(root))
    reading = Reading(
        layout=NAME,
        root=root,
        cases=tuple(drafts),
        problems=tuple(problems),
        notes=(_RULE, _patients_in_words(separator), *_said_of_further(further)),
        has_patients=bool(separator),
    )
    return finish(reading, scan(case.path for case in drafts), read_sidecars(root))


def _draft(root: Path, path: Path, separator: str, problems: list[Problem]) -> Case | None:
    case_id = path.relative_to(root).as_posix()
    folders = path.relative_to(root).parts[:-1]
    at = _class_folders(folders)
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


def _class_folders(folders: Iterable[str]) -> list[int]:
    """Which of the folders name a class."""
    return [number for number, name in enumerate(folders) if _words(name) in _CLASSES]


def _unread(case_id: str, suffix: str) -> Problem:
    return Problem(f"{case_id!r}: images of the form {suffix} are not read; convert it to PNG", case_id)


def _said_of_further(paths: Iterable[Path]) -> list[str]:
    """How many files of a class are no images by their name; a DICOM file without a suffix is one of them."""
    suffixes = Counter(path.suffix.lower() for path in paths if _class_folders(path.parts[:-1]))
    if not suffixes:
        return []
    listed = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in suffixes.most_common())
    return [f"{suffixes.total()} files below class folders are not read: {listed}"]


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
