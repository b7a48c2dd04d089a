"""Progress of long work: a live bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[[int, int], None]
"""advance(done, total): called by the work itself as it goes."""

_LOG_EVERY_S = 15.0


class ProgressReporter:
    """Shows one task after the other on `console`."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text, highlight=False)

    @contextmanager
    def task(self, title: str) -> Iterator[Advance]:
        """Give the work a function to report (done, total) with."""
        show = self._bar if self.console.is_terminal else self._log
        with show(title) as advance:
            yield advance

    @contextmanager
    def _bar(self, title: str) -> Iterator[Advance]:
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    @contextmanager
    def _log(self, title: str) -> Iterator[Advance]:
        last = time.monotonic()
        left = TimeLeft()

        def advance(done: int, total: int) -> None:
            nonlocal last
            words = left.after(done, total, time.monotonic())
            if time.monotonic() - last >= _LOG_EVERY_S:
                last = time.monotonic()
                self.say(f"  {title}: {done} of {total}{words}")

        yield advance


class TimeLeft:
    """How long work will still take at the pace that it has had since it was first looked at.

    Work that is resumed starts in the middle: what was done before costs nothing now and is not counted.
    """

    def __init__(self) -> None:
        self._start: tuple[int, float] | None = None

    def after(self, done: int, total: int, now_s: float) -> str:
        """ ", about 3 min left" or "" where nothing can be said yet."""
        if self._start is None:
            self._start = (done, now_s)
        first, started_s = self._start
        if done <= first or total <= done:
            return ""
        left_s = (now_s - started_s) / (done - first) * (total - done)
        return f", about {_spoken(left_s)} left"


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def spoken_warnings(say: Callable[[str], None]) -> Iterator[None]:
    """Within it a warning is a sentence for people, without the place in the code that Python adds."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        yield


def silent(done: int, total: int) -> None:
    """An Advance that shows nothing."""
