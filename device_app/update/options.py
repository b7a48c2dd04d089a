"""How an installation is to be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device_app.update.probe import DEFAULT_TIMEOUT_S, ProbeResult, probe

Probe = Callable[[Path, Path, float], ProbeResult]
"""(bundle, trusted keys, timeout in s) -> what the self-test said. See probe.py."""


def _silent(_: str) -> None:
    """Progress that nobody wants to see."""


@dataclass(frozen=True)
class InstallOptions:
    """trust: keys for the first installation (None: this machine's). force: also when it is live already.

    timeout_s: for each self-test. say: told in one line what happens. probe: runs the self-test.
    """

    trust: Path | None = None
    force: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S
    say: Callable[[str], None] = _silent
    probe: Probe = probe


DEFAULTS = InstallOptions()
