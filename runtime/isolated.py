"""One engine's self-test in a process of its own: a crash or a hang ends a child and is a failed result.

It also makes the memory measured the engine's own.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime import child, strict
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle, open_pinned
from runtime.device_engine import stored_engine
from runtime.engine_store import EngineStore
from runtime.errors import UlnaError
from runtime.golden import EngineResult, examine, refused
from runtime.latency import LatencyOptions
from runtime.machine import peak_memory_bytes
from runtime.manifest import EngineEntry


@dataclass(frozen=True)
class Built:
    """Where the engine of a deferred entry lies, and on which accelerator it runs.

    store: its folder. digest: of the engine's key.
    """

    store: str
    digest: str
    dla_core: int | None = None


@dataclass(frozen=True)
class Request:
    """What the child is told: an entry of a bundle, which it opens by the digest that its parent checked."""

    root: str
    digest: str
    signed_by: str
    key: str
    options: BackendOptions
    timing: LatencyOptions
    built: Built | None = None


def examine_isolated(
    bundle: Bundle,
    entry: EngineEntry,
    options: BackendOptions,
    timing: LatencyOptions,
    timeout_s: float,
    built: Built | None = None,
) -> EngineResult:
    """`golden.examine` in a child. A crash, a hang or an answer that cannot be read is a failed result."""
    request = Request(str(bundle.root), bundle.digest, bundle.signed_by, entry.key, options, timing, built)
    try:
        answer = child.ask("runtime.isolated", dataclasses.asdict(request), timeout_s)
        return strict.build(EngineResult, answer, "answer")
    except UlnaError as error:
        return refused(bundle, entry, str(error))


def main() -> None:
    """The child: a Request in, an EngineResult out."""
    child.answer(_reply)


def _reply(question: Any) -> dict[str, Any]:
    request = strict.build(Request, question, "request")
    bundle = open_pinned(Path(request.root), request.digest, request.signed_by)
    base_bytes = peak_memory_bytes()
    options, files = request.options, None
    if request.built is not None:
        files = stored_engine(EngineStore(Path(request.built.store)), request.built.digest)
        options = dataclasses.replace(options, dla_core=request.built.dla_core)
    result = examine(bundle, bundle.entry(request.key), options, request.timing, files)
    result = dataclasses.replace(result, memory_bytes=peak_memory_bytes(), base_memory_bytes=base_bytes)
    return dataclasses.asdict(result)


if __name__ == "__main__":
    main()
