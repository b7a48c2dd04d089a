"""What a step leaves behind: one main file, perhaps companions, and the facts about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATUS_OK = "ok"
STATUS_DEFERRED = "deferred to the device"


@dataclass(frozen=True)
class StepOutput:
    """What the body of a step returns: file names inside its folder and JSON-safe facts.

    main: the graph, weights or engine. companions: further files that belong to it.
    format: torch | onnx | ort | openvino | tensorrt | tensorrt_rtx.
    facts: measured properties (macs, parameters, nodes, parity errors). status: ok or deferred to the device.
    """

    main: str
    format: str
    companions: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    status: str = STATUS_OK


@dataclass(frozen=True)
class Artifact:
    """A finished step: where its files are, their digest and what was measured.

    sha256: over main and companions in order. parent: the sha256 of the artifact it was made from.
    """

    step: str
    folder: Path
    main: str
    format: str
    sha256: str
    companions: tuple[str, ...] = ()
    parent: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    status: str = STATUS_OK
    seconds: float = 0.0
    peak_memory_bytes: int = 0

    @property
    def path(self) -> Path:
        """The main file."""
        return self.folder / self.main

    @property
    def files(self) -> tuple[Path, ...]:
        """Main file first, then its companions."""
        return (self.path, *(self.folder / name for name in self.companions))

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(path.stat().st_size for path in self.files)


def digest_files(paths: tuple[Path, ...]) -> str:
    """SHA-256 over the files' own digests, in order; one file's digest where there is one."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
