"""NIH ChestX-ray14: frontal chest radiographs with fourteen findings taken from reports.

Source: Wang and others, ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, CVPR 2017.

Layout: Data_Entry_2017.csv (or its later edition Data_Entry_2017_v2020.csv), BBox_List_2017.csv,
train_val_list.txt and test_list.txt, and the images in images/ or images_001/images/ to images_012/images/.

**It knows no fractures.** The label is 1 where the report named the finding that the caller chose, else 0; by
default ("abnormal") where it named any of the fourteen. So a model trained on it finds no fractures: use it
for pre-training and for the statistics of what is not a limb. Boxes are those of the chosen finding (of all,
for "abnormal"), drawn on the published 1024 x 1024 images; most images have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compress.datasets.base import Case, FractionBox
from compress.datasets.boxes import clipped
from compress.datasets.cells import parse_age, parse_sex, parsed
from compress.datasets.csv_files import Record, read_lines, read_records
from compress.datasets.image_files import ImageFile, by_name, images_below, scan, without_row
from compress.datasets.layout import Layout
from compress.datasets.problems import Problem
from compress.datasets.reading import Reading, finish
from compress.datasets.sidecars import read_sidecars
from runtime.errors import StepError

NAME = "nih_cxr14"
ABNORMAL = "abnormal"
FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
_NORMAL = "No Finding"
_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
_BOXES = "BBox_List_2017.csv"
_BOX_NAMES = {"Infiltrate": "Infiltration"}  # the list of boxes has a word of its own
_LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
_NEEDED = ("Image Index", "Finding Labels", "Patient ID")
_SEX_COLUMNS = ("Patient Gender", "Patient Sex")


@dataclass(frozen=True)
class _Marked:
    """A box of BBox_List_2017.csv: finding, and (x, y, w, h) in pixels of the published image."""

    finding: str
    corners_px: tuple[float, float, float, float]


def recognises(path: Path) -> bool:
    """Whether the folder holds the table of findings."""
    return any((path / name).is_file() for name in _TABLES)


def read_nih_cxr14(root: Path, finding: str = "") -> Reading:
    """All images; `finding` is one of FINDINGS, or "abnormal" (also "").

    Raises StepError for another finding, and for a table that lacks a column.
    """
    chosen = _chosen(finding)
    faults: list[str] = []
    table = next(root / name for name in _TABLES if (root / name).is_file())
    _, records = read_records(table, _NEEDED, faults)
    problems = list(map(Problem, faults))
    path_of = by_name(images_below(root), root, problems, lambda path: path.name)
    marked = _read_boxes(root / _BOXES, problems)
    named = {record["Image Index"] for _, record in records}
    files = scan(path for name, path in path_of.items() if name in named)
    reader = _RecordReader(chosen, path_of, files, marked, _read_lists(root))
    drafts: list[Case] = []
    for line, record in records:
        draft, own = reader.read(record)
        case_id = Path(record["Image Index"]).stem
        problems += [Problem(f"{table.name} line {line}: {text}", case_id) for text in own]
        drafts += [draft] if draft is not None else []
    reading = Reading(
        layout=NAME,
        root=root,
        cases=tuple(drafts),
        problems=tuple(problems),
        notes=(*reader.notes(), *without_row(set(path_of) - named, table.name)),
        caution=_rule_in_words(chosen),
    )
    return finish(reading, files, read_sidecars(root))


class _RecordReader:
    """One row of the table of findings -> one case."""

    def __init__(
        self,
        chosen: str,
        path_of: Mapping[str, Path],
        files: Mapping[Path, ImageFile],
        marked: Mapping[str, list[_Marked]],
        split_of: Mapping[str, str],
    ) -> None:
        self._chosen = chosen
        self._path_of = path_of
        self._files = files
        self._marked = marked
        self._split_of = split_of
        self._impossible_ages = 0
        self._unnamed_boxes = 0

    def read(self, record: Record) -> tuple[Case | None, list[str]]:
        name = record["Image Index"]
        path = self._path_of.get(name)
        faults = [] if path is not None else [f"image {name!r} is missing"]
        findings = self._findings(record["Finding Labels"], faults)
        label = int(bool(findings) if self._chosen == ABNORMAL else self._chosen in findings)
        boxes = self._boxes(name, self._files[path], findings, faults) if path is not None else ()
        sex = parsed(parse_sex, next((record[each] for each in _SEX_COLUMNS if each in record), ""), faults)
        if not record["Patient ID"]:
            faults.append("Patient ID is empty")
        if faults or path is None:
            return None, faults
        return Case(
            case_id=path.stem,
            patient_id=record["Patient ID"],
            path=path,
            label=label,
            body_part="chest",
            view="frontal",
            boxes=boxes,
            tags=self._tags(record, findings),
            study_id=f"{record['Patient ID']}/{record.get('Follow-up #', '')}",
            age_years=self._age(record),
            sex=sex or "",
        ), []

    def notes(self) -> list[str]:
        notes = []
        if self._impossible_ages:
            notes.append(f"{self._impossible_ages} impossible ages count as unknown")
        if self._unnamed_boxes:
            notes.append(
                f"{self._unnamed_boxes} boxes mark a finding that the image's row does not name: unused"
            )
        return notes

    def _findings(self, text: str, faults: list[str]) -> tuple[str, ...]:
        words = tuple(word.strip() for word in text.split("|"))
        if words == (_NORMAL,):
            return ()
        unknown = ", ".join(repr(word) for word in words if word not in FINDINGS)
        if unknown:
            faults.append(f"finding {unknown} is none of {', '.join((_NORMAL, *FINDINGS))}")
        return words

    def _boxes(
        self, name: str, file: ImageFile, findings: tuple[str, ...], faults: list[str]
    ) -> tuple[FractionBox, ...]:
        boxes = []
        for mark in self._marked.get(name, ()):
            if mark.finding not in findings:
                self._unnamed_boxes += 1
            elif self._chosen in (ABNORMAL, mark.finding) and file.height_px:
                x, y, width, height = mark.corners_px
                try:
                    boxes.append(clipped((x, y, x + width, y + height), file.width_px, file.height_px))
                except ValueError as error:
                    faults.append(str(error))
        return tuple(boxes)

    def _age(self, record: Record) -> float | None:
        try:
            return parse_age(record.get("Patient Age", ""))
        except ValueError:  # the publication holds ages up to 414 years
            self._impossible_ages += 1
            return None

    def _tags(self, record: Record, findings: tuple[str, ...]) -> dict[str, str]:
        tags = {"findings": "|".join(findings), "position": record.get("View Position", "")}
        split = self._split_of.get(record["Image Index"])
        return tags if split is None else {**tags, "split": split}


def _chosen(finding: str) -> str:
    by_word = {word.lower(): word for word in (ABNORMAL, *FINDINGS)}
    try:
        return by_word[finding.lower() or ABNORMAL]
    except KeyError:
        raise StepError(
            f"{finding!r} is no finding of NIH ChestX-ray14", f"choose {ABNORMAL}, {', '.join(FINDINGS)}"
        ) from None


def _rule_in_words(chosen: str) -> str:
    what = "any finding" if chosen == ABNORMAL else chosen
    return f"label: 1 where the report named {what}; this dataset knows no fractures"


def _read_boxes(path: Path, problems: list[Problem]) -> dict[str, list[_Marked]]:
    """By image name. The header's last column, "Bbox [x,y,w,h]", is not quoted, so lines are read bare."""
    marked: dict[str, list[_Marked]] = {}
    if not path.is_file():
        return marked
    for line, cells in read_lines(path)[1:]:
        try:
            x, y, width, height = (float(cell) for cell in cells[2:6])
        except ValueError:
            problems.append(Problem(f"{path.name} line {line}: expected an image, a finding and x, y, w, h"))
            continue
        finding = _BOX_NAMES.get(cells[1], cells[1])
        marked.setdefault(cells[0], []).append(_Marked(finding, (x, y, width, height)))
    return marked


def _read_lists(root: Path) -> dict[str, str]:
    """The publisher's division by image name."""
    return {
        cells[0]: split
        for name, split in _LISTS.items()
        if (root / name).is_file()
        for _, cells in read_lines(root / name)
    }


LAYOUT = Layout(
    name=NAME,
    marker="Data_Entry_2017.csv (NIH ChestX-ray14)",
    recognises=recognises,
    read=read_nih_cxr14,
    rule=f"the finding that the label stands for, one of {ABNORMAL}, {', '.join(FINDINGS)}",
)
