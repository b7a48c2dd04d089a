"""What Ulna says about one radiograph. A value that contradicts itself cannot be made."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.metadata import FactsUsed

if TYPE_CHECKING:
    from runtime.picture_quality import PictureQuality

SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """The four answers. UNREADABLE is never a kind of NONE."""

    FRACTURE = "fracture"
    DOUBT = "doubt"
    NONE = "none"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class OperatingPoints:
    """Two locked thresholds on the fracture probability.

    At or above `high_specificity`: fracture. At or above `high_sensitivity`: doubt. Below: none.

    Raises ValueError unless 0 < high_sensitivity <= high_specificity < 1.
    """

    high_sensitivity: float
    high_specificity: float

    def __post_init__(self) -> None:
        if not 0.0 < self.high_sensitivity <= self.high_specificity < 1.0:
            raise ValueError(
                "operating points must satisfy 0 < high_sensitivity <= high_specificity < 1, "
                f"got {self.high_sensitivity}, {self.high_specificity}"
            )

    @property
    def digest(self) -> str:
        """SHA-256 in hex over both as JSON with sorted keys: equal for answers that were decided alike."""
        return hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()

    def decide(self, probability: float) -> Verdict:
        """The verdict for a finite probability. Raises ValueError for anything else."""
        if not (math.isfinite(probability) and 0.0 <= probability <= 1.0):
            raise ValueError(f"probability must be within 0 to 1, got {probability}")
        if probability >= self.high_specificity:
            return Verdict.FRACTURE
        return Verdict.DOUBT if probability >= self.high_sensitivity else Verdict.NONE


@dataclass(frozen=True)
class GivenPoints:
    """Thresholds that a site decides by. instead_of: the only ones that they stand in for: an engine that
    would decide by others has scores on another scale, on which these mean something else.
    """

    points: OperatingPoints
    instead_of: OperatingPoints


@dataclass(frozen=True)
class Box:
    """A suspected place in source pixels, (x0, y0) inside, (x1, y1) outside; score within 0 to 1.

    Raises ValueError for an empty box or a value that is not finite.
    """

    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float
    score: float

    def __post_init__(self) -> None:
        edges = (self.x0_px, self.y0_px, self.x1_px, self.y1_px)
        if not all(map(math.isfinite, edges)) or self.x1_px <= self.x0_px or self.y1_px <= self.y0_px:
            raise ValueError(f"a box needs x0 < x1 and y0 < y1, got {edges}")
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"a box's score must be within 0 to 1, got {self.score}")


class RefusalCode(StrEnum):
    """Why an image was not read. Screens translate these; they never show the enum's name."""

    DAMAGED = "damaged"
    UNSUPPORTED = "unsupported"
    NOT_A_RADIOGRAPH = "not_a_radiograph"
    TOO_SMALL = "too_small"
    NO_CONTRAST = "no_contrast"
    BODY_PART = "body_part"
    AGE = "age"
    VIEW = "view"
    UNFAMILIAR = "unfamiliar"
    FILM_NOT_FOUND = "film_not_found"
    FILM_SEVERAL = "film_several"
    FILM_OBLIQUE = "film_oblique"
    FILM_SMALL = "film_small"
    FILM_BLURRED = "film_blurred"
    FILM_GLARE = "film_glare"
    FILM_LIGHT = "film_light"
    ENGINE = "engine"


PHOTOGRAPH_CODES = frozenset(code for code in RefusalCode if code.startswith("film_"))
"""Of photographs in which no film could be read: no radiograph has been looked at."""


@dataclass(frozen=True)
class Refusal:
    """A reason that a nurse can act on: `message` says what is wrong, `advice` what to do."""

    code: RefusalCode
    message: str
    advice: str


@dataclass(frozen=True)
class Subject:
    """What the picture shows. body_part, view, laterality: as file or person say, "" where they do not.

    resembles: the body part whose radiographs the network's features lie nearest to, and distance how far
    from them, in units of what nearly all radiographs stay below; "" and None for a model without statistics.
    """

    body_part: str = ""
    view: str = ""
    laterality: str = ""
    resembles: str = ""
    distance: float | None = None


@dataclass(frozen=True)
class Provenance:
    """What produced the answer; digests are SHA-256 in hex. thresholds_sha256: OperatingPoints.digest."""

    image_sha256: str
    bundle_sha256: str
    bundle_name: str
    bundle_version: str
    engine: str = ""
    precision: str = ""
    device: str = ""
    model_sha256: str = ""
    thresholds_sha256: str = ""


@dataclass(frozen=True, eq=False)
class Findings:
    """The answer for one radiograph.

    probability: of a fracture, None when unreadable.
    boxes: suspected places in source pixels; none for verdict NONE.
    evidence: (H, W) float32 in 0 to 1 over the whole source image (a reduced grid), None when unreadable.
    refusal: set exactly when the verdict is UNREADABLE.
    warnings: plain sentences on image quality or provenance that do not prevent an answer.
    timings_ms: milliseconds per stage.
    subject, quality: what the picture shows and how well it was taken; None where that was not found out.
    metadata: facts of the patient that the answer rests on beside the picture, and what was not used of those
    that a person stated; None for a model that looks at the picture alone, unless a person stated some.

    Raises ValueError where these contradict each other.
    """

    verdict: Verdict
    provenance: Provenance
    width_px: int = 0
    height_px: int = 0
    probability: float | None = None
    operating_points: OperatingPoints | None = None
    boxes: tuple[Box, ...] = ()
    evidence: NDArray[np.float32] | None = None
    refusal: Refusal | None = None
    warnings: tuple[str, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    metadata: FactsUsed | None = None
    subject: Subject | None = None
    quality: PictureQuality | None = None

    def __post_init__(self) -> None:
        if self.verdict is Verdict.UNREADABLE:
            self._require(self.refusal is not None, "an unreadable image needs a reason")
            self._require(self.probability is None and not self.boxes, "an unreadable image has no result")
            return
        self._require(self.refusal is None, "an answer carries no refusal")
        self._require(
            self.probability is not None and self.operating_points is not None,
            "an answer needs a probability and operating points",
        )
        assert self.probability is not None and self.operating_points is not None
        expected = self.operating_points.decide(self.probability)
        self._require(expected is self.verdict, f"probability says {expected}, verdict says {self.verdict}")
        self._require(not (self.verdict is Verdict.NONE and self.boxes), "verdict none shows no boxes")

    @staticmethod
    def _require(condition: bool, message: str) -> None:
        if not condition:
            raise ValueError(message)

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict (schemas/findings-1.json), without the evidence map."""
        points = self.operating_points
        return {
            "schema": SCHEMA_VERSION,
            "verdict": str(self.verdict),
            "probability": self.probability,
            "operating_points": None
            if points is None
            else {"high_sensitivity": points.high_sensitivity, "high_specificity": points.high_specificity},
            "boxes": [
                {"x0_px": b.x0_px, "y0_px": b.y0_px, "x1_px": b.x1_px, "y1_px": b.y1_px, "score": b.score}
                for b in self.boxes
            ],
            "width_px": self.width_px,
            "height_px": self.height_px,
            "refusal": None
            if self.refusal is None
            else {
                "code": str(self.refusal.code),
                "message": self.refusal.message,
                "advice": self.refusal.advice,
            },
            "warnings": list(self.warnings),
            "subject": None if self.subject is None else vars(self.subject).copy(),
            "quality": None if self.quality is None else self.quality.to_json(),
            **({} if self.metadata is None else {"metadata": self.metadata.to_json()}),
            "provenance": vars(self.provenance).copy(),
            "timings_ms": self.timings_ms,
            "notice": "AI result, not a diagnosis",
        }
