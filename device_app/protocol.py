"""What supervisor and worker agree on: arguments, orders, exit codes; light to import."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Self

EXIT_STOPPED, EXIT_CANNOT_ANSWER, EXIT_ENGINE_FAILED = 0, 3, 4
STOP = b"q"
WAKE = b"w"


@dataclass(frozen=True)
class WorkerArguments:
    """What the supervisor tells a worker. `owner` names its leases, `report_fd` is where it reports."""

    bundle: Path
    data_dir: Path
    trust: tuple[Path, ...]
    threads: int
    memory_bytes: int
    owner: str
    report_fd: int

    def to_argv(self) -> list[str]:
        """As a command line after `-m device_app.worker`."""
        flags = [f"--{name}={getattr(self, name)}" for name in ("bundle", "data_dir", "threads")]
        flags += [f"--{name}={getattr(self, name)}" for name in ("memory_bytes", "owner", "report_fd")]
        return flags + [f"--trust={path}" for path in self.trust]

    @classmethod
    def from_argv(cls, argv: list[str]) -> Self:
        """What `to_argv` wrote."""
        parser = argparse.ArgumentParser(prog="device_app.worker")
        parser.add_argument("--bundle", type=Path, required=True)
        parser.add_argument("--data_dir", type=Path, required=True)
        parser.add_argument("--trust", type=Path, action="append", default=[])
        parser.add_argument("--threads", type=int, default=0)
        parser.add_argument("--memory_bytes", type=int, required=True)
        parser.add_argument("--owner", required=True)
        parser.add_argument("--report_fd", type=int, required=True)
        values = vars(parser.parse_args(argv))
        return cls(**{**values, "trust": tuple(values["trust"])})
