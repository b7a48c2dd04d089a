"""What a DICOM data set says, as plain values: about the exposure, which never tells who the patient is, and,
where only that is asked for, of whose study it is.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Protocol

from runtime.metadata import parse_age
from runtime.radiograph import AcquisitionFacts, FileSays
from runtime.readers.dicom_spacing import spacing
from runtime.words import as_words, view_word

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

BURNED_IN = "The image has writing burned into it; it may name the patient."
"""The notice of a file that declares so itself."""
_INFANT_UNITS = ("D", "W", "M")
_MAX_TEXT_CHARS = 128
_SIDES = {"r": "right", "l": "left", "b": "both"}
_SEXES = {"m": "male", "f": "female", "o": "other"}
_SQUARE_WITHIN = 0.02
_WHOSE = ("PatientID", "IssuerOfPatientID", "PatientBirthDate")
"""With the name: consoles give one study to several patients, and UNKNOWN as the number of each."""


class Mapping(Protocol):
    """How stored values became pixels: scale * v + offset."""

    @property
    def scale(self) -> float:
        """1 or -1."""
        ...

    @property
    def offset(self) -> float:
        """Added after scaling."""
        ...


def acquisition_facts(dataset: Dataset, mapping: Mapping) -> AcquisitionFacts:
    """Facts in Ulna's words. The window is expressed in the values of the pixels that were made."""
    view, found = words(dataset, "ViewPosition"), spacing(dataset)
    return AcquisitionFacts(
        modality=text(dataset, "Modality").lower() or None,
        body_part=_body_part(dataset),
        view=view_word(view) if view else None,
        laterality=_SIDES.get(_side(dataset)),
        age_years=_age_years(text(dataset, "PatientAge")),
        sex=_SEXES.get(words(dataset, "PatientSex") or ""),
        window=_window(dataset, mapping),
        pixel_spacing_mm=(found.row_mm, found.column_mm) if found else None,
        spacing_origin=str(found.origin) if found else None,
    )


def file_says(dataset: Dataset) -> FileSays:
    """Whose picture this is and of what; of that, a side that is no word of the standard stays as it is."""
    side = _side(dataset)
    return FileSays(
        study_sha256=_study_sha256(dataset),
        patient=text(dataset, "PatientID"),
        body_part=_body_part(dataset) or text(dataset, "BodyPartExamined"),
        laterality=_SIDES.get(side, side),
    )


def _study_sha256(dataset: Dataset) -> str:
    uid, *whose = (text(dataset, name) for name in ("StudyInstanceUID", *_WHOSE))
    said = (uid, " ".join(text(dataset, "PatientName").casefold().replace("^", " ").split()), *whose)
    return hashlib.sha256("\0".join(said).encode()).hexdigest() if uid else ""


def _body_part(dataset: Dataset) -> str | None:
    return words(dataset, "BodyPartExamined") or _anatomic_region(dataset)


def _side(dataset: Dataset) -> str:
    return words(dataset, "ImageLaterality") or words(dataset, "Laterality") or ""


def notices(dataset: Dataset) -> tuple[str, ...]:
    """Plain sentences about what the file declares and a reader of the result should know."""
    found = []
    if text(dataset, "BurnedInAnnotation").upper() == "YES":
        found.append(BURNED_IN)
    apart = spacing(dataset)
    if apart is not None and abs(apart.row_mm / apart.column_mm - 1) > _SQUARE_WITHIN:
        found.append(f"Pixels are not square: {apart.row_mm:g} x {apart.column_mm:g} mm.")
    return tuple(found)


def text(dataset: Dataset, keyword: str) -> str:
    """The first value of an element as one short printable line, "" where it is missing or malformed."""
    try:
        value = dataset.get(keyword)
        if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue":
            value = value[0] if value else None
        return "" if value is None else _one_line(str(value))
    except Exception:  # pydicom converts on access and raises anything on malformed values
        return ""


def _one_line(value: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in value)
    return printable[:_MAX_TEXT_CHARS].strip()


def number(dataset: Dataset, keyword: str, default: float) -> float:
    """The first value of an element as a finite float, `default` where there is none."""
    try:
        value = float(text(dataset, keyword))
    except ValueError:
        return default
    return value if math.isfinite(value) else default


def integer(dataset: Dataset, keyword: str, default: int) -> int:
    """The first value of an element as an int, `default` where there is none."""
    return int(number(dataset, keyword, default))


def words(dataset: Dataset, keyword: str) -> str | None:
    """The element as lower-case words ("lower leg"), None where it says nothing."""
    return as_words(text(dataset, keyword))


def _anatomic_region(dataset: Dataset) -> str | None:
    try:
        return as_words(str(dataset.AnatomicRegionSequence[0].CodeMeaning))
    except Exception:  # absent, empty or malformed: it says nothing
        return None


def _age_years(value: str) -> float | None:
    """Zero years is what many consoles write for an age that nobody entered; infants have months or days."""
    try:
        years = parse_age(value)
    except ValueError:
        return None
    return None if years == 0 and not value.upper().endswith(_INFANT_UNITS) else years


def _window(dataset: Dataset, mapping: Mapping) -> tuple[float, float] | None:
    center = number(dataset, "WindowCenter", math.nan)
    width = number(dataset, "WindowWidth", math.nan)
    if math.isnan(center) or not width > 0:
        return None
    slope, intercept = number(dataset, "RescaleSlope", 1.0), number(dataset, "RescaleIntercept", 0.0)
    if slope == 0 or "ModalityLUTSequence" in dataset:
        slope, intercept = 1.0, 0.0
    window = mapping.scale * (center - intercept) / slope + mapping.offset, width / abs(slope)
    return window if all(map(math.isfinite, window)) else None
