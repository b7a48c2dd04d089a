"""The whole search: batch after batch is drawn, made, timed and told; then the choice, then the gates.

Killed at any point it goes on from there with the same trials: what a trial became lies in its folder, what
was drawn in search.sqlite. Latency is measured after the trials of a batch have been made, one after the
other and on the same worker, so that no training runs beside. The number of workers changes nothing but the
time it takes; a measured latency differs a little each time, as on any machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.markup import escape

from compress.lock import alone_in
from compress.progress import ProgressReporter
from compress.search.attempts import Attempt, judge_attempt
from compress.search.choice import Chosen, choose
from compress.search.outcome import DONE, Outcome, load_outcome
from compress.search.picture import PICTURE, draw
from compress.search.plan import SearchPlan
from compress.search.pool import Pool, PoolOptions, open_pool
from compress.search.record import SearchRecord, write
from compress.search.stopping import Curves, curves_of
from compress.search.study import Trials
from compress.search.tables import line
from compress.search.workshop import TRIALS, Task, Workshop
from compress.workbench import describe_machine
from runtime.errors import StepError


@dataclass(frozen=True)
class SearchRequest:
    """folder: of the search; it must be the same path for all workers. pool: who does the work."""

    folder: Path
    pool: PoolOptions = field(default_factory=PoolOptions)


def run_search(
    plan: SearchPlan, request: SearchRequest, workshop: Workshop, reporter: ProgressReporter
) -> SearchRecord:
    """Search and write search.json and search.md after every batch, and search.png at the end.

    Raises StepError where the folder holds another search or another process is at work in it, where no
    scheduler answers, and after everything was written where no trial at all has figures.
    """
    folder = request.folder.absolute()
    with alone_in(folder / TRIALS):
        search = _Search(plan, folder, workshop, reporter)
        try:
            with open_pool(request.pool, plan.options.retries) as pool:
                record = search.run(pool)
        except KeyboardInterrupt:
            reporter.say(
                "[yellow]interrupted: the same command goes on with the trials that are not done[/yellow]"
            )
            raise
    if not any(outcome.status == DONE for outcome in record.outcomes):
        raise StepError("no trial has figures to choose by", "see search.md for each reason")
    return record


class _Search:
    """What all batches need."""

    def __init__(
        self, plan: SearchPlan, folder: Path, workshop: Workshop, reporter: ProgressReporter
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._workshop = workshop
        self._reporter = reporter
        self._trials = Trials(folder, plan)
        self._session = uuid4().hex
        self._started = time.monotonic()

    def run(self, pool: Pool) -> SearchRecord:
        data = self._workshop.prepare(self._reporter)
        outcomes: list[Outcome] = []
        batches = self._plan.options.trials // self._plan.options.batch
        for batch in range(batches):
            self._reporter.say(f"[bold]batch {batch + 1} of {batches}[/bold]")
            done = self._run_batch(pool, batch, outcomes)
            self._trials.tell(done)
            outcomes += done
            record = self._record(data, outcomes, choose(self._plan, outcomes), {})
            write(record, self._folder)
        record = replace(record, verdicts=self._ask_gates(pool, record))
        record = replace(record, seconds=self._seconds)
        write(record, self._folder)
        draw(self._plan, record.outcomes, record.chosen, self._folder / PICTURE)
        return record

    def _run_batch(self, pool: Pool, batch: int, earlier: list[Outcome]) -> list[Outcome]:
        curves = curves_of(earlier) if self._plan.options.stop_early else ()
        first, drawn = batch * self._plan.options.batch, self._trials.draw(batch)
        attempts = [self._attempt(first + place, params, curves) for place, params in enumerate(drawn)]
        found = {a.task.number: known for a in attempts if (known := _known(a)) is not None}
        new = [attempt for attempt in attempts if attempt.task.number not in found]
        with self._reporter.task("trials") as advance:

            def ended(outcome: Outcome) -> None:
                self._reporter.say(f"  {escape(line(outcome))}")
                found[outcome.number] = outcome
                advance(len(found), len(attempts))

            pool.make(new, ended)
        return [self._timed(pool, attempt, found[attempt.task.number]) for attempt in attempts]

    def _timed(self, pool: Pool, attempt: Attempt, outcome: Outcome) -> Outcome:
        return outcome if outcome.is_final else pool.measure(attempt, outcome)

    def _attempt(self, number: int, params: dict[str, Any], curves: Curves = ()) -> Attempt:
        task = Task(number, params, self._folder / TRIALS / f"{number:04d}", curves)
        options = self._plan.options
        return Attempt(self._workshop, task, self._session, options.retries)

    def _ask_gates(self, pool: Pool, record: SearchRecord) -> dict[int, dict[str, Any]]:
        """Of the trials that no other beats, after the choice, which they do not change."""
        if not self._plan.options.gate:
            return {}
        verdicts = {}
        with self._reporter.task("gates") as advance:
            for done, number in enumerate(record.chosen.front, 1):
                outcome = record.outcomes[number]
                verdict = pool.alone(judge_attempt, self._attempt(number, outcome.params), outcome)
                lost = {"passed": False, "stopped": [], "reason": "its worker died"}
                verdicts[number] = lost if verdict is None else verdict
                advance(done, len(record.chosen.front))
        return verdicts

    @property
    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 1)

    def _record(
        self, data: dict[str, Any], outcomes: list[Outcome], chosen: Chosen, verdicts: dict[int, Any]
    ) -> SearchRecord:
        return SearchRecord(
            plan=self._plan,
            data=data,
            machine=describe_machine(),
            seconds=self._seconds,
            outcomes=tuple(outcomes),
            chosen=chosen,
            verdicts=verdicts,
        )


def _known(attempt: Attempt) -> Outcome | None:
    """What an earlier call left for the same parameters."""
    found = load_outcome(attempt.task.folder)
    return found if found is not None and found.params == attempt.task.params else None
