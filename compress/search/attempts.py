"""Tries a trial on a worker: counted before it begins, so that a trial that kills its worker is known."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.search.outcome import FAILED, Outcome
from compress.search.workshop import Task, Workshop
from runtime.errors import UlnaError

_TRACE = "traceback.txt"


@dataclass(frozen=True)
class Attempt:
    """session: of this call of `ulna search`; deaths in an earlier one, as by its interruption, do not count.

    retries: how often the trial is begun again.
    """

    workshop: Workshop
    task: Task
    session: str
    retries: int

    @property
    def begun(self) -> int:
        """How often the trial was begun since the search was last started."""
        try:
            return len(self._marks.read_bytes())
        except FileNotFoundError:
            return 0

    @property
    def is_used_up(self) -> bool:
        """Whether it has been begun as often as it may."""
        return self.begun > self.retries

    @property
    def _marks(self) -> Path:
        return self.task.folder / f"begun-{self.session}"

    def given_up(self) -> Outcome:
        """What becomes of a trial whose worker died each time."""
        return self._keep(self._failed(f"its worker died {self.begun} times, as one that lacks memory does"))

    def run(self) -> Outcome:
        """Make the trial and write down what became of it; an error is an outcome too."""
        if self.is_used_up:
            return self.given_up()
        self._count()
        started = time.monotonic()
        outcome = self._guarded()
        return self._keep(replace(outcome, seconds=round(time.monotonic() - started, 3)))

    def measure(self, made: Outcome) -> Outcome:
        """Time a trial that was made; it keeps its seconds."""
        try:
            outcome = self.workshop.measure(made, self.task.folder)
        except Exception as error:
            outcome = self._failed(_words(error))
        return self._keep(replace(outcome, seconds=made.seconds))

    def judge(self, outcome: Outcome) -> dict[str, Any]:
        """Ask the gate patients."""
        try:
            return self.workshop.judge(outcome, self.task.folder)
        except Exception as error:
            return {"passed": False, "stopped": [], "reason": _words(error)}

    def _guarded(self) -> Outcome:
        try:
            return self.workshop.make(self.task)
        except UlnaError as error:
            return self._failed(_words(error))
        except Exception as error:  # a library's own error costs its trial, not the search
            (self.task.folder / _TRACE).write_text(traceback.format_exc(), encoding="utf-8")
            return self._failed(f"{_words(error)} (see {_TRACE})")

    def _failed(self, reason: str) -> Outcome:
        return Outcome(self.task.number, self.task.params, FAILED, reason=reason)

    def _keep(self, outcome: Outcome) -> Outcome:
        outcome.save(self.task.folder)
        return outcome

    def _count(self) -> None:
        self.task.folder.mkdir(parents=True, exist_ok=True)
        with self._marks.open("ab") as stream:
            stream.write(b".")
            stream.flush()
            os.fsync(stream.fileno())


def run_attempt(attempt: Attempt) -> Outcome:
    """For Dask, which calls functions."""
    return attempt.run()


def measure_attempt(attempt: Attempt, made: Outcome) -> Outcome:
    """For Dask."""
    return attempt.measure(made)


def judge_attempt(attempt: Attempt, outcome: Outcome) -> dict[str, Any]:
    """For Dask."""
    return attempt.judge(outcome)


def _words(error: Exception) -> str:
    if isinstance(error, UlnaError):
        return "; ".join(filter(None, (str(error), error.hint)))
    return f"{type(error).__name__}: {error}"
