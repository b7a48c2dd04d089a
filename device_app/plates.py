"""What a screen knows of one picture: the answer, what lies of it on disk, and what it is beside another."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from device_app.answers import Answer, ScreenState, answer
from device_app.gray_values import ViewFacts
from device_app.store.files import ImageFiles
from device_app.store.records import ExaminationRecord, ImageRecord


@dataclass(frozen=True)
class Plate:
    """One picture of one examination.

    facts: None for a picture that was read before such facts were stored, and before it is read.
    has_map: only of a picture that has an answer. earlier: shown to be compared with a later one. hidden: its
    answer is not shown (device_app.own_first).
    """

    examination: ExaminationRecord
    image: ImageRecord
    answer: Answer
    has_picture: bool
    has_map: bool
    facts: ViewFacts | None
    earlier: bool = False
    hidden: bool = False

    @property
    def width_px(self) -> int:
        """Of the file's picture; 0 where that is not known."""
        return self.facts.width_px if self.facts else self.answer.width_px

    @property
    def height_px(self) -> int:
        """Of the file's picture; 0 where that is not known."""
        return self.facts.height_px if self.facts else self.answer.height_px

    @property
    def aspect(self) -> float:
        """A pixel's height as a multiple of its width."""
        return self.facts.aspect if self.facts else 1.0


def plates(examination: ExaminationRecord, files: ImageFiles, earlier: bool = False) -> list[Plate]:
    """One for each picture of an examination."""
    return [_plate(examination, image, files, earlier) for image in examination.images]


def _plate(examination: ExaminationRecord, image: ImageRecord, files: ImageFiles, earlier: bool) -> Plate:
    found, has_picture = answer(image), files.derived_path(image.sha256, "screen").is_file()
    answered = found.state not in (ScreenState.UNREADABLE, ScreenState.WORKING)
    return Plate(
        examination=examination,
        image=image,
        answer=found,
        has_picture=has_picture,
        has_map=has_picture and answered and files.derived_path(image.sha256, "heat").is_file(),
        facts=_facts(image, files),
        earlier=earlier,
    )


def _facts(image: ImageRecord, files: ImageFiles) -> ViewFacts | None:
    """A file that is missing or damaged costs the tools that need it, never the picture or the answer."""
    with contextlib.suppress(OSError, ValueError):
        return ViewFacts.from_json(files.derived_path(image.sha256, "facts").read_bytes())
    return None
