"""Workshops for tests: figures are a plain function of the parameters, so that a search takes no training."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.progress import ProgressReporter
from compress.search.outcome import DONE, IMPOSSIBLE, MADE, STOPPED, Outcome
from compress.search.plan import SearchPlan, parse_search
from compress.search.stopping import is_hopeless
from compress.search.workshop import Task
from runtime.errors import RecipeError, StepError

TEXT = """
base = "demo"
[space]
"preprocess.size_px" = [96, 128, 160]
"prune.ratio" = { low = 0.0, high = 0.5, step = 0.1 }
"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
[search]
trials = 8
batch = 4
objectives = ["auroc_bound", "latency_ms", "size_mb"]
seed = 7
sampler = "random"
retries = 1
"""


def plan_of(**options: Any) -> SearchPlan:
    """The search of TEXT with other options."""
    plan = parse_search(TEXT, "small")
    return replace(plan, options=replace(plan.options, **options))


@dataclass(frozen=True)
class Computed:
    """Larger pictures are surer and slower. journal: where each making leaves a line."""

    journal: Path

    def prepare(self, reporter: ProgressReporter) -> dict[str, Any]:
        return {"name": "computed"}

    def make(self, task: Task) -> Outcome:
        self.note(task.number)
        size, ratio = task.params["preprocess.size_px"], task.params["prune.ratio"]
        figures = {
            "auroc": 0.9,
            "auroc_bound": 0.6 + size / 1000 - ratio / 10,
            "loss_bound": ratio / 10,
            "size_mb": 4 * (1 - ratio),
        }
        return Outcome(task.number, task.params, MADE, figures)

    def measure(self, outcome: Outcome, folder: Path) -> Outcome:
        size, ratio = outcome.params["preprocess.size_px"], outcome.params["prune.ratio"]
        figures = {**outcome.figures, "latency_ms": (size / 32) ** 2 * (1 - ratio)}
        return replace(outcome, status=DONE, figures=figures, machine="computed")

    def judge(self, outcome: Outcome, folder: Path) -> dict[str, Any]:
        return {"passed": outcome.number % 2 == 0, "stopped": [], "reason": "an odd number"}

    def note(self, number: int) -> None:
        """One short line is appended whole, whoever else appends."""
        with self.journal.open("a", encoding="utf-8") as stream:
            stream.write(f"{number}\n")

    @property
    def made(self) -> list[int]:
        """Numbers of the makings so far."""
        return [int(line) for line in self.journal.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class Dying(Computed):
    """Kills its worker in one trial, as often as it says."""

    number: int = 1
    deaths: int = 1

    def make(self, task: Task) -> Outcome:
        if task.number == self.number and self._deaths_so_far() < self.deaths:
            self.note(task.number)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().make(task)

    def _deaths_so_far(self) -> int:
        return self.made.count(self.number) if self.journal.exists() else 0


@dataclass(frozen=True)
class Refusing(Computed):
    """One trial is an impossible combination, another one fails, a third has a library's own error."""

    def make(self, task: Task) -> Outcome:
        if task.number == 0:
            return Outcome(0, task.params, IMPOSSIBLE, reason=str(RecipeError("no such network")))
        if task.number == 1:
            raise StepError("training diverged", "lower learning_rate")
        if task.number == 2:
            raise ZeroDivisionError("deep inside")
        return super().make(task)


@dataclass(frozen=True)
class Learning(Computed):
    """Every trial has a curve of three epochs, the later the trial the lower, and stops by the rule."""

    def make(self, task: Task) -> Outcome:
        curve = tuple(0.9 - task.number / 50 + epoch / 100 for epoch in range(3))
        for done in range(1, 4):
            if is_hopeless(curve[:done], task.curves):
                return Outcome(task.number, task.params, STOPPED, reason="hopeless", curve=curve[:done])
        return replace(super().make(task), curve=curve)
