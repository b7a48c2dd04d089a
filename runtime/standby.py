"""Several certified engines for one detector: where one fails or becomes slow, the next takes over.

Certified is an engine whose golden cases were answered as released, on this machine, by the self-test. One
that gives no answer, no number or no answer in time is closed, written down with the reason, and not used
again by this process; the picture goes to the next. When all have failed on the way, the picture has no
answer, and the engines that still answer a golden case begin anew: it was perhaps the picture's fault.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from runtime.backends import feeds
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle
from runtime.detector import Detector
from runtime.device_engine import DeviceOptions
from runtime.errors import BackendError, InferenceTimeoutError, InputError, UlnaError
from runtime.golden import golden_tensor
from runtime.latency import Latency, LatencyOptions, measure_in_turns
from runtime.loading import LoadedEngine, Watch, load_engine
from runtime.reserve import Takeover
from runtime.selftest import Choice, ranked
from runtime.service_record import ServiceRecord

_log = logging.getLogger("ulna.engines")
_TIMING = LatencyOptions(warmup=2, runs=12, budget_s=10.0)
_DEVICE = DeviceOptions()


@dataclass(frozen=True)
class Places:
    """Of this machine. record: what is taken out of service is kept there. engines: folder of those that it
    has built for itself. device: how, as the self-test was told.
    """

    record: ServiceRecord | None = None
    engines: Path | None = None
    device: DeviceOptions = _DEVICE


@dataclass(frozen=True)
class StandbyLimits:
    """When an engine counts as hanging or slow, both by what its self-test measured here.

    hang_times, least_s, most_s: an inference may take that many times its 99th percentile, within bounds: a
    busy machine is slow too. slow_times: the median of the last inferences over the self-test's, from which
    on the others are timed against it.
    """

    hang_times: float = 100.0
    least_s: float = 10.0
    most_s: float = 60.0
    slow_times: float = 2.5

    def watch_s(self, latency: Latency) -> float:
        """How long one inference may take."""
        return min(self.most_s, max(self.least_s, self.hang_times * latency.p99_ms / 1e3))


_LIMITS, _NOWHERE = StandbyLimits(), Places()


class Standby:
    """The certified engines of one bundle, fastest first, one of them at work.

    certified: keys of those that passed the self-test, with their times in it, the fastest first.
    places: an engine that its record knows as out of service comes last.
    Raises BackendError where none of them can be loaded.
    """

    def __init__(
        self,
        bundle: Bundle,
        certified: Mapping[str, Latency],
        options: BackendOptions,
        places: Places = _NOWHERE,
        limits: StandbyLimits = _LIMITS,
    ) -> None:
        self._bundle, self._options, self._limits = bundle, options, limits
        self._record, self._places = places.record, places
        out = set() if self._record is None else {one.key for one in self._record.retired()}
        self._latency = certified
        self._order = sorted(certified, key=lambda key: key in out)
        self._failed: set[str] = set()
        self._left_behind = False
        self._slow_from: dict[str, float] = {}
        found = self._next()
        if found is None:
            raise BackendError(
                "no engine of the bundle can be loaded, so there is no answer",
                "run `ulna doctor --bundle BUNDLE`",
            )
        self._at_work = found

    @property
    def engine(self) -> LoadedEngine:
        """The one at work."""
        return self._at_work

    @property
    def must_end(self) -> bool:
        """Whether an engine hangs in this process, which should end once its work is stored."""
        return self._left_behind

    def take_over(self, reason: str) -> Takeover | None:
        """After a failure of the engine at work: the next one, None where no engine answers any more.

        Raises InputError where golden cases cannot be read here.
        """
        self._retire(self._at_work, reason)
        found, retry = self._next(), True
        if found is None:
            self._failed.clear()
            found, retry = self._next(), False
        if found is None:
            return None
        self._at_work = found
        return Takeover(found.backend, found.spec, retry)

    def tend(self) -> Takeover | None:
        """Between two pictures: the next engine, where the one at work has become slower than that is now."""
        recent = self._at_work.backend.recent_ms
        if len(recent) < (recent.maxlen or 0):
            return None
        now_ms, expected_ms = statistics.median(recent), self._latency[self._at_work.key].p50_ms
        if now_ms <= self._slow_from.get(self._at_work.key, self._limits.slow_times * expected_ms):
            return None
        recent.clear()
        # The whole machine may be busy: then nobody is faster, and asking again soon would not help it.
        self._slow_from[self._at_work.key] = 2 * now_ms
        found = self._faster_one()
        if found is None:
            return None
        self._retire(self._at_work, f"slow: {now_ms:.0f} ms, {expected_ms:.0f} ms in the self-test")
        self._at_work = found
        return Takeover(found.backend, found.spec, retry=False)

    def _faster_one(self) -> LoadedEngine | None:
        """The next one in order, if it is shown to be faster now. Only one: meanwhile nobody is answered."""
        others = (key for key in self._order if key not in self._failed and key != self._at_work.key)
        other = None
        try:
            other = next((found for key in others if (found := self._tried(key)) is not None), None)
            if other is None:
                return None
            tensor = feeds.image_alone(other.backend.inputs, golden_tensor(self._bundle))
            if measure_in_turns(self._at_work.backend, other.backend, tensor, _TIMING).high < 1:
                return other
        except UlnaError as error:
            _log.warning("engines could not be compared: %s", error)
        if other is not None:
            self._close(other)
        return None

    def _next(self) -> LoadedEngine | None:
        for key in self._order:
            if key not in self._failed and (found := self._tried(key)) is not None:
                return found
        return None

    def _tried(self, key: str) -> LoadedEngine | None:
        """Loaded; None where that fails, which is written down.

        Raises InputError where golden cases cannot be read here, which is no engine's fault.
        """
        try:
            return self._load(key)
        except InputError:
            raise
        except Exception as error:  # of native libraries: anything at all, and others must still be tried
            self._left_behind |= isinstance(error, InferenceTimeoutError)
            self._note(key, str(error) or type(error).__name__)
            return None

    def _load(self, key: str) -> LoadedEngine:
        limit_s = self._limits.watch_s(self._latency[key])
        watch = Watch(limit_s, lambda: self._mark(key), self._places.engines, self._places.device)
        return load_engine(self._bundle, self._bundle.entry(key), self._options, watch)

    def _mark(self, key: str) -> AbstractContextManager[object]:
        return nullcontext() if self._record is None else self._record.at_work(key)

    def _retire(self, engine: LoadedEngine, reason: str) -> None:
        self._note(engine.key, reason)
        self._close(engine)

    def _close(self, engine: LoadedEngine) -> None:
        self._left_behind |= engine.backend.hangs
        try:
            engine.backend.close()
        except Exception:  # a device in an error refuses this too
            _log.exception("engine %s could not be closed", engine.key)

    def _note(self, key: str, reason: str) -> None:
        self._failed.add(key)
        _log.error("engine %s out of service: %s", key, reason)
        if self._record is not None:
            with contextlib.suppress(OSError):  # a full disk must not cost the answer
                self._record.retire(key, reason)


def open_detector(
    bundle: Bundle, choice: Choice, options: BackendOptions, places: Places = _NOWHERE
) -> Detector:
    """A detector on the fastest engine that passed the self-test, with the others in reserve.

    Raises BackendError where none can be loaded, BundleError for files that are not as signed.
    """
    certified = {result.key: latency for result, latency in ranked(choice.results)}
    standby = Standby(bundle, certified, options, places)
    engine = standby.engine
    return Detector(engine.backend, engine.spec, standby)
