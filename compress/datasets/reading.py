"""What reading a dataset gave: cases, and a list of everything that is wrong or worth knowing.

A source reads its own tables into drafts; `finish` does what is the same for all of them. Whoever wants to
work with the data calls `Reading.dataset`, which refuses faulty data; `ulna data inspect` shows the faults.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compress.datasets.base import Case
from compress.datasets.digests import digest_cases, shared_images
from compress.datasets.image_files import ImageFile
from compress.datasets.problems import Problem, refuse
from compress.datasets.sidecars import EXCLUDED, GROUPS, Sidecars, key_of
from runtime import readers
from runtime.errors import UnreadableImageError
from runtime.radiograph import Radiograph

_HINT = (
    f"mend them, or leave those images out by a table {EXCLUDED} (image_id, reason) beside the data; "
    "`ulna data inspect` lists all"
)
_REASONS_SHOWN = 5


@dataclass(frozen=True)
class Reading:
    """cases: those that can be used. image_digests: SHA-256 of their files by case id.

    problems: what must be mended or left out first. notes: what was decided on the way (the label's meaning,
    where boxes come from, what was left out). has_patients: whether anything says whose image it is.
    unreadable: why a file cannot be read, by the id of its image; these are among the problems too.
    caution: what label 1 means where it is not simply a fracture, "" where it is. patient_groups: the group
    that took a patient's place, by the patient's own id.
    """

    layout: str
    root: Path
    cases: tuple[Case, ...]
    image_digests: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    has_patients: bool = True
    unreadable: Mapping[str, str] = field(default_factory=dict)
    caution: str = ""
    patient_groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.root.resolve().name

    def dataset(self) -> FileDataset:
        """The dataset. Raises StepError that lists all problems, and for a dataset without a case.

        Warns (UserWarning) when nothing names the patients, since splits then go by image, and when the
        labels are no fractures.
        """
        refuse(f"{self.root}", self.problems, _HINT)
        if not self.cases:
            refuse(f"{self.root}", ["it holds no labelled image"], "check the folder")
        if self.caution:
            warnings.warn(f"{self.root}: {self.caution}", stacklevel=2)
        if not self.has_patients:
            warnings.warn(
                f"{self.root} names no patients: every image counts as a patient, so images of one person "
                f"can end up in both training and test sets; a table {GROUPS} (image_id, group) would say",
                stacklevel=2,
            )
        return FileDataset(self)


class FileDataset:
    """Cases that lie as image files on this machine: what every source gives. `notes` as in `Reading`."""

    def __init__(self, reading: Reading) -> None:
        self.name = reading.name
        self.image_digests = reading.image_digests
        self.digest = digest_cases(reading.cases, reading.image_digests)
        self.has_patients = reading.has_patients
        self.patient_groups = reading.patient_groups
        self.notes = reading.notes
        self._cases = reading.cases

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases, in the source's order."""
        return self._cases

    def load(self, case: Case) -> Radiograph:
        """Read one image. Raises InputError, also when the file changed after the dataset was opened."""
        radiograph = readers.read_file(case.path)
        if radiograph.sha256 != self.image_digests[case.case_id]:
            raise UnreadableImageError(
                f"{case.path.name} changed while the dataset was in use",
                "let nothing write there, then run again",
            )
        return radiograph


def finish(reading: Reading, files: Mapping[Path, ImageFile], sidecars: Sidecars) -> Reading:
    """Apply the sidecar tables, check the files, and look for one image under two names.

    `reading` holds the source's drafts; its image_digests are not looked at. `files` holds the facts of every
    draft's file.
    """
    kept = [case for case in reading.cases if key_of(case.case_id) not in sidecars.reason_of]
    groups, mixed = _groups(kept, sidecars.group_of or {})
    kept = [
        dataclasses.replace(case, patient_id=groups.get(case.patient_id, case.patient_id)) for case in kept
    ]
    sound = [case for case in kept if not files[case.path].fault]
    unreadable = {case.case_id: files[case.path].fault for case in kept if files[case.path].fault}
    problems = [p for p in reading.problems if key_of(p.case_id) not in sidecars.reason_of]
    problems += [*sidecars.problems, *mixed]
    problems += repeated(kept)
    problems += [Problem(f"{case_id!r}: {fault}", case_id) for case_id, fault in unreadable.items()]
    digests = {case.case_id: files[case.path].sha256 for case in sound}
    problems += shared_images(sound, digests)
    known = {key_of(case.case_id) for case in reading.cases}
    known |= {key_of(p.case_id) for p in reading.problems if p.case_id}
    return dataclasses.replace(
        reading,
        cases=tuple(sound),
        image_digests=digests,
        problems=tuple(problems),
        notes=(
            *filter(None, [reading.caution]),
            *reading.notes,
            *_said_of_sidecars(sidecars, known),
            *_said_of_turned(kept, files),
        ),
        has_patients=reading.has_patients or sidecars.group_of is not None,
        unreadable=unreadable,
        patient_groups=groups,
    )


def repeated(cases: Iterable[Case]) -> list[Problem]:
    """Ids and files that are named twice."""
    ids: set[str] = set()
    paths: set[Path] = set()
    problems = []
    for case in cases:
        if case.case_id in ids:
            problems.append(Problem(f"image_id {case.case_id!r} is used twice"))
        if case.path in paths:
            problems.append(Problem(f"file {case.path.name!r} is named twice"))
        ids.add(case.case_id)
        paths.add(case.path)
    return problems


def _groups(cases: list[Case], group_of: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """The group of each patient who has one, and patients who stand in two groups.

    A group holds all images of its patients, also those that the table does not name: else it would split
    the patient whom it is there to keep whole.
    """
    groups: dict[str, str] = {}
    problems = []
    for case in cases:
        group = group_of.get(key_of(case.case_id))
        if group is not None and groups.setdefault(case.patient_id, group) != group:
            text = (
                f"{GROUPS}: patient {case.patient_id!r} stands in {groups[case.patient_id]!r} and {group!r}"
            )
            problems.append(Problem(text))
    return groups, problems


def _said_of_sidecars(sidecars: Sidecars, known: set[str]) -> list[str]:
    notes = []
    reasons = Counter(
        reason.partition(":")[0] for case_id, reason in sidecars.reason_of.items() if case_id in known
    )
    if reasons:
        listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(_REASONS_SHOWN))
        more = ", ..." if len(reasons) > _REASONS_SHOWN else ""
        notes.append(f"{EXCLUDED} leaves out {sum(reasons.values())} images: {listed}{more}")
    for name, named in ((EXCLUDED, sidecars.reason_of), (GROUPS, sidecars.group_of or {})):
        strangers = sorted(set(named) - known)
        if strangers:
            notes.append(
                f"{name} names {len(strangers)} images that are not here, for example {strangers[0]!r}"
            )
    return notes


def _said_of_turned(cases: Iterable[Case], files: Mapping[Path, ImageFile]) -> list[str]:
    turned = [case.case_id for case in cases if files[case.path].orientation != 1]
    if not turned:
        return []
    return [f"{len(turned)} images carry an EXIF orientation and are turned upright: {', '.join(turned)}"]
