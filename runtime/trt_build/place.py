"""Where an engine would be built and run: GPU, driver and library, looked at in a process of its own."""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from typing import Any

from runtime import child, strict
from runtime.backends import registry
from runtime.backends.cuda import GpuFacts, gpu_facts
from runtime.errors import BackendError, DeviceUnavailableError
from runtime.trt_build import library as api

_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class BuildPlace:
    """What an engine is tied to. library: "tensorrt" or "tensorrt_rtx", with its version.

    dla_cores: deep-learning accelerators beside the GPU, 0 on most machines.
    """

    library: str
    version: str
    gpu: GpuFacts
    dla_cores: int = 0


def look(library: str, timeout_s: float = _TIMEOUT_S) -> BuildPlace:
    """What is here for one of the two libraries.

    Raises BackendMissingError where it is not installed, DeviceUnavailableError where there is no GPU for it,
    BackendError where looking fails.
    """
    registry.require_present(library)
    try:
        answer = child.ask("runtime.trt_build.place", {"library": library}, timeout_s)
    except BackendError as error:
        raise BackendError(
            f"{library} is installed and does not work: it {error}", "install it again"
        ) from error
    if "missing" in answer:
        raise DeviceUnavailableError(answer["missing"], answer["hint"])
    return strict.build(BuildPlace, answer, "answer")


def main() -> None:
    """The child: the library's name in, a BuildPlace out, or what is missing."""
    child.answer(lambda question: _look(question["library"]))


def _look(library: str) -> dict[str, Any]:
    try:
        gpu = gpu_facts()
    except DeviceUnavailableError as error:
        return {"missing": str(error), "hint": error.hint}
    trt = importlib.import_module(library)
    cores = api.dla_cores(trt.Builder(api.make_logger(trt)))
    return dataclasses.asdict(BuildPlace(library, str(trt.__version__), gpu, cores))


if __name__ == "__main__":
    main()
