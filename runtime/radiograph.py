"""A radiograph as the rest of Ulna sees it: one gray plane, bone bright, and the facts that came with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

PROJECTIONS = ("cr", "dx", "rg")
"""DICOM's modalities of plain radiographs, in lower case."""
PHOTOGRAPH = "photograph"
"""Format of a film that was found in a photograph (runtime.photograph)."""
MIN_BIT_DEPTH = 8
MAX_BIT_DEPTH = 16


class SpacingOrigin(StrEnum):
    """Where a spacing holds, which decides what a length measured by it is a length of."""

    CALIBRATED = "calibrated"
    """In the patient, by an object of known size in the picture."""
    CORRECTED = "corrected"
    """In the patient, by an estimate of how much larger the shadow is."""
    DETECTOR = "detector"
    """At the detector, where everything is larger than in the patient."""
    FILM = "film"
    """On a film that was scanned, larger likewise."""
    STATED = "stated"
    """The file does not say where."""


@dataclass(frozen=True)
class Spacing:
    """Distance of two neighbouring rows and of two columns in mm, and where it holds."""

    row_mm: float
    column_mm: float
    origin: SpacingOrigin


@dataclass(frozen=True)
class AcquisitionFacts:
    """What the file says about the exposure; None where it does not say.

    `body_part`, `view` and `laterality` are lower-case words ("hand", "frontal", "left").
    `window` is (center, width) in stored values. Nothing here names the patient (see FileSays).
    """

    modality: str | None = None
    body_part: str | None = None
    view: str | None = None
    laterality: str | None = None
    age_years: float | None = None
    sex: str | None = None
    window: tuple[float, float] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    """(row, column) spacing."""
    spacing_origin: str | None = None
    """A SpacingOrigin."""
    declared: bool = False
    """Whether the X-ray system says that this, its own image, is a projection radiograph: no JPEG can say so,
    and a secondary capture may hold anything."""


@dataclass(frozen=True)
class FileSays:
    """What a DICOM header says of whose picture it is and of what, "" where it does not say.

    study_sha256: digest of the study's UID with the patient's number, who gave that, name and date of birth,
    equal for all pictures of one study of one patient: consoles do give one UID to several. patient: her
    number.
    body_part: in words ("hand"). laterality: "left", "right", "both", or another word of the file's.
    """

    study_sha256: str = ""
    patient: str = ""
    body_part: str = ""
    laterality: str = ""


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One gray image, MONOCHROME2 sense (bone bright).

    pixels: (H, W) uint16, read-only, values in [0, 2**bit_depth).
    bit_depth: significant bits, 8 to 16.
    sha256: digest of the bytes it was read from.
    format: "jpeg", "png", "tiff", "bmp", "webp", "dicom" or "array"; PHOTOGRAPH for a film in a photograph.
    colour_spread: mean over pixels of max(R, G, B) - min(R, G, B), in 1/255; 0.0 for gray files.
    warnings: what the reader noticed and mended, in plain words.

    Raises ValueError for pixels of another shape or type.
    """

    pixels: NDArray[np.uint16]
    bit_depth: int
    sha256: str
    format: str = "array"
    colour_spread: float = 0.0
    facts: AcquisitionFacts = AcquisitionFacts()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.uint16 or 0 in self.pixels.shape:
            raise ValueError(
                f"pixels must be a non-empty (H, W) uint16 plane, got {self.pixels.shape} {self.pixels.dtype}"
            )
        if not MIN_BIT_DEPTH <= self.bit_depth <= MAX_BIT_DEPTH:
            raise ValueError(f"bit_depth must be 8 to 16, got {self.bit_depth}")
        self.pixels.flags.writeable = False

    def inverted(self) -> Radiograph:
        """The same picture with dark and bright exchanged."""
        top = np.uint16((1 << self.bit_depth) - 1)
        return replace(self, pixels=top - np.minimum(self.pixels, top))

    @property
    def height_px(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width_px(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])
