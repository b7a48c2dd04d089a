"""What reading a dataset gave: cases, and a list of everything that is wrong or worth knowing.

A source reads its own tables into drafts; `finish` does what is the same for all of them (`apply_sidecars`
for a table, whose files nobody vouches for). Whoever wants to
work with the data calls `Reading.dataset`, which refuses faulty data; `ulna data inspect` shows the faults.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compress.datasets.base import Case
from compress.datasets.digests import digest_cases, shared_images
from compress.datasets.image_files import ImageFile
from compress.datasets.patients import said_of_unnamed
from compress.datasets.problems import Problem, refuse
from compress.datasets.sidecars import EXCLUDED, GROUPS, NOTHING_NAMED, Named, Sidecars
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
    that took a patient's place, by the patient's own id. by_study: ids of images whose patient nobody names
    and whose study counts as one. source: the table itself, where that is all there is to the layout.
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
    by_study: frozenset[str] = frozenset()
    source: Path | None = None

    @property
    def unnamed_patients(self) -> str:
        """Why images of one person can end up in two sets, "" where every image has its patient."""
        by_study = sum(case.case_id in self.by_study for case in self.cases)
        return said_of_unnamed(self.has_patients, by_study, len(self.cases))

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.root.resolve().name

    def dataset(self) -> FileDataset:
        """The dataset. Raises StepError and warns as `check` does."""
        self.check()
        return FileDataset(self)

    def check(self) -> None:
        """Raise StepError that lists all problems, and for a dataset without a case.

        Warns (UserWarning) where nothing names the patients of images, since splits then go by study or by
        image, and when the labels are no fractures.
        """
        where = self.source or self.root
        refuse(f"{where}", self.problems, _HINT)
        if not self.cases:
            refuse(f"{where}", ["it holds no labelled image"], "check the folder")
        if self.caution:
            warnings.warn(f"{where}: {self.caution}", stacklevel=3)
        if self.unnamed_patients:
            warnings.warn(f"{where} {self.unnamed_patients}", stacklevel=3)


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
    reading = apply_sidecars(reading, sidecars)
    sound = tuple(case for case in reading.cases if not files[case.path].fault)
    unreadable = {case.case_id: files[case.path].fault for case in reading.cases if files[case.path].fault}
    digests = {case.case_id: files[case.path].sha256 for case in sound}
    return dataclasses.replace(
        reading,
        cases=sound,
        image_digests=digests,
        problems=(
            *reading.problems,
            *(Problem(f"{case_id!r}: {fault}", case_id) for case_id, fault in unreadable.items()),
            *shared_images(sound, digests),
        ),
        notes=(*reading.notes, *_said_of_turned(reading.cases, files)),
        unreadable=unreadable,
    )


def apply_sidecars(reading: Reading, sidecars: Sidecars) -> Reading:
    """Leave out what excluded.csv names, with its problems, and put groups in the place of patients.

    Of two images with one id the first is kept, and that is a problem.
    """
    kept = [case for case in reading.cases if sidecars.reasons.get(case.case_id) is None]
    groups, mixed = _groups(kept, sidecars.groups or NOTHING_NAMED)
    ungrouped = frozenset(case.case_id for case in kept if case.patient_id not in groups)
    cases = [dataclasses.replace(c, patient_id=groups.get(c.patient_id, c.patient_id)) for c in kept]
    known = {case.case_id for case in reading.cases}
    known |= {problem.case_id for problem in reading.problems if problem.case_id}
    return dataclasses.replace(
        reading,
        cases=_first_of_each_id(cases),
        problems=(
            *(p for p in reading.problems if sidecars.reasons.get(p.case_id) is None),
            *sidecars.problems,
            *mixed,
            *repeated(cases),
        ),
        notes=(*filter(None, [reading.caution]), *reading.notes, *_said_of_sidecars(sidecars, known)),
        has_patients=reading.has_patients or sidecars.groups is not None,
        patient_groups=groups,
        by_study=reading.by_study & ungrouped,
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


def _first_of_each_id(cases: Sequence[Case]) -> tuple[Case, ...]:
    """A digest, a fingerprint and a label belong to an id, so only one image can have it."""
    first: dict[str, Case] = {}
    for case in cases:
        first.setdefault(case.case_id, case)
    return tuple(first.values())


def _groups(cases: list[Case], group_of: Named) -> tuple[dict[str, str], list[Problem]]:
    """The group of each patient who has one, and patients who stand in two groups.

    A group holds all images of its patients, also those that the table does not name: else it would split
    the patient whom it is there to keep whole.
    """
    groups: dict[str, str] = {}
    problems = []
    for case in cases:
        group = group_of.get(case.case_id)
        if group is not None and groups.setdefault(case.patient_id, group) != group:
            text = (
                f"{GROUPS}: patient {case.patient_id!r} stands in {groups[case.patient_id]!r} and {group!r}"
            )
            problems.append(Problem(text))
    return groups, problems


def _said_of_sidecars(sidecars: Sidecars, known: set[str]) -> list[str]:
    notes = []
    said = filter(None, (sidecars.reasons.get(case_id) for case_id in sorted(known)))
    reasons = Counter(reason.partition(":")[0] for reason in said)
    if reasons:
        listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(_REASONS_SHOWN))
        more = ", ..." if len(reasons) > _REASONS_SHOWN else ""
        notes.append(f"{EXCLUDED} leaves out {sum(reasons.values())} images: {listed}{more}")
    for name, named in ((EXCLUDED, sidecars.reasons), (GROUPS, sidecars.groups or NOTHING_NAMED)):
        strangers = sorted(set(named.values) - {named.name_for(case_id) for case_id in known})
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
