"""A build's progress on a terminal: one bar for each phase that is under way."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from runtime.trt_build.progress import BuildProgress


class BuildBars:
    """Give `show` to who builds; phases come and go, each below the one that it is part of."""

    def __init__(self, console: Console, title: str) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._title = title
        self._bars: dict[str, TaskID] = {}
        self._depths: dict[str, int] = {}

    def __enter__(self) -> BuildBars:
        self._progress.start()
        self._progress.add_task(self._title, total=None)  # looking at the machine comes before any phase
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, now: BuildProgress) -> None:
        """Move, add or take away the bar of a phase."""
        if now.ended:
            bar = self._bars.pop(now.phase, None)
            if bar is not None:
                self._progress.remove_task(bar)
            return
        if now.phase not in self._bars:
            depth = self._depths[now.phase] = self._depths.get(now.parent, 0) + 1
            self._bars[now.phase] = self._progress.add_task("  " * depth + now.phase, total=now.total)
        self._progress.update(self._bars[now.phase], completed=now.done)
