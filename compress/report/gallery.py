"""The worst misses and false alarms as pictures: the radiograph, and what the network saw in it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from compress.answers import facts_for
from compress.datasets.base import Case, Dataset, FractionBox
from compress.evaluate import EvaluationResult
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle
from runtime.detector import Detector, from_bundle
from runtime.errors import InputError
from runtime.findings import Findings, OperatingPoints, Verdict
from runtime.lettering import Canvas
from runtime.overlay import OverlayOptions, draw_picture
from runtime.readers import read_file

SHOWN = 12
"""Of either kind."""
LONG_SIDE_PX = 480
"""Of every picture in a page."""
_JPEG_QUALITY = 82


class Sized(Protocol):
    """Pictures of one size."""

    @property
    def width_px(self) -> int: ...  # noqa: D102

    @property
    def height_px(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Pictures:
    """Two JPEG images of one size, as base64: the radiograph, and with evidence and places on it."""

    plain: str
    evidence: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class ErrorCase:
    """One image on the wrong side of a threshold.

    truth: boxes as fractions of the image. pictures: None where the file could no longer be read.
    """

    case_id: str
    patient_id: str
    body_part: str
    view: str
    label: int
    probability: float
    verdict: Verdict
    truth: tuple[FractionBox, ...]
    pictures: Pictures | None = None


@dataclass(frozen=True)
class Gallery:
    """Worst first. In all: how many images of either kind there are."""

    misses: tuple[ErrorCase, ...]
    false_alarms: tuple[ErrorCase, ...]
    misses_in_all: int
    false_alarms_in_all: int


def worst_errors(
    result: EvaluationResult, bundle: Bundle, dataset: Dataset, options: BackendOptions
) -> Gallery:
    """Read the worst images once more, with the engine that the figures are of.

    A miss is a fractured image not called fracture, the lowest score first; a false alarm a healthy one not
    called none, the highest first.
    """
    misses, alarms = _ranked(result, 1), _ranked(result, 0)
    cases = {case.case_id: case for case in dataset.cases}
    with from_bundle(bundle, result.bundle["engine"], options) as detector:
        shown = [
            tuple(
                _error_case(detector, cases[name], score, result.operating_points)
                for name, score in ranked[:SHOWN]
            )
            for ranked in (misses, alarms)
        ]
    return Gallery(shown[0], shown[1], len(misses), len(alarms))


def _ranked(result: EvaluationResult, label: int) -> list[tuple[str, float]]:
    """Ids and probabilities of the wrong answers, worst first."""
    seen, points = result.predictions, result.operating_points
    if seen is None:
        return []
    chance = seen.probabilities
    wrong = chance < points.high_specificity if label else chance >= points.high_sensitivity
    found = np.flatnonzero((seen.labels == label) & wrong)
    order = found[np.argsort(chance[found] if label else -chance[found], kind="stable")]
    return [(str(seen.case_ids[index]), float(chance[index])) for index in order]


def _error_case(detector: Detector, case: Case, chance: float, points: OperatingPoints) -> ErrorCase:
    return ErrorCase(
        case.case_id,
        case.patient_id,
        case.body_part,
        case.view,
        case.label,
        chance,
        points.decide(chance),
        case.boxes,
        _pictures(detector, case),
    )


def _pictures(detector: Detector, case: Case) -> Pictures | None:
    try:
        radiograph = read_file(case.path)
    except InputError:
        return None
    findings = detector.detect(radiograph, facts_for(detector, case))
    if findings.verdict is Verdict.UNREADABLE:
        return None
    plain = draw_picture(radiograph, _silent(findings), OverlayOptions(long_side_px=LONG_SIDE_PX))
    evidence = draw_picture(radiograph, findings, OverlayOptions(heat=True, long_side_px=LONG_SIDE_PX))
    height, width = plain.shape[:2]
    return Pictures(jpeg(plain), jpeg(evidence), width, height)


def _silent(findings: Findings) -> Findings:
    """The same answer without its places."""
    return replace(findings, boxes=(), evidence=None)


def jpeg(picture: Canvas) -> str:
    """As base64, for a data URI."""
    done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ValueError(f"OpenCV could not encode a picture of shape {picture.shape}")
    return base64.b64encode(encoded.tobytes()).decode()


def in_pixels(boxes: Iterable[FractionBox], pictures: Sized) -> list[tuple[float, float, float, float]]:
    """(x, y, width, height) of each box in the pictures."""
    across, down = pictures.width_px, pictures.height_px
    return [(x0 * across, y0 * down, (x1 - x0) * across, (y1 - y0) * down) for x0, y0, x1, y1 in boxes]
