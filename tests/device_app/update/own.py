"""Bundles that leave an engine to the box, and installations that build it; as a script, one installation."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from device_app.update.installer import install
from device_app.update.options import InstallOptions
from device_app.update.own_engines import Kiosk, OwnEngines
from device_app.update.probe import probe
from runtime.bundle import STATUS_DEFERRED, EngineEntry
from runtime.trt_build.progress import BuildProgress
from runtime.trust import save_public_key
from tests.runtime.kit import KEY, ORT, Contents, make
from tests.runtime.models import onnx_bytes

DEFERRED = EngineEntry("tensorrt", "int8", "models/trt/source.onnx", status=STATUS_DEFERRED)
GRAPHS: dict[str, str | int] = {"one": "batch", "two": "N", "three": 1}
"""Three models with the same answers and other bytes: the name of the first axis differs."""


def _silent(_: str) -> None:
    pass


@dataclass(frozen=True)
class OwnBox:
    """A folder for a box, its kiosk and its bundles; the kiosk's user is whoever runs the test."""

    folder: Path
    user: str = pwd.getpwuid(os.geteuid()).pw_name

    @property
    def root(self) -> Path:
        return self.folder / "box"

    @property
    def kiosk(self) -> Kiosk:
        return Kiosk(self.user, self.folder / "kiosk", build_s=60)

    @property
    def key(self) -> Path:
        path = self.folder / "maker.pem"
        if not path.exists():
            save_public_key(KEY.public_key(), path)
        return path

    def bundle(self, graph: str = "one", engines: tuple[EngineEntry, ...] = (ORT, DEFERRED)) -> Path:
        path = self.folder / f"{graph}-{len(engines)}"
        assert self.key  # of this process: another one has another
        if not path.exists():
            make(path, Contents(engines, files={DEFERRED.main: onnx_bytes(batch=GRAPHS[graph])}))
        return path

    @property
    def building(self) -> Path:
        """There once the builder has told of its progress."""
        return self.folder / "building"

    def options(self, say: Callable[[str], None] = _silent, kiosk: Kiosk | None = None) -> InstallOptions:
        own = OwnEngines(kiosk or self.kiosk, say, lambda: nullcontext(self._heard))
        return InstallOptions((self.key,), say=say, probe=partial(probe, own=own.examine), tidy=own.tidy)

    def _heard(self, now: BuildProgress) -> None:
        if now.parent:
            self.building.touch()


if __name__ == "__main__":
    box = OwnBox(Path(sys.argv[1]))
    install(Path(sys.argv[2]), box.root, box.options())
