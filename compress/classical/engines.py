"""Whether an engine takes a graph, in the engine's own words."""

from __future__ import annotations

import tempfile
from pathlib import Path

from compress.steps.probe import probe_images
from compress.targets import TARGETS
from runtime.errors import StepError, UlnaError


def refusal(engine: str, model: Path) -> str:
    """Why `engine` (of compress.targets) does not compile the ONNX graph here, "" where it does.

    Trees in operators of ai.onnx.ml run in ONNX Runtime only. A library that is not installed is a reason
    too. Raises StepError for an engine that does not exist.
    """
    if engine not in TARGETS:
        raise StepError(f"no target {engine!r}", f"targets: {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            TARGETS[engine].compile(model, Path(folder), probe_images(model))
        except UlnaError as error:
            return str(error)
    return ""
