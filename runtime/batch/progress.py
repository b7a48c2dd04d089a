"""How far a batch is, on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_LOG_EVERY_S = 15.0


@dataclass
class Pace:
    """total: None where it is not known. before: done in earlier runs. done: in this one."""

    total: int | None
    before: int = 0
    done: int = 0
    unreadable: int = 0
    started_s: float = 0.0

    def rate(self, now_s: float) -> float:
        """Pictures a second of this run."""
        elapsed_s = now_s - self.started_s
        return self.done / elapsed_s if elapsed_s > 0 else 0.0

    def words(self, now_s: float) -> str:
        """One line for people."""
        total = "" if self.total is None else f" of {self.total}"
        rate = self.rate(now_s)
        left = "" if self.total is None or not rate else _left(self.total - self.before - self.done, rate)
        return (
            f"{self.before + self.done}{total} files, {rate:.1f} a second, {self.unreadable} unreadable{left}"
        )


@contextmanager
def shown(console: Console, pace: Pace) -> Iterator[Callable[[], None]]:
    """Within it the function given is to be called after every change of `pace`."""
    pace.started_s = time.monotonic()
    show = _bar if console.is_terminal else _log
    with show(console, pace) as update:
        yield update


@contextmanager
def _bar(console: Console, pace: Pace) -> Iterator[Callable[[], None]]:
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=32), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("reading", total=pace.total)

        def update() -> None:
            words = pace.words(time.monotonic())
            progress.update(task, completed=pace.before + pace.done, total=pace.total, description=words)

        yield update


@contextmanager
def _log(console: Console, pace: Pace) -> Iterator[Callable[[], None]]:
    last_s = time.monotonic()

    def update() -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= _LOG_EVERY_S:
            last_s = now_s
            console.print(f"  {pace.words(now_s)}", highlight=False, markup=False, soft_wrap=True)

    yield update


def _left(files: int, rate: float) -> str:
    seconds = max(0.0, files / rate)
    if seconds < 90:
        return f", about {round(seconds)} s left"
    minutes = round(seconds / 60)
    return (
        f", about {minutes} min left"
        if minutes < 120
        else f", about {minutes // 60} h {minutes % 60} min left"
    )
