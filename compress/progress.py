"""Progress of long work: a live bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

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
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    @contextmanager
    def _log(self, title: str) -> Iterator[Advance]:
        last = time.monotonic()

        def advance(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _LOG_EVERY_S:
                last = time.monotonic()
                self.say(f"  {title}: {done} of {total}")

        yield advance


@contextmanager
def spoken_warnings(say: Callable[[str], None]) -> Iterator[None]:
    """Within it a warning is a sentence for people, without the place in the code that Python adds."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        yield


def silent(done: int, total: int) -> None:
    """An Advance that shows nothing."""
