"""The clean run that faults are put into: made once by the ordinary pipeline, copied for each fault."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from compress.pipeline import BUNDLE, RECORD
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.workbench import Workbench, open_workbench
from runtime.findings import OperatingPoints

_SHARED = ("cache", "data")
"""Read only by a run that finds them whole."""


@dataclass(frozen=True)
class Bed:
    """folder: of the clean run. data: what it read, None for computed radiographs. key: that signed it, a
    throw-away one, so that nothing of a fault suite is trusted anywhere.
    """

    folder: Path
    recipe: Recipe
    data: Path | None
    key: Ed25519PrivateKey

    @property
    def steps(self) -> Path:
        """Where its steps are."""
        return self.folder / "steps"

    @property
    def bundle(self) -> Path:
        """What it released."""
        return self.folder / BUNDLE

    def record(self) -> dict[str, Any]:
        """Its run.json."""
        table: dict[str, Any] = json.loads((self.folder / RECORD).read_bytes())
        return table

    def points(self) -> OperatingPoints:
        """Its locked thresholds."""
        found = self.record()["operating_points"]
        return OperatingPoints(found["high_sensitivity"], found["high_specificity"])

    def bench(self) -> Workbench:
        """Its data, divided, and their tensors."""
        return open_workbench(
            self.recipe, self.folder, self.data, ProgressReporter(Console(file=io.StringIO()))
        )

    def copy_to(self, folder: Path, without: tuple[str, ...] = ()) -> None:
        """A run that finds everything made but the nodes in `without`; what was in `folder` goes."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(self.steps, folder / "steps")
        for name in without:
            shutil.rmtree(folder / "steps" / name, ignore_errors=True)
        for name in _SHARED:
            if (self.folder / name).is_dir():
                (folder / name).symlink_to((self.folder / name).absolute(), target_is_directory=True)
