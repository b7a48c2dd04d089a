"""What is done for a trial, apart from who does it and how often it is tried."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from rich.console import Console

from compress.options.data import IGNORE
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.search.outcome import DONE, IMPOSSIBLE, MADE, STOPPED, Outcome
from compress.search.plan import SearchPlan
from compress.search.space import Params
from compress.search.stopping import Curves, is_hopeless, words
from compress.search.store import SharingLedger, when_free
from runtime import machine
from runtime.backends.feeds import image_alone
from runtime.errors import RecipeError, StepError
from runtime.latency import LatencyOptions, measure

if TYPE_CHECKING:  # what brings torch along is imported by the workers that need it
    from compress.training.history import History
    from compress.workbench import Workbench

STORE, SHARED, TRIALS = "steps", "shared", "trials"
LOG, IMAGE = "log.txt", "image.npy"
_LATENCY = "latency_ms"


@dataclass(frozen=True)
class Task:
    """A trial to be made. folder: of the trial. curves: of earlier batches, to stop it by; () never stops."""

    number: int
    params: Params
    folder: Path
    curves: Curves = ()


class Workshop(Protocol):
    """Makes trials. It is sent to the workers, so it must be picklable; results must not depend on it."""

    def prepare(self, reporter: ProgressReporter) -> dict[str, Any]:
        """Before the first trial: refuse data that cannot be used, and describe them (JSON-safe)."""
        ...

    def make(self, task: Task) -> Outcome:
        """Everything but the latency; `made` where that is wanted. Raises UlnaError for what failed."""
        ...

    def measure(self, outcome: Outcome, folder: Path) -> Outcome:
        """Time it: called when nothing else runs. Returns the outcome as `done`."""
        ...

    def judge(self, outcome: Outcome, folder: Path) -> dict[str, Any]:
        """The verdict of the gates on their own patients (JSON-safe)."""
        ...


class HopelessError(StepError):
    """A training that was stopped. curve: its calibration AUROC by epoch."""

    def __init__(self, curve: tuple[float, ...], earlier: Curves) -> None:
        super().__init__(words(curve, earlier))
        self.curve = curve


@dataclass(frozen=True)
class RecipeWorkshop:
    """Trains, compiles and measures. folder: of the search, on a disk that all workers share. data: as for a
    run.
    """

    plan: SearchPlan
    folder: Path
    data: Path | None

    def prepare(self, reporter: ProgressReporter) -> dict[str, Any]:
        """As a run does before it trains; look-alikes are looked for here and not again in every trial."""
        from compress.cross_validation import require_enough_patients

        recipe = self.plan.recipe({})
        bench = _open_bench(recipe, self.folder / SHARED, self.data, reporter)
        require_enough_patients(bench)
        return bench.describe_data()

    def make(self, task: Task) -> Outcome:
        """One tree in the trial's folder; its log lies there too."""
        from compress.search.tree import grow, require_possible

        _use_threads(self.plan.options.threads)
        try:
            recipe = self.plan.recipe(task.params)
            require_possible(recipe)
        except RecipeError as error:
            reason = "; ".join(filter(None, (str(error), error.hint)))
            return Outcome(task.number, task.params, IMPOSSIBLE, reason=reason)
        with self._bench(recipe, task.folder) as (bench, ledger):
            try:
                grown = grow(bench, ledger, lambda history: _watch(history, task.curves))
            except HopelessError as stop:
                return Outcome(task.number, task.params, STOPPED, reason=str(stop), curve=stop.curve)
            np.save(task.folder / IMAGE, bench.tensors.tensor(bench.splits.calibration[0]))
        timed = _LATENCY in self.plan.options.objectives
        return Outcome(
            task.number,
            task.params,
            MADE if timed else DONE,
            grown.figures,
            curve=grown.curve,
            digests=grown.digests,
        )

    def measure(self, outcome: Outcome, folder: Path) -> Outcome:
        """Median of one image on the engine that would ship."""
        from compress.branches import branch_nodes, target_of
        from compress.step import load_step

        recipe = self.plan.recipe(outcome.params)
        compiled = load_step(folder / STORE / branch_nodes(recipe)[-1].name)
        if compiled is None:
            raise StepError(f"trial {outcome.number} has lost its engine", f"delete {folder} and run again")
        backend = target_of(recipe.targets[0]).open(compiled).open_backend()
        try:
            seen = measure(backend, image_alone(backend.inputs, np.load(folder / IMAGE)), LatencyOptions())
        finally:
            backend.close()
        figures = {**outcome.figures, _LATENCY: seen.p50_ms}
        return replace(outcome, status=DONE, figures=figures, machine=machine.describe().cpu)

    def judge(self, outcome: Outcome, folder: Path) -> dict[str, Any]:
        """By the code of a run, with the trial's own recipe."""
        from compress.search.tree import ask_gate

        _use_threads(self.plan.options.threads)
        with self._bench(self.plan.recipe(outcome.params), folder) as (bench, ledger):
            return ask_gate(bench, ledger)

    @contextmanager
    def _bench(self, recipe: Recipe, folder: Path) -> Iterator[tuple[Workbench, SharingLedger]]:
        folder.mkdir(parents=True, exist_ok=True)
        shared = self.folder / SHARED
        known = replace(recipe, data=replace(recipe.data, look_alikes=IGNORE))
        with (folder / LOG).open("a", encoding="utf-8") as stream:
            reporter = ProgressReporter(Console(file=stream, width=120))
            with when_free(shared):  # two that preprocess the same images would write into one file
                bench = _open_bench(known, shared, self.data, reporter)
            own = replace(bench, recipe=recipe, folder=folder)
            yield own, SharingLedger(own.steps, self.folder / STORE, reporter)


def _open_bench(recipe: Recipe, folder: Path, data: Path | None, reporter: ProgressReporter) -> Workbench:
    from compress.workbench import open_workbench

    return open_workbench(recipe, folder, data, reporter)


def _use_threads(threads: int) -> None:
    """Sums in another order are other numbers: results must not depend on how many workers there are."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)


def _watch(history: History, earlier: Curves) -> None:
    """Raise HopelessError at the first epoch after which the training should have ended."""
    curve = tuple(round(epoch.calibration_auroc, 6) for epoch in history.epochs)
    for done in range(1, len(curve) + 1):
        if is_hopeless(curve[:done], earlier):
            raise HopelessError(curve[:done], earlier)
