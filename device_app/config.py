"""What one kiosk is told when it starts. Frozen; sizes in bytes, times in seconds."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

_MIB = 1 << 20
_GIB = 1 << 30
_AE_TITLE = re.compile(r"[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?")


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
class IntakePace:
    """How often the sources of pictures are looked at.

    look_every_s: between two looks. settled_s: without a change, until a file is taken; refuse_after_s: the
    same until one that is no picture is put away, since its writer may be slow. first_pause_s,
    longest_pause_s: after a look that was in vain; doubled each time.
    """

    look_every_s: float = 2.0
    settled_s: float = 10.0
    refuse_after_s: float = 120.0
    first_pause_s: float = 5.0
    longest_pause_s: float = 120.0


@dataclass(frozen=True)
class DicomLimits:
    """What senders may take of the box.

    memory_bytes: private memory of the receiver's process (RLIMIT_DATA). associations: at the same time.
    handshake_s: until an association is agreed on. idle_s: without a byte. object_s: for one object.
    silence_s: without any sign of life of that process.
    """

    memory_bytes: int = _GIB
    associations: int = 8
    handshake_s: float = 15.0
    idle_s: float = 60.0
    object_s: float = 300.0
    silence_s: float = 60.0


@dataclass(frozen=True)
class DicomOptions:
    """The DICOM receiver.

    port: 0 takes a free one. ae_title: as which it must be called. callers: AE titles that may send, () for
    all. peers: addresses or networks ("192.168.1.0/24") that may, () for all.

    Raises ValueError for a port, title or network that cannot be.
    """

    port: int
    ae_title: str = "ULNA"
    host: str = "0.0.0.0"  # noqa: S104  X-ray systems are other machines; it is off unless asked for
    callers: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    limits: DicomLimits = DicomLimits()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"a port is 0 to 65535, got {self.port}")
        for title in (self.ae_title, *self.callers):
            if not _AE_TITLE.fullmatch(title):
                raise ValueError(
                    f"an AE title is 1 to 16 ASCII characters, no backslash, no spaces around, got {title!r}"
                )
        for peer in self.peers:
            ipaddress.ip_network(peer, strict=False)


@dataclass(frozen=True)
class MediaOptions:
    """Where USB sticks appear.

    roots: folders below which they are mounted, () to look for none. mountinfo, devices: where the kernel
    says what is mounted, and what a device is.
    """

    roots: tuple[Path, ...] = (Path("/media"), Path("/run/media"))
    mountinfo: Path = Path("/proc/self/mountinfo")
    devices: Path = Path("/sys/dev/block")


@dataclass(frozen=True)
class KioskConfig:
    """One kiosk.

    bundle: folder of the signed bundle. data_dir: everything the kiosk keeps.
    trust: files or folders with trusted public keys; empty means the machine's own.
    threads: of the engine, 0 for all cores.
    allowed_hosts: names beside localhost under which browsers may reach it.
    reserve_bytes: disk space that intake never uses.
    watch: a folder from which pictures are taken in. dicom: the DICOM receiver. None for none.
    media: where USB sticks are looked for.

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
    watch: Path | None = None
    dicom: DicomOptions | None = None
    media: MediaOptions = MediaOptions()
    pace: IntakePace = IntakePace()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be 0 to 65535, got {self.port}")
        if self.threads < 0:
            raise ValueError(f"threads must be 0 or more, got {self.threads}")
        if min(self.max_upload_bytes, self.max_waiting, self.page_size) < 1:
            raise ValueError("max_upload_bytes, max_waiting and page_size must be at least 1")
