"""What one kiosk is told when it starts. Frozen; sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True)
class WorkerLimits:
    """What the inference process may take before it is stopped.

    memory_bytes: private memory (RLIMIT_DATA).
    start_s: for checking the bundle and the self-test of every engine.
    job_s: for one picture.
    silence_s: without any sign of life between two pictures.
    first_pause_s, longest_pause_s: before a restart; doubled each time it fails again.
    """

    memory_bytes: int = 4 * _GIB
    start_s: float = 600.0
    job_s: float = 120.0
    silence_s: float = 60.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0


@dataclass(frozen=True)
class KioskConfig:
    """One kiosk.

    bundle: folder of the signed bundle. data_dir: everything the kiosk keeps.
    trust: files or folders with trusted public keys; empty means the machine's own.
    threads: of the engine, 0 for all cores.
    allowed_hosts: names beside localhost under which browsers may reach it.
    reserve_bytes: disk space that intake never uses.

    Raises ValueError for a port, size or count that cannot be.
    """

    bundle: Path
    data_dir: Path
    trust: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8080
    threads: int = 0
    allowed_hosts: tuple[str, ...] = ()
    max_upload_bytes: int = 96 * _MIB
    max_waiting: int = 500
    reserve_bytes: int = 256 * _MIB
    page_size: int = 12
    limits: WorkerLimits = WorkerLimits()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be 0 to 65535, got {self.port}")
        if self.threads < 0:
            raise ValueError(f"threads must be 0 or more, got {self.threads}")
        if min(self.max_upload_bytes, self.max_waiting, self.page_size) < 1:
            raise ValueError("max_upload_bytes, max_waiting and page_size must be at least 1")
