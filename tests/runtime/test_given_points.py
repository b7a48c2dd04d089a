"""A site's thresholds in a detector: in place of the only ones that they stand in for, and of no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest

from runtime.backends.base import TensorInfo
from runtime.detector import Detector, DetectorSpec
from runtime.errors import InferenceError
from runtime.examination import combine
from runtime.findings import GivenPoints, OperatingPoints, Provenance, Verdict
from runtime.preprocess import PreprocessSpec
from runtime.radiograph import Radiograph
from runtime.reserve import Takeover
from tests.bundles import radiograph_pixels

OWN, OTHERS = OperatingPoints(0.3, 0.7), OperatingPoints(0.2, 0.7)
GIVEN = GivenPoints(OperatingPoints(0.6, 0.8), OWN)
RADIOGRAPH = Radiograph(radiograph_pixels(True), 12, "0" * 64)
SPEC = DetectorSpec(
    PreprocessSpec(size_px=64),
    OWN,
    ("forearm",),
    Provenance("", "b" * 64, "test", "1.0", "onnxruntime", "fp32", "cpu", "m" * 64, OWN.digest),
)


class Steady:
    """Always a chance of one half, or no answer."""

    name, device = "steady", "cpu"
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails

    def infer(self, _feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._fails:
            raise InferenceError("no answer")
        return {"logit": np.zeros((1, 1), np.float32), "map": np.zeros((1, 1, 4, 4), np.float32)}

    def close(self) -> None:
        pass


class OtherEngine:
    """In reserve: an engine that decides by thresholds of its own."""

    must_end = False

    def take_over(self, _reason: str) -> Takeover:
        return Takeover(Steady(), replace(SPEC, operating_points=OTHERS), retry=True)

    def tend(self) -> None:
        return None


@pytest.fixture
def detector() -> Iterator[Detector]:
    with Detector(Steady(), SPEC) as opened:
        yield opened


def test_without_given_ones_its_own_count(detector: Detector) -> None:
    found = detector.detect(RADIOGRAPH)
    assert (found.verdict, found.operating_points) == (Verdict.DOUBT, OWN)
    assert found.provenance.thresholds_sha256 == OWN.digest


def test_given_ones_decide_and_are_named_in_the_answer(detector: Detector) -> None:
    detector.given = GIVEN
    found = detector.detect(RADIOGRAPH)
    assert (found.verdict, found.operating_points) == (Verdict.NONE, GIVEN.points)
    assert found.provenance.thresholds_sha256 == GIVEN.points.digest and found.boxes == ()
    assert detector.spec.operating_points == OWN
    detector.given = None
    assert detector.detect(RADIOGRAPH).operating_points == OWN


def test_an_engine_with_thresholds_of_its_own_that_takes_over_keeps_them() -> None:
    with Detector(Steady(fails=True), SPEC, OtherEngine()) as detector:
        detector.given = GIVEN
        assert detector.points == GIVEN.points
        found = detector.detect(RADIOGRAPH)
        assert (found.verdict, found.operating_points, detector.points) == (Verdict.DOUBT, OTHERS, OTHERS)


def test_views_of_one_examination_are_judged_together_by_given_ones(detector: Detector) -> None:
    detector.given = GIVEN
    views = [detector.detect(RADIOGRAPH)] * 2
    whole = combine(views, SPEC.examination)
    assert (whole.verdict, whole.operating_points) == (Verdict.NONE, GIVEN.points)
