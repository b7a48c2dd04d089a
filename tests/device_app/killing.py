"""Processes that are killed at one of their steps, forked from a server that has their module imported."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

JOIN_S = 60


def forked(run: Callable[[str, int], None], folder: Path, kill_at: int) -> ForkServerProcess:
    """Started: quick, and with no threads of ours."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([run.__module__])
    process = context.Process(target=run, args=(str(folder), kill_at))
    process.start()
    return process


def ended(run: Callable[[str, int], None], folder: Path, kill_at: int) -> int | None:
    """How it ended: minus the signal that killed it."""
    process = forked(run, folder, kill_at)
    process.join(JOIN_S)
    return process.exitcode
