"""The whole suite: a clean run, further clean ones, then every fault; kept as it goes, gone on with later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.markup import escape

from compress.faults.alone import put_in_alone
from compress.faults.bed import Bed
from compress.faults.catch import catches
from compress.faults.fault import Fault
from compress.faults.outcome import ALARM, CLEAN, Outcome, load_outcome, save_outcome
from compress.faults.put_in import put_in
from compress.lock import alone_in
from compress.own_code import own_code
from compress.pipeline import RECORD, RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.workbench import describe_machine
from runtime.errors import StepError, UlnaError
from runtime.trust import generate_key, load_private_key, save_private_key

RESULT = "faults.json"
_OUTCOME = "outcome.json"
_KEY = "key.pem"


@dataclass(frozen=True)
class SuiteOptions:
    """folder: of everything. data: a folder with labels.csv, None for computed radiographs. clean_runs: how
    many runs without a fault, each with a seed of its own; the faults go into the first. at_least 1.
    """

    folder: Path
    data: Path | None = None
    clean_runs: int = 1


@dataclass(frozen=True)
class SuiteResult:
    """clean: one a run without a fault. faults: in the catalogue's order. machine: see run.json."""

    recipe: str
    machine: dict[str, Any]
    clean: tuple[Outcome, ...]
    faults: tuple[Outcome, ...]

    @property
    def wrong(self) -> tuple[Outcome, ...]:
        """Missed faults and false alarms."""
        return tuple(outcome for outcome in (*self.clean, *self.faults) if outcome.wrong)

    def to_json(self) -> dict[str, Any]:
        """As faults.json holds it."""
        return {
            "schema": 1,
            "recipe": self.recipe,
            "machine": self.machine,
            "clean": [outcome.to_json() for outcome in self.clean],
            "faults": [outcome.to_json() for outcome in self.faults],
        }


def run_suite(
    recipe: Recipe, faults: Sequence[Fault], options: SuiteOptions, reporter: ProgressReporter
) -> SuiteResult:
    """Run it and write faults.json after every outcome. What was found with this very code is kept.

    Raises StepError where the clean run cannot be made or does not pass, for then no fault can be told from
    it, and where another process is at work in the folder.
    """
    options.folder.mkdir(parents=True, exist_ok=True)
    with alone_in(options.folder / "suite"):
        suite = _Suite(recipe, options, reporter, _throw_away_key(options.folder))
        return suite.run(faults)


class _Suite:
    """What all runs of it share."""

    def __init__(
        self, recipe: Recipe, options: SuiteOptions, reporter: ProgressReporter, key: Ed25519PrivateKey
    ) -> None:
        self._options = options
        self._reporter = reporter
        self._key = key
        self._code = own_code()
        self._result = SuiteResult(recipe.name, describe_machine(), (), ())
        self._recipes = [replace(recipe, seed=recipe.seed + i) for i in range(max(1, options.clean_runs))]

    def run(self, faults: Sequence[Fault]) -> SuiteResult:
        for recipe in self._recipes:
            self._note(clean=(*self._result.clean, self._clean(recipe)))
        first = self._result.clean[0]
        if first.wrong:
            raise StepError(
                f"the clean run does not pass ({first.reason or first.catches[0].words})",
                f"no fault can be told from it; see {self._bed(self._recipes[0]).folder}/report.html",
            )
        bed = self._bed(self._recipes[0])
        for number, fault in enumerate(faults, 1):
            self._reporter.say(f"[bold]{number} of {len(faults)}: {escape(fault.title)}[/bold]")
            self._note(faults=(*self._result.faults, self._fault(bed, fault)))
        return self._result

    def _bed(self, recipe: Recipe) -> Bed:
        return Bed(self._options.folder / f"clean-{recipe.seed}", recipe, self._options.data, self._key)

    def _clean(self, recipe: Recipe) -> Outcome:
        bed, title = self._bed(recipe), f"no fault, seed {recipe.seed}"
        self._reporter.say(f"[bold]{title}[/bold]")
        error: UlnaError | None = None
        try:
            run_pipeline(recipe, RunOptions(bed.folder, bed.data, bed.key), self._reporter)
        except UlnaError as raised:
            error = raised
        record = bed.record() if (bed.folder / RECORD).is_file() else {}
        outcome = Outcome(
            f"clean-{recipe.seed}",
            title,
            "",
            CLEAN if error is None else ALARM,
            catches(record, error),
            reason="" if error is None else str(error),
            seconds=record.get("seconds", 0.0),
        )
        self._say(outcome)
        return outcome

    def _fault(self, bed: Bed, fault: Fault) -> Outcome:
        folder = self._options.folder / fault.name
        key = hashlib.sha256(
            json.dumps([self._code, bed.record()["release"]["digest"], str(bed.data)]).encode()
        ).hexdigest()
        outcome = load_outcome(folder / _OUTCOME, key)
        if outcome is None:
            how: Callable[[Bed, Fault, Path], Outcome] = put_in_alone if fault.environment else put_in
            outcome = how(bed, fault, folder)
            folder.mkdir(exist_ok=True)
            save_outcome(outcome, folder / _OUTCOME, key)
        self._say(outcome)
        return outcome

    def _say(self, outcome: Outcome) -> None:
        colour = "red" if outcome.wrong else "green"
        where = "; ".join(f"{catch.step}: {catch.by}" for catch in outcome.catches) or outcome.reason
        words = f"{outcome.status}{f', {where}' if where else ''}, {outcome.seconds:.0f} s"
        self._reporter.say(f"  [{colour}]{escape(words)}[/{colour}]")

    def _note(self, **changes: tuple[Outcome, ...]) -> None:
        self._result = replace(self._result, **changes)  # type: ignore[arg-type]
        partial = self._options.folder / f"{RESULT}.partial"
        partial.write_text(json.dumps(self._result.to_json(), indent=1, allow_nan=False), encoding="utf-8")
        partial.replace(self._options.folder / RESULT)


def _throw_away_key(folder: Path) -> Ed25519PrivateKey:
    """Of this suite alone and trusted by nobody."""
    path = folder / _KEY
    if not path.is_file():
        save_private_key(generate_key(), path)
    return load_private_key(path)
