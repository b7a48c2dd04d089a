"""What `ulna doctor` finds out: the machine, the engines on it, and what a bundle's golden cases say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from runtime import machine
from runtime.backends.base import BackendOptions
from runtime.backends.registry import ENGINES, Availability
from runtime.bundle import Bundle
from runtime.errors import BackendError, InputError
from runtime.readers import guarded
from runtime.selftest import Choice, EngineResult, pick, run
from runtime.survey import look


@dataclass(frozen=True)
class DoctorReport:
    """devices: those that each installed engine finds here. reading: why untrusted pictures are not read here
    as they should be, "" where they are.

    results, choice, failure: with a bundle only; failure is set when no engine of it passes.
    """

    machine: machine.Machine
    engines: tuple[Availability, ...]
    devices: dict[str, tuple[str, ...]]
    reading: str
    results: tuple[EngineResult, ...] = ()
    choice: Choice | None = None
    failure: BackendError | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict."""
        return {
            "machine": self.machine.to_json(),
            "engines": [
                {**asdict(engine), "devices": list(self.devices.get(engine.engine, ()))}
                for engine in self.engines
            ],
            "reading": {"confined": not self.reading, "reason": self.reading},
            "results": [asdict(result) for result in self.results],
            "choice": None if self.choice is None else {"key": self.choice.key, "reason": self.choice.reason},
            "failure": None if self.failure is None else str(self.failure),
        }


def examine_machine(
    bundle: Bundle | None = None, threads: int = 0, progress: Callable[[str], None] | None = None
) -> DoctorReport:
    """Look at the machine and its engines; with a bundle, run its self-test too."""
    here = machine.describe()
    seen = tuple(map(look, ENGINES))
    engines = tuple(engine.availability for engine in seen)
    found = {engine.availability.engine: engine.devices for engine in seen if engine.availability.installed}
    if bundle is None:
        return DoctorReport(here, engines, found, _reading())
    results = run(bundle, BackendOptions(threads=threads), progress=progress)
    try:
        return DoctorReport(here, engines, found, _reading(), results, pick(results))
    except BackendError as error:
        return DoctorReport(here, engines, found, _reading(), results, failure=error)


def _reading() -> str:
    """Whether the process that reads pictures starts, and is kept from all that it is to be kept from."""
    try:
        missing = guarded.missing()
    except InputError as error:
        return str(error)
    return f"this kernel does not keep it from: {', '.join(missing)}" if missing else ""
