"""How an installation is to be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device_app.update.probe import DEFAULT_TIMEOUT_S, ProbeResult, probe
from runtime.bundle import Bundle

Probe = Callable[[Path, Path, float], ProbeResult]
"""(bundle, trusted keys, timeout in s) -> what the self-test said. See probe.py."""

Tidy = Callable[[tuple[Bundle, ...]], None]
"""Told which bundles lie in the slots once a change is confirmed. See own_engines.py."""


def _silent(_: str) -> None:
    """Progress that nobody wants to see."""


@dataclass(frozen=True)
class InstallOptions:
    """trust: files or folders with the keys for the first installation, none for this machine's own.

    force: also when it is live already. timeout_s: for each engine's self-test. say: told in one line what
    happens. probe: runs the self-test. tidy: removes what no slot needs any more, None for nothing.
    """

    trust: tuple[Path, ...] = ()
    force: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S
    say: Callable[[str], None] = _silent
    probe: Probe = probe
    tidy: Tidy | None = None


DEFAULTS = InstallOptions()
