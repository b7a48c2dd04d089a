"""One radiograph in, Findings out. What cannot be read or computed is UNREADABLE, never a kind of NONE."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.anomaly import AnomalyDetector
from runtime.backends.base import Backend, BackendOptions
from runtime.errors import InferenceError, InputError
from runtime.examination import ExaminationSpec
from runtime.findings import (
    Findings,
    GivenPoints,
    OperatingPoints,
    Provenance,
    Refusal,
    RefusalCode,
    Subject,
    Verdict,
)
from runtime.intended import judge_use
from runtime.metadata import NOTHING_SAID, MetadataSpec, PatientFacts, Telling, facts_of
from runtime.picture_quality import PictureQuality
from runtime.postprocess import locate, probability
from runtime.preprocess import Placement, PreprocessSpec, inverted, preprocess
from runtime.quality import Assessment, assess, doubts_of, explain
from runtime.radiograph import Radiograph
from runtime.readers import read_bytes
from runtime.refusing import ENGINE_ADVICE, refusal_of
from runtime.scoring import Score, ask
from runtime.stages import Clock
from runtime.words import as_words

if TYPE_CHECKING:
    from types import TracebackType

    from runtime.bundle import Bundle
    from runtime.manifest import EngineEntry
    from runtime.reserve import Reserve, Takeover

_log = logging.getLogger("ulna.detector")
_STRANGE = "This does not look like the radiographs that this model knows"
_STRANGE_ADVICE = (
    "Check that the right picture was chosen and that it shows one of these body parts, well exposed. "
    "Otherwise have a clinician read it."
)
_RIGHTED = "Dark and bright were exchanged in this picture (bone dark); it was read the right way round."
_UNUSUAL = "The picture is unlike most that the model has learned from; rely less on its answer."
_DEFAULT_OPTIONS = BackendOptions()


@dataclass(frozen=True)
class DetectorSpec:
    """What travels in a bundle beside the network. `provenance.image_sha256` is filled in for each image.

    metadata: facts that the network takes as a second input, None for one that looks at the picture alone.
    ages_years, views: for whom and what it was made, None and () where that is not said.
    """

    preprocess: PreprocessSpec
    operating_points: OperatingPoints
    body_parts: tuple[str, ...]
    provenance: Provenance
    anomaly: AnomalyDetector | None = None
    examination: ExaminationSpec = field(default_factory=ExaminationSpec)
    metadata: MetadataSpec | None = None
    ages_years: tuple[float, float] | None = None
    views: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A picture as the network is shown it, and how long that took."""

    tensor: NDArray[np.float32]
    placement: Placement
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class _Said:
    """known: what person and file say of patient and picture. shown: what of it the network is told."""

    known: PatientFacts
    shown: PatientFacts


@dataclass(frozen=True, eq=False)
class _Seen:
    """A picture as the network was shown it, and its answer; righted: to the picture's inverse."""

    tensor: NDArray[np.float32]
    placement: Placement
    score: Score
    righted: bool = False


class Detector:
    """A loaded network with everything needed to answer; use as a context manager or call `close`.

    reserve: where another engine is found when this one fails; None for a detector that then has no answer.
    With a reserve it is for one thread.
    given: thresholds of a site's own, None for those of `spec`; may be changed between two pictures.
    """

    def __init__(self, backend: Backend, spec: DetectorSpec, reserve: Reserve | None = None) -> None:
        self.spec = spec
        self.given: GivenPoints | None = None
        self._backend = backend
        self._reserve = reserve
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="see")

    def detect(self, radiograph: Radiograph, facts: PatientFacts = NOTHING_SAID) -> Findings:
        """Answer for one radiograph. Never raises on account of the image, the engine or the facts.

        facts: what a person says of the patient; where nothing is said, what the file itself does.
        """
        return self._answer(radiograph, facts, Clock())

    def detect_bytes(self, data: bytes, name: str = "", facts: PatientFacts = NOTHING_SAID) -> Findings:
        """Read and answer; what cannot be read is UNREADABLE, with the reason. `name` goes to the log."""
        clock = Clock()
        try:
            with clock.stage("read"):
                radiograph = read_bytes(data)
        except Exception as error:
            return self.refuse(error, data, name, clock.timings_ms)
        return self._answer(radiograph, facts, clock)

    def refuse(
        self,
        error: Exception,
        data: bytes | None = None,
        name: str = "",
        timings_ms: dict[str, float] | None = None,
    ) -> Findings:
        """The UNREADABLE findings for a file that did not even become a radiograph.

        error: that reading it raised. data: its bytes, None where there are none. `name` goes to the log.
        """
        if isinstance(error, InputError):
            _log.info("%s refused: %s", name or "image", error)
        else:
            _log.error("reading %s failed", name or "an image", exc_info=error)
        digest = "" if data is None else hashlib.sha256(data).hexdigest()
        return self._unreadable(refusal_of(error), digest, Clock(timings_ms or {}))

    def score(self, tensor: NDArray[np.float32], facts: PatientFacts = NOTHING_SAID) -> Score:
        """Run the network on one (1, 1, S, S) float32 tensor; see runtime.scoring.ask.

        Raises InferenceError.
        """
        return ask(self._backend, self.spec.preprocess.size_px, tensor, self.spec.metadata, facts)

    def look_for_anomaly(
        self, score: Score, declared: bool = False
    ) -> tuple[Refusal | None, tuple[str, ...]]:
        """The refusal of a picture unlike any that the model has learned from, or warnings.

        declared: whether its file says that it is a radiograph (see runtime.anomaly).

        Raises InferenceError for a network that gives other features than the statistics are about.
        """
        detector = self.spec.anomaly
        if detector is None:
            return None, ()
        seen = detector.look(score.features)
        if detector.is_strange(seen, declared):
            known = ", ".join(self.spec.body_parts or detector.statistics.parts)
            return Refusal(RefusalCode.UNFAMILIAR, f"{_STRANGE} (it reads: {known}).", _STRANGE_ADVICE), ()
        return None, (_UNUSUAL,) if detector.is_unusual(seen) else ()

    @property
    def points(self) -> OperatingPoints:
        """By which it decides now: given ones, where they stand in for those of the engine at work."""
        own, given = self.spec.operating_points, self.given
        return given.points if given is not None and given.instead_of == own else own

    @property
    def must_end(self) -> bool:
        """Whether an engine hangs in this process, which should end once its answers are stored."""
        return self._reserve is not None and self._reserve.must_end

    def tend(self) -> None:
        """Between two pictures: change to another engine where this one has become slow."""
        if self._reserve is not None and (other := self._reserve.tend()) is not None:
            self._backend, self.spec = other.backend, other.spec

    def close(self) -> None:
        """Free the engine."""
        try:
            self._backend.close()
        finally:
            self._aside.shutdown()

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, radiograph: Radiograph, facts: PatientFacts, clock: Clock) -> Findings:
        """By this engine, or by the first in reserve that has an answer."""
        while True:
            found, failure = self._attempt(radiograph, facts, clock)
            other = self._relief(failure) if failure else None
            if other is None:
                return found
            self._backend, self.spec = other.backend, other.spec
            if not other.retry:
                return found

    def _relief(self, failure: str) -> Takeover | None:
        try:
            return None if self._reserve is None else self._reserve.take_over(failure)
        except InputError as error:  # golden cases cannot be read here, so nobody can be shown to be sound
            _log.error("no other engine could be tried: %s", error)
            return None

    def _attempt(self, radiograph: Radiograph, facts: PatientFacts, clock: Clock) -> tuple[Findings, str]:
        """The findings, and how the engine failed; "" where it did not."""
        try:
            told = Telling(facts, facts_of(radiograph.facts)).to(self.spec.metadata)
            said = _Said(facts.over(facts_of(radiograph.facts)), NOTHING_SAID if told is None else told.facts)
            preparing = self._aside.submit(self._prepare, radiograph)  # meanwhile, on another core
            with clock.stage("quality"):
                stated = _stated(radiograph, facts)
                assessment = assess(stated, body_parts=self.spec.body_parts, aside=self._aside)
            use = judge_use(said.known, self.spec.ages_years, self.spec.views)
            if (refusal := assessment.refusal or use.refusal) is not None:
                refused = self._unreadable(refusal, radiograph.sha256, clock, assessment.warnings)
                refused = replace(refused, subject=_subject(said.known, radiograph))
                return _measured(refused, radiograph, assessment.quality), ""
            seen = self._see(preparing.result(), said.shown, clock)
            seen = self._the_right_way_round(radiograph, seen, said.shown, clock)
            found = self._findings(radiograph, seen, said, clock)
            found = replace(found, refusal=explain(found.refusal, assessment.faults), metadata=told)
            doubts = _not_said(doubts_of(assessment, seen.righted), assessment, found.refusal)
            found = replace(found, warnings=(*use.warnings, *doubts, *found.warnings))
            return _measured(found, radiograph, assessment.quality), ""
        except InferenceError as error:
            _log.error("engine failed: %s", error)
            return self._engine_failed(str(error), radiograph, clock), str(error)
        except Exception as error:
            # Whatever went wrong, the answer is "cannot read": silence could be taken for "no fracture".
            _log.exception("detection failed")
            return self._engine_failed(type(error).__name__, radiograph, clock), ""

    def _prepare(self, radiograph: Radiograph) -> _Prepared:
        clock = Clock()
        with clock.stage("preprocess"):
            tensor, placement = preprocess(radiograph, self.spec.preprocess)
        return _Prepared(tensor, placement, clock.timings_ms)

    def _see(self, prepared: _Prepared, facts: PatientFacts, clock: Clock) -> _Seen:
        clock.timings_ms |= prepared.timings_ms
        with clock.stage("infer"):
            score = self.score(prepared.tensor, facts)
        return _Seen(prepared.tensor, prepared.placement, score)

    def _findings(self, radiograph: Radiograph, seen: _Seen, said: _Said, clock: Clock) -> Findings:
        score = seen.score
        subject = _subject(said.known, radiograph, self.spec.anomaly, score)
        refusal, unusual = self.look_for_anomaly(score, radiograph.facts.declared)
        if refusal is not None:
            return replace(self._unreadable(refusal, radiograph.sha256, clock), subject=subject)
        with clock.stage("locate"):
            boxes, evidence = locate(score.map, seen.placement)
        chance = probability(score.logit)
        points = self.points
        verdict = points.decide(chance)
        return Findings(
            verdict=verdict,
            provenance=self._provenance(radiograph.sha256),
            probability=chance,
            operating_points=points,
            boxes=() if verdict is Verdict.NONE else boxes,
            evidence=evidence,
            warnings=((_RIGHTED,) if seen.righted else ()) + unusual,
            timings_ms=clock.timings_ms,
            subject=subject,
        )

    def _the_right_way_round(
        self, radiograph: Radiograph, seen: _Seen, facts: PatientFacts, clock: Clock
    ) -> _Seen:
        """What was seen of the inverse, where dark and bright are exchanged; else as it was."""
        detector = self.spec.anomaly
        if detector is None or not detector.is_unusual(as_it_is := detector.look(seen.score.features)):
            return seen
        with clock.stage("inverse"):
            tensor = inverted(seen.tensor, seen.placement, self.spec.preprocess)
            if tensor is None:
                tensor = preprocess(radiograph.inverted(), self.spec.preprocess)[0]
            inverse = self.score(tensor, facts)
        if not detector.is_inverted(as_it_is, detector.look(inverse.features)):
            return seen
        return _Seen(tensor, seen.placement, inverse, righted=True)

    def _engine_failed(self, reason: str, radiograph: Radiograph, clock: Clock) -> Findings:
        message = f"The analysis failed ({reason}). There is no result for this image."
        refused = self._unreadable(
            Refusal(RefusalCode.ENGINE, message, ENGINE_ADVICE),
            radiograph.sha256,
            clock,
            radiograph.warnings,
        )
        return replace(refused, width_px=radiograph.width_px, height_px=radiograph.height_px)

    def _unreadable(
        self, refusal: Refusal, image_sha256: str, clock: Clock, warnings: tuple[str, ...] = ()
    ) -> Findings:
        return Findings(
            verdict=Verdict.UNREADABLE,
            provenance=self._provenance(image_sha256),
            refusal=refusal,
            warnings=warnings,
            timings_ms=clock.timings_ms,
        )

    def _provenance(self, image_sha256: str) -> Provenance:
        source = replace(self.spec.provenance, image_sha256=image_sha256)
        points = self.points
        if points == self.spec.operating_points:
            return source
        return replace(source, thresholds_sha256=points.digest)


def _stated(radiograph: Radiograph, said: PatientFacts) -> Radiograph:
    """With the body part that a person says, where one does: files are often wrong, or say nothing."""
    part = as_words(said.body_part)
    return replace(radiograph, facts=replace(radiograph.facts, body_part=part)) if part else radiograph


def from_bundle(
    bundle: Bundle, engine: str | None = None, options: BackendOptions = _DEFAULT_OPTIONS
) -> Detector:
    """Load one engine of an opened bundle, `engine` a key such as "onnxruntime-int8".

    None: the fastest that passes the self-test on this device; runtime.standby.open_detector keeps the others
    in reserve. Raises BackendError when none passes, or the engine cannot be loaded or answers a golden case
    otherwise than released, BundleError for a key that the bundle does not hold.
    """
    from runtime import selftest
    from runtime.loading import load_engine

    entry = bundle.entry(engine or selftest.choose(bundle, options).key)
    loaded = load_engine(bundle, entry, options)
    return Detector(loaded.backend, loaded.spec)


def spec_of(bundle: Bundle, entry: EngineEntry, provenance: Provenance) -> DetectorSpec:
    """What the bundle says beside the model of `entry`, whose own thresholds go before the bundle's.

    Raises BundleFormatError.
    """
    manifest = bundle.manifest
    return DetectorSpec(
        manifest.preprocess,
        manifest.points_of(entry),
        manifest.intended_use.body_parts,
        provenance,
        bundle.anomaly_detector(),
        manifest.examination_of(entry),
        manifest.metadata,
        manifest.intended_use.ages_years,
        manifest.intended_use.views,
    )


def _not_said(warnings: tuple[str, ...], assessment: Assessment, refusal: Refusal | None) -> tuple[str, ...]:
    """Without those whose fault the refusal names itself."""
    said = "" if refusal is None else refusal.message
    named = {fault.warning for fault in assessment.faults if fault.what in said}
    return tuple(text for text in warnings if text not in named)


def _measured(findings: Findings, radiograph: Radiograph, quality: PictureQuality | None) -> Findings:
    return replace(findings, width_px=radiograph.width_px, height_px=radiograph.height_px, quality=quality)


def _subject(
    known: PatientFacts,
    radiograph: Radiograph,
    anomaly: AnomalyDetector | None = None,
    score: Score | None = None,
) -> Subject:
    subject = Subject(known.body_part, known.view, radiograph.facts.laterality or "")
    if anomaly is None or score is None:
        return subject
    seen = anomaly.look(score.features)
    return replace(subject, resembles=seen.part, distance=round(seen.distance, 4))
