"""One engine against the bundle's golden cases: does it answer here as it did when released?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.backends import feeds, registry
from runtime.backends.base import Backend, BackendOptions, ModelFiles
from runtime.bundle import Bundle
from runtime.detector import Detector, spec_of
from runtime.errors import InferenceError, UlnaError
from runtime.findings import Provenance
from runtime.latency import Latency, LatencyOptions, measure
from runtime.manifest import EngineEntry, GoldenCase
from runtime.map_grid import MapError, compare
from runtime.postprocess import probability
from runtime.preprocess import preprocess
from runtime.readers import read_bytes


@dataclass(frozen=True)
class EngineResult:
    """What the self-test found out about one engine entry.

    passed: every golden case was answered as released. reason: why, or why not, in words.
    latency: at batch 1, None where the engine did not pass. worst_logit_error: largest |logit - expected|.
    worst_map_error: the same of the cells of its evidence maps, None where the bundle holds none to expect.
    load_ms: from bytes to a model that can run. memory_bytes: largest resident set of the process that ran
    it, base_memory_bytes of them before the engine was loaded; 0 where unknown.
    """

    key: str
    engine: str
    precision: str
    passed: bool
    reason: str
    latency: Latency | None = None
    worst_logit_error: float | None = None
    worst_map_error: float | None = None
    version: str = ""
    device: str = ""
    size_bytes: int = 0
    load_ms: float | None = None
    memory_bytes: int = 0
    base_memory_bytes: int = 0


@dataclass(frozen=True)
class _Answer:
    case: GoldenCase
    verdict: str
    is_strange: bool
    logit: float
    expected: float
    place: MapError | None

    @property
    def error(self) -> float:
        return abs(self.logit - self.expected)


def refused(bundle: Bundle, entry: EngineEntry, reason: str) -> EngineResult:
    """The result for an entry that was not run, or that failed."""
    size = bundle.size_bytes(entry)
    return EngineResult(entry.key, entry.engine, entry.precision, False, reason, size_bytes=size)


def examine(
    bundle: Bundle,
    entry: EngineEntry,
    options: BackendOptions,
    timing: LatencyOptions,
    files: ModelFiles | None = None,
) -> EngineResult:
    """Load the entry's model, run every golden case, then time it. Raises nothing: failures are results."""
    try:
        return _examine(bundle, entry, registry.options_for(entry.engine, options), timing, files)
    except UlnaError as error:
        return refused(bundle, entry, f"{error}; {error.hint}" if error.hint else str(error))
    except Exception as error:  # whatever one engine does, the others must still be tried
        return refused(bundle, entry, f"failed with {type(error).__name__}: {feeds.reason(error)}")


def prove(bundle: Bundle, entry: EngineEntry, backend: Backend) -> None:
    """Have an engine that was just loaded in this process answer one golden case, which also warms it up.

    Does nothing for a bundle without any. Raises InferenceError for another answer than the released one.
    """
    if bundle.manifest.golden:
        detector = Detector(backend, spec_of(bundle, entry, _provenance(bundle)))
        found = _faults([_answer(bundle, entry, bundle.manifest.golden[0], detector)], entry)
        if found:
            raise InferenceError(f"{entry.key}: {found[0]}", "run `ulna doctor` to test every engine")


def _examine(
    bundle: Bundle,
    entry: EngineEntry,
    options: BackendOptions,
    timing: LatencyOptions,
    files: ModelFiles | None = None,
) -> EngineResult:
    if not bundle.manifest.golden:
        return refused(bundle, entry, "the bundle holds no golden cases, so nothing can be shown")
    files = files or bundle.model_files(entry)
    version = registry.availability(entry.engine).version
    started = time.perf_counter()
    backend = registry.open_backend(entry.engine, files, options)
    load_ms = (time.perf_counter() - started) * 1e3
    try:
        detector = Detector(backend, spec_of(bundle, entry, _provenance(bundle)))
        answers = [_answer(bundle, entry, case, detector) for case in bundle.manifest.golden]
        faults = _faults(answers, entry)
        latency = None if faults else _latency(bundle, backend, timing)
    finally:
        backend.close()
    return EngineResult(
        key=entry.key,
        engine=entry.engine,
        precision=entry.precision,
        passed=not faults,
        reason=_summary(faults, answers),
        latency=latency,
        worst_logit_error=max(answer.error for answer in answers),
        worst_map_error=max((answer.place.error for answer in answers if answer.place), default=None),
        version=version,
        device=backend.device,
        size_bytes=bundle.size_bytes(entry),
        load_ms=load_ms,
    )


def golden_tensor(bundle: Bundle) -> NDArray[np.float32]:
    """(1, 1, S, S), of the first golden case, for timing. Raises IndexError for a bundle without any."""
    return _tensor(bundle, bundle.manifest.golden[0])


def _latency(bundle: Bundle, backend: Backend, timing: LatencyOptions) -> Latency:
    return measure(backend, feeds.image_alone(backend.inputs, golden_tensor(bundle)), timing)


def _answer(bundle: Bundle, entry: EngineEntry, case: GoldenCase, detector: Detector) -> _Answer:
    expected = case.logits.get(entry.key)
    if expected is None:
        raise InferenceError(f"golden case {case.name} says no expected logit for {entry.key}")
    try:
        score = detector.score(_tensor(bundle, case), case.facts)
        refusal, _ = detector.look_for_anomaly(score)
    except InferenceError as error:
        raise InferenceError(f"golden case {case.name}: {error}", error.hint) from error
    verdict = detector.spec.operating_points.decide(probability(score.logit))
    grid = case.maps.get(entry.key)
    place = None if grid is None else compare(score.map, grid)
    return _Answer(case, str(verdict), refusal is not None, score.logit, expected, place)


def _provenance(bundle: Bundle) -> Provenance:
    return Provenance("", bundle.digest, bundle.manifest.name, bundle.manifest.version)


def _tensor(bundle: Bundle, case: GoldenCase) -> NDArray[np.float32]:
    radiograph = read_bytes(bundle.read(case.file), case.file)
    return preprocess(radiograph, bundle.manifest.preprocess)[0]


def _faults(answers: list[_Answer], entry: EngineEntry) -> list[str]:
    """Wrong decisions first, then wrong places: they are what a patient would meet."""
    return [*_wrong_decisions(answers), *_wrong_places(answers, entry), *_wrong_logits(answers, entry)]


def _wrong_decisions(answers: list[_Answer]) -> Iterator[str]:
    for a in answers:
        if a.verdict != a.case.verdict:
            yield f"wrong decision on golden case {a.case.name}: {a.verdict}, expected {a.case.verdict}"
    for a in answers:
        if a.is_strange != a.case.strange:
            found = "refused as strange" if a.is_strange else "not refused as strange"
            wanted = "a refusal" if a.case.strange else "none"
            yield f"golden case {a.case.name} is {found}, expected {wanted}"


def _wrong_places(answers: list[_Answer], entry: EngineEntry) -> Iterator[str]:
    for a in answers:
        if a.place is None or entry.map_tolerance is None or a.place.error <= entry.map_tolerance:
            continue
        yield (
            f"evidence map off by {a.place.error:.3g} on golden case {a.case.name} at {a.place.place}, "
            f"within {entry.map_tolerance:g}"
        )


def _wrong_logits(answers: list[_Answer], entry: EngineEntry) -> Iterator[str]:
    for a in answers:
        if a.error > entry.logit_tolerance:
            yield (
                f"logit off by {a.error:.3g} on golden case {a.case.name}: "
                f"{a.logit:.4g}, expected {a.expected:.4g} within {entry.logit_tolerance:g}"
            )


def _summary(faults: list[str], answers: list[_Answer]) -> str:
    if faults:
        return faults[0] + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")
    unsaid = "" if all(a.place for a in answers) else ", the place of findings not among them"
    return f"{len(answers)} golden cases answered as released{unsaid}"
