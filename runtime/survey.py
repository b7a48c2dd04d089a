"""Which engines are on this machine, each looked at in a process of its own (see child.py)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from runtime import child, strict
from runtime.backends import feeds, registry
from runtime.backends.registry import Availability
from runtime.errors import BackendMissingError, UlnaError

_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class EngineHere:
    """An engine's library, and those of "cpu" and "gpu" that it finds here."""

    availability: Availability
    devices: tuple[str, ...] = ()


def look(engine: str, timeout_s: float = _TIMEOUT_S) -> EngineHere:
    """Import an engine's library and ask for its devices; whatever that does is an answer, nothing raises."""
    try:
        registry.require_present(engine)
    except BackendMissingError as error:
        return _absent(engine, f"{error}; {error.hint}")
    try:
        return strict.build(EngineHere, child.ask("runtime.survey", {"engine": engine}, timeout_s), "answer")
    except UlnaError as error:
        return _absent(engine, f"{engine} is installed and does not load: it {error}; install it again")


def main() -> None:
    """The child: the engine's name in, an EngineHere out."""
    child.answer(lambda question: dataclasses.asdict(_look(question["engine"])))


def _look(engine: str) -> EngineHere:
    try:
        found = registry.availability(engine)
        return EngineHere(found, registry.devices(engine) if found.installed else ())
    except Exception as error:  # half an installation fails in any place, with anything
        said = f"{type(error).__name__}: {feeds.reason(error)}"
        return _absent(engine, f"{engine} is installed and does not work: {said}; install it again")


def _absent(engine: str, reason: str) -> EngineHere:
    return EngineHere(Availability(engine, installed=False, reason=reason))


if __name__ == "__main__":
    main()
