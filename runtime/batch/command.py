"""`ulna detect PATH... --out FOLDER`: read all that is not read yet, then draw the tables.

The order of things: check the request; open the bundle; hold the folder; compare what its answers rest on;
choose one engine for all workers; read; draw. Nothing is written before the folder is known to fit.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import typer

from runtime.backends.base import BackendOptions
from runtime.batch import folder, journal, outputs, progress, request
from runtime.batch.cluster import Cluster, ClusterOptions, open_cluster
from runtime.batch.crew import Crew, CrewOptions
from runtime.batch.order import Order, order_of
from runtime.batch.request import BatchRequest
from runtime.batch.rows import printable
from runtime.batch.sources import Sources
from runtime.batch.task import Place
from runtime.bundle import Bundle
from runtime.errors import BackendError, UlnaError
from runtime.machine import usable_cores
from runtime.wording import NOTICE


@dataclass(frozen=True)
class _Plan:
    """One run, when all is known."""

    request: BatchRequest
    out: Path
    order: Order
    processes: int


def detect_many(asked: BatchRequest) -> bool:
    """Carry it out and say so. Returns whether any picture of the folder could not be read.

    Raises UlnaError for what cannot be done, KeyboardInterrupt after the answers so far are kept.
    """
    from runtime.reference import open_named

    assert asked.options.out is not None
    request.check(asked, asked.options.out)
    bundle = open_named(asked.bundle, None if asked.trust is None else list(asked.trust))
    with folder.locked(asked.options.out) as out:
        plan = _plan(asked, out, bundle)
        try:
            summary = _carry_out(plan)
        except KeyboardInterrupt:
            _say_stopped(out)
            raise
    _say(asked, summary)
    return bool(summary["unreadable"])


def _plan(asked: BatchRequest, out: Path, bundle: Bundle) -> _Plan:
    processes = 1 if asked.options.scheduler else asked.options.processes or usable_cores()
    threads = 0 if processes == 1 and not asked.options.scheduler else 1
    answered = next(journal.lines(folder.journal_of(out)), None) is not None
    there = folder.basis_of(out) if answered else None
    wanted = _basis(asked, bundle, asked.engine or (there.engine if there else ""))
    if there is not None:
        folder.require_same(out, there, wanted)
    engine = _engine(bundle, BackendOptions(threads=threads), asked.engine, there)
    order = replace(
        order_of(bundle, engine),
        threads=threads,
        facts=asked.facts,
        pictures=asked.pictures is not None,
        pictures_to=str(asked.pictures or ""),
    )
    if asked.pictures is not None:
        _make(asked.pictures)
    folder.begin(out, _basis(asked, bundle, engine))
    return _Plan(asked, out, order, processes)


def _basis(asked: BatchRequest, bundle: Bundle, engine: str) -> folder.Basis:
    pictures = "" if asked.pictures is None else printable(os.path.abspath(asked.pictures))  # noqa: PTH100
    name = f"{bundle.manifest.name} {bundle.manifest.version}"
    stated = {name: printable(text) for name, text in asdict(asked.facts).items()}
    return folder.Basis(bundle.digest, name, engine, pictures=pictures, **stated)


def _engine(bundle: Bundle, options: BackendOptions, named: str | None, there: folder.Basis | None) -> str:
    """The fastest that passes the self-test here; the one that is named, or was used before, if it passes."""
    from rich.console import Console

    from runtime.kept_selftest import choose_once

    try:
        with Console(stderr=True).status("testing the engines, once after a start of the machine"):
            return choose_once(bundle, options, there.engine if there else named).key
    except BackendError as error:
        if there is None:
            raise
        raise BackendError(
            f"the answers there were made with another engine than can be used here: {error}",
            "go on where they were made, or choose another folder for --out",
        ) from error


def _make(pictures: Path) -> None:
    try:
        pictures.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UlnaError(f"cannot make {pictures}: {error.strerror}", "choose another --overlay") from error


def _carry_out(plan: _Plan) -> dict[str, Any]:
    started_s = time.monotonic()
    path = folder.journal_of(plan.out)
    known = journal.tidy(path)
    if plan.request.options.retry:  # the old failures stand until there is a new answer in their place
        known -= journal.unreadable(path)
    written = [plan.out, *([plan.request.pictures] if plan.request.pictures else [])]
    sources = Sources(plan.request.paths, written)
    pace = progress.Pace(sources.count())
    with _workers(plan) as workers:
        _read_all(plan, sources, known, workers, pace)
        facts = _facts_of(workers)
    journal.tidy(path, sources.is_outdated)
    elapsed_s = time.monotonic() - started_s
    with journal.explained(plan.out):
        tally = outputs.write_tables(plan.out, path, plan.request.options.formats)
        if not tally.files:
            raise UlnaError("there is no file to read under the paths named", "check the paths")
        summary = _summary(plan, tally, sources, pace, elapsed_s) | facts
        outputs.write_summary(plan.out, summary)
    return summary


def _read_all(
    plan: _Plan, sources: Sources, known: set[bytes], workers: Crew | Cluster, pace: progress.Pace
) -> None:
    from rich.console import Console

    with (
        journal.Journal(folder.journal_of(plan.out)) as kept,
        progress.shown(Console(stderr=True), pace) as update,
    ):

        def on_known(place: Place) -> None:
            pace.before += 1
            update()

        for answer in workers.answers(sources.tasks(known, on_known)):
            kept.append(answer.to_json())
            pace.done += 1
            pace.unreadable += answer.findings["refusal"] is not None
            update()


@contextlib.contextmanager
def _workers(plan: _Plan) -> Iterator[Crew | Cluster]:
    options = plan.request.options
    if options.scheduler:
        with open_cluster(ClusterOptions(options.scheduler, options.limit_s), plan.order) as cluster:
            yield cluster
    else:
        with Crew(plan.order, CrewOptions(plan.processes, options.limit_s)) as crew:
            yield crew


def _facts_of(workers: Crew | Cluster) -> dict[str, Any]:
    if isinstance(workers, Cluster):
        return {"processes": workers.threads, "scheduler": True, "workers_replaced": None}
    return {"processes": workers.size, "scheduler": False, "workers_replaced": workers.replaced}


def _summary(
    plan: _Plan, tally: outputs.Tally, sources: Sources, pace: progress.Pace, elapsed_s: float
) -> dict[str, Any]:
    source = plan.order.nobody
    return {
        "schema": 1,
        "files": tally.files,
        "verdicts": dict(sorted(tally.verdicts.items())),
        "unreadable": tally.unreadable,
        "refusals": dict(sorted(tally.refusals.items())),
        "not_looked_at": sources.missed.to_json(),
        "read_now": pace.done,
        "read_before": pace.before,
        "seconds": round(elapsed_s, 3),
        "files_per_second": round(pace.done / elapsed_s, 3),
        "engine": plan.order.engine,
        "bundle": f"{source.bundle_name} {source.bundle_version}",
        "bundle_sha256": source.bundle_sha256,
        "model_sha256": source.model_sha256,
        "notice": NOTICE,
    }


def _say(asked: BatchRequest, summary: dict[str, Any]) -> None:
    from runtime.cli_examination import say, shown

    if asked.as_json:
        typer.echo(json.dumps(summary, indent=2, allow_nan=False))
        return
    assert asked.options.out is not None
    say([*_in_words(summary), f"answers: {shown(asked.options.out / journal.NAME)}", summary["notice"]])


def _in_words(summary: dict[str, Any]) -> Iterable[str]:
    verdicts, missed = summary["verdicts"], summary["not_looked_at"]
    yield (
        f"{summary['files']} files: {verdicts.get('fracture', 0)} fracture suspected, "
        f"{verdicts.get('doubt', 0)} doubtful, {verdicts.get('none', 0)} no fracture found, "
        f"{summary['unreadable']} could not be read"
    )
    if summary["refusals"]:
        yield f"  not read: {_counts(summary['refusals'])}; see failures.csv"
    if any(missed.values()):
        yield f"  not looked at: {_counts(missed)}"
    before = f", {summary['read_before']} stood there before" if summary["read_before"] else ""
    yield (
        f"  {summary['read_now']} read in {summary['seconds']:.1f} s "
        f"({summary['files_per_second']:.1f} a second) with {summary['engine']}{before}"
    )


def _counts(table: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in table.items() if count)


def _say_stopped(out: Path) -> None:
    from runtime.cli_examination import shown

    kept = sum(1 for _ in journal.lines(folder.journal_of(out)))
    typer.echo(f"stopped: {kept} answers are kept in {shown(out)}", err=True)
    typer.echo("hint: run the same command again to go on", err=True)
