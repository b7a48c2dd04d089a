"""A folder of DICOM files and a table labels.csv that says which of them show a fracture.

The table names an image by `sop_instance_uid` (or SOPInstanceUID) or by `file` (path inside the folder), and
has `fractured`; `boxes` (fractions, as in table.py) may be there, every other column becomes a tag. What the
table names an image by is its id from then on: names of files may name patients. Patient, study, body part,
view, laterality, age and sex come from the files' headers, where they say it.

Patient and study are kept as digests (BLAKE2b, 16 hexadecimal digits) of what the header says. That hides
them from a reader of reports; it does not make the data anonymous: who knows a patient's number can compute
its digest. Where a header names no patient its study counts as one (see patients.py), where it names no study
either the file does.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from compress.datasets.base import Case
from compress.datasets.boxes import parse_json_boxes
from compress.datasets.cells import UNKNOWN_PART, parse_label, parsed
from compress.datasets.csv_files import Record, header_of, read_lines, read_records
from compress.datasets.image_files import files_below, scan
from compress.datasets.layout import Layout, without_rule
from compress.datasets.patients import stand_in
from compress.datasets.problems import Problem
from compress.datasets.reading import Reading, finish
from compress.datasets.sidecars import read_sidecars
from runtime import readers
from runtime.errors import InputError, StepError, UnreadableImageError
from runtime.radiograph import AcquisitionFacts
from runtime.readers.marks import is_dicom

NAME = "dicom_dir"
TABLE = "labels.csv"
_UID_COLUMNS = ("sop_instance_uid", "SOPInstanceUID")
_FILE_COLUMN = "file"
_OTHER_TABLE_COLUMN = "image_id"  # with it, it is the generic table, whatever the format of its images
_SUFFIXES = (".dcm", ".dicom")  # in a table none of whose files is there
_BEGINNING_BYTES = 132
_DEFLATED = "1.2.840.10008.1.2.1.99"  # inflates to anything; no X-ray system writes it
_PATIENT, _STUDY = b"ulna patient", b"ulna study"
_RULE = "label: the table's column fractured; patients and studies are digests of the headers' ids"


@dataclass(frozen=True)
class _Header:
    path: Path
    sop_instance_uid: str
    patient: str
    study: str
    facts: AcquisitionFacts


@dataclass(frozen=True)
class _Unchanged:
    """A header alone has no pixels whose values were mapped."""

    scale: float = 1.0
    offset: float = 0.0


def recognises(path: Path) -> bool:
    """Whether labels.csv names DICOM objects."""
    columns = header_of(path / TABLE)
    if "fractured" not in columns or _OTHER_TABLE_COLUMN in columns:
        return False
    return bool(set(columns) & set(_UID_COLUMNS)) or _names_dicom_files(path, columns)


def _names_dicom_files(root: Path, columns: list[str]) -> bool:
    """By its first row whose file is there; a table whose image_id was forgotten is still the generic one."""
    if _FILE_COLUMN not in columns:
        return False
    at = columns.index(_FILE_COLUMN)
    try:
        names = [cells[at] for _, cells in read_lines(root / TABLE)[1:] if len(cells) > at]
    except StepError:
        return False
    for name in names:
        try:
            return _begins_as_dicom(root / PurePosixPath(name))
        except (OSError, ValueError):  # not there, a folder, or no path
            continue
    return any(PurePosixPath(name).suffix.lower() in _SUFFIXES for name in names)


def _begins_as_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return is_dicom(stream.read(_BEGINNING_BYTES))


def read_dicom_dir(root: Path) -> Reading:
    """All labelled files.

    Raises StepError for a table that lacks a column, and where pydicom is not installed.
    """
    faults: list[str] = []
    columns = header_of(root / TABLE)
    uid_column = next((name for name in _UID_COLUMNS if name in columns), None)
    needed = ("fractured",) if uid_column is not None else ("fractured", _FILE_COLUMN)
    _, records = read_records(root / TABLE, needed, faults)
    problems = list(map(Problem, faults))
    headers = _Headers(root, uid_column, problems)
    drafts: list[Case] = []
    for line, record in records:
        own: list[str] = []
        header = headers.find(record, own)
        case_id = headers.id_of(header) if header else ""
        draft = _draft(case_id, header, record, own) if header else None
        problems += [Problem(f"{TABLE} line {line}: {text}", case_id) for text in own]
        drafts += [draft] if draft is not None else []
    units = stand_in(drafts)
    reading = Reading(
        layout=NAME,
        root=root,
        cases=units.cases,
        problems=(*problems, *units.problems),
        notes=(_RULE, *headers.notes(drafts), *_said_of_strangers(drafts)),
        has_patients=any(draft.patient_id for draft in drafts),
        by_study=units.by_study,
    )
    return finish(reading, scan(case.path for case in drafts), read_sidecars(root))


class _Headers:
    """The headers of all DICOM files of a folder, found by UID where the table has it, else by path."""

    def __init__(self, root: Path, uid_column: str | None, problems: list[Problem]) -> None:
        self._root = root
        self._uid_column = uid_column
        self._by_uid: dict[str, _Header] = {}
        self._by_path: dict[Path, _Header] = {}
        for path in files_below(root):
            try:
                header = read_header(path)
            except InputError as error:
                case_id = path.relative_to(root).as_posix()
                problems.append(Problem(f"{case_id!r}: {error}", case_id))
                continue
            if header is not None:
                self._add(header, problems)

    def _add(self, header: _Header, problems: list[Problem]) -> None:
        self._by_path[header.path] = header
        if not header.sop_instance_uid:
            return
        other = self._by_uid.setdefault(header.sop_instance_uid, header)
        if other is not header:
            names = [each.path.relative_to(self._root).as_posix() for each in (header, other)]
            text = f"{names[0]!r} and {names[1]!r} have one SOPInstanceUID"
            problems.append(Problem(text, self.id_of(header)))

    def id_of(self, header: _Header) -> str:
        if self._uid_column is not None and header.sop_instance_uid:
            return header.sop_instance_uid
        return header.path.relative_to(self._root).as_posix()

    def find(self, record: Record, faults: list[str]) -> _Header | None:
        uid = record.get(self._uid_column or "", "")
        if uid:
            found = self._by_uid.get(uid)
            what = f"SOPInstanceUID {uid!r}"
        else:
            name = record.get(_FILE_COLUMN, "")
            found = self._by_path.get(self._root / PurePosixPath(name))
            what = f"file {name!r}"
        if found is None:
            faults.append(f"{what} is no readable DICOM file of this folder")
        return found

    def notes(self, drafts: Iterable[Case]) -> list[str]:
        unlabelled = len(self._by_path) - len({case.path for case in drafts})
        return [f"{unlabelled} DICOM files have no usable row in {TABLE}"] if unlabelled else []


def read_header(path: Path) -> _Header | None:
    """What a DICOM file's header says, None for a file of another kind.

    Raises UnreadableImageError for a damaged or deflated file, StepError where pydicom is not installed.
    """
    try:
        if not _begins_as_dicom(path):
            return None
    except OSError as error:
        raise UnreadableImageError(f"the file cannot be opened: {error.strerror}") from error
    data = readers.load(path)
    try:
        from pydicom import dcmread
    except ImportError as error:
        raise StepError("DICOM files need pydicom", 'run pip install "ulna[dicom]"') from error
    from runtime.readers.dicom import file_meta
    from runtime.readers.dicom_facts import acquisition_facts, text

    syntax, _ = file_meta(data)
    if syntax == _DEFLATED:
        raise UnreadableImageError("a deflated DICOM file is not read", "export it uncompressed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of every value that is not as the standard has it
            dataset = dcmread(BytesIO(data), stop_before_pixels=True)
            facts = acquisition_facts(dataset, _Unchanged())
    except Exception as error:  # pydicom raises anything on damaged content
        raise UnreadableImageError(f"the DICOM header is damaged: {str(error)[:120]}") from error
    return _Header(
        path,
        text(dataset, "SOPInstanceUID"),
        _pseudonym(_PATIENT, text(dataset, "IssuerOfPatientID"), text(dataset, "PatientID")),
        _pseudonym(_STUDY, "", text(dataset, "StudyInstanceUID")),
        facts,
    )


def _pseudonym(kind: bytes, issuer: str, value: str) -> str:
    """16 hexadecimal digits, "" for an empty value."""
    if not value:
        return ""
    return hashlib.blake2b(f"{issuer}\0{value}".encode(), digest_size=8, person=kind).hexdigest()


def _draft(case_id: str, header: _Header, record: Record, faults: list[str]) -> Case | None:
    """The case; its patient_id is "" where the header names none."""
    label = parsed(parse_label, record["fractured"], faults)
    boxes = parse_json_boxes(record.get("boxes", ""), faults)
    if label is None:
        return None
    if boxes and not label:
        faults.append("not fractured, yet it has fracture boxes")
    facts = header.facts
    used = {*_UID_COLUMNS, _FILE_COLUMN, "fractured", "boxes"}
    tags = {name: value for name, value in record.items() if name not in used and name}
    if facts.laterality:
        tags["laterality"] = facts.laterality
    return Case(
        case_id=case_id,
        patient_id=header.patient,
        path=header.path,
        label=label,
        body_part=facts.body_part or UNKNOWN_PART,
        view=facts.view or "",
        boxes=boxes,
        tags=tags,
        study_id=header.study,
        age_years=facts.age_years,
        sex=facts.sex or "",
    )


def _said_of_strangers(drafts: Iterable[Case]) -> list[str]:
    count = sum(not draft.patient_id and not draft.study_id for draft in drafts)
    return [f"{count} files name neither patient nor study: each counts as a patient"] if count else []


LAYOUT = Layout(
    name=NAME,
    marker="labels.csv with fractured and sop_instance_uid (or file), without image_id, and DICOM files",
    recognises=recognises,
    read=without_rule(read_dicom_dir),
)
