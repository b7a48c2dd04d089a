"""End a process with SIGKILL just before its N-th change of the disk.

Used twice: by `crash_matrix.py` in forked children (every N), and as a `sitecustomize` of the real `ulna`
command (some N). Self-test children are left alone: they change nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CHANGES = ("chmod", "fchmod", "fsync", "mkdir", "rename", "replace", "rmdir", "symlink", "unlink")
VARIABLE = "ULNA_TEST_KILL_AT"
ONLY_IN = "ULNA_TEST_KILL_IN"


class Fuse:
    """Counts calls that change the disk; at call `burn_at` (from 0) the process dies."""

    def __init__(self, burn_at: int) -> None:
        self.burn_at = burn_at
        self.process = os.getpid()
        self.calls = 0

    def install(self) -> Fuse:
        """Put itself before every such call of this process."""
        for name in CHANGES:
            setattr(os, name, self._guard(getattr(os, name)))
        return self

    def _guard(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if os.getpid() == self.process:  # not in a forked self-test
                if self.calls == self.burn_at:
                    os.kill(self.process, signal.SIGKILL)
                self.calls += 1
            return real(*args, **kwargs)

        return guarded


def from_environment() -> None:
    """As the process's sitecustomize: obey the variable, except in a self-test child.

    ONLY_IN names the one module in whose process it counts.
    """
    only = os.environ.get(ONLY_IN)
    if only is not None and only not in sys.orig_argv:
        return
    if VARIABLE in os.environ and "runtime.isolated" not in sys.orig_argv:
        Fuse(int(os.environ[VARIABLE])).install()
