"""What stands on the sheet, in the words of whoever reads it. Made by device_app.report.content."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.findings import Box


@dataclass(frozen=True)
class Picture:
    """A picture and the places on it, in pixels as wide as the source's and as high as they are wide.

    dotted: the places are doubtful ones. struck: it was not read, and is crossed out.
    """

    address: str
    width_px: float
    height_px: float
    boxes: tuple[Box, ...] = ()
    dotted: bool = False
    struck: bool = False

    @property
    def stroke_px(self) -> float:
        """How thick a line is, so that it shows whatever the picture's size."""
        return max(self.width_px, self.height_px) / 110


@dataclass(frozen=True)
class View:
    """One picture of the examination. number: from 1, in the order in which they came.

    sign: of _report_icon. about: body part and view, "" for not known. picture: None where there is none,
    and `instead` says why.
    """

    number: int
    sign: str
    headline: str
    about: str = ""
    remarks: tuple[str, ...] = ()
    picture: Picture | None = None
    instead: str = ""


@dataclass(frozen=True)
class Spoken:
    """What a person said. final: what it was in the end."""

    what: str
    who: str
    note: str = ""
    final: bool = False


@dataclass(frozen=True)
class Row:
    """A name and a value of the small print or of the head."""

    name: str
    value: str


@dataclass(frozen=True)
class Fit:
    """How much room things get on paper.

    text_pt: size of the letters. picture_mm: height of the pictures. note_chars: of one remark of a person,
    warning_chars: of one warning. readings, warnings: how many at most, the outcome not counted. lines: to
    write notes on.
    """

    text_pt: float
    picture_mm: int
    note_chars: int = 300
    readings: int = 1000
    warnings: int = 1000
    warning_chars: int = 1000
    lines: int = 2


@dataclass(frozen=True)
class Sheet:
    """All of it. state: a ScreenState; meaning: sentences below the headline; stored: that the box cannot
    answer now, "" where it can; more: answers of views without room for their pictures; left_out: what is
    not on the paper.
    """

    title: str
    clinic: str
    patient: str
    facts: tuple[Row, ...]
    state: str
    sign: str
    headline: str
    meaning: tuple[str, ...]
    stored: str
    steps: tuple[str, ...]
    sure: tuple[str, ...]
    views: tuple[View, ...]
    more: tuple[str, ...]
    warnings: tuple[str, ...]
    said: tuple[Spoken, ...]
    technical: tuple[Row, ...]
    printed: str
    left_out: tuple[str, ...] = ()
    fit: Fit = Fit(11, 130)

    @property
    def has_solid(self) -> bool:
        """Whether a suspected place is drawn."""
        return any(view.picture and view.picture.boxes and not view.picture.dotted for view in self.views)

    @property
    def has_dotted(self) -> bool:
        """Whether a doubtful place is drawn."""
        return any(view.picture and view.picture.boxes and view.picture.dotted for view in self.views)
