"""One run of one recipe: data, trunk, branches, release, report. Interrupted, it goes on from there."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compress import metrics, trunk
from compress.artifact import STATUS_OK
from compress.branches import Graft, branch_nodes, grow_branches
from compress.breakdown import measure_without
from compress.changed import picture_changes
from compress.checkpoint import check_model, open_checkpoint, open_onnx
from compress.cross_validation import require_enough_images, require_enough_patients
from compress.datasets.base import Case
from compress.evaluate import nothing_known, predict_shown
from compress.golden import GoldenPool
from compress.golden_sources import golden_pool, keep_agreeing
from compress.judgement import Court
from compress.ledger import Ledger
from compress.metadata import facts_of_case
from compress.power import power_of_cases
from compress.power_tables import power_lines
from compress.predictions import Predictions
from compress.progress import ProgressReporter
from compress.qat.run import School
from compress.recipe import Recipe
from compress.record import RunRecord
from compress.release import ReleasePlan, Shippable, release
from compress.report import ChangedPage, write_report
from compress.report.card import write_card
from compress.report.table import step_table
from compress.seen import SeenImages, seen_in
from compress.steps.statistics import detector_of
from compress.workbench import Workbench, describe_machine, open_workbench, recipe_table
from runtime import selftest
from runtime.backends.registry import open_backend
from runtime.bundle import Bundle
from runtime.errors import GateError, StepError
from runtime.metadata import PatientFacts

BUNDLE = "bundle"
RECORD = "run.json"
REPORT = "report.html"
CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class RunOptions:
    """folder: of the run. data: a folder with labels.csv, None for synthetic radiographs. key: that signs."""

    folder: Path
    data: Path | None
    key: Ed25519PrivateKey


class Source(Protocol):
    """What a run begins with: data and a recipe alone, or a released model too (compress.improve)."""

    beginning: trunk.Beginning | None

    def open_bench(self, recipe: Recipe, options: RunOptions, reporter: ProgressReporter) -> Workbench:
        """The cases, divided, and their tensors."""
        ...

    def lineage(self, court: Court) -> dict[str, Any]:
        """What the released model was and how the new one compares (JSON-safe); {} without one."""
        ...

    def seen(self, bench: Workbench) -> SeenImages:
        """The images that all of it was made with."""
        ...


class FromRecipe:
    """Data and a recipe alone."""

    beginning: trunk.Beginning | None = None

    def open_bench(self, recipe: Recipe, options: RunOptions, reporter: ProgressReporter) -> Workbench:
        """See compress.workbench."""
        bench = open_workbench(recipe, options.folder, options.data, reporter)
        require_enough_patients(bench)
        return bench

    def lineage(self, court: Court) -> dict[str, Any]:
        """There is none."""
        return {}

    def seen(self, bench: Workbench) -> SeenImages:
        """Those of this run."""
        return seen_in(bench.splits, bench.dataset.image_digests)


_FROM_RECIPE = FromRecipe()


def run_pipeline(
    recipe: Recipe, options: RunOptions, reporter: ProgressReporter, source: Source = _FROM_RECIPE
) -> RunRecord:
    """Run the whole tree; the record and the report are written whatever the gates say.

    Raises GateError when a gate stopped something, CompressError when a step could not be carried out:
    both after everything else was done, so that one target's failure costs the others nothing.
    """
    try:
        return _run(recipe, options, reporter, source)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise StepError(
            f"cannot write or read{where}: {error.strerror or error}",
            f"is there room, and may you write in {options.folder}? Then run again: what is done is kept",
        ) from error


def _run(recipe: Recipe, options: RunOptions, reporter: ProgressReporter, source: Source) -> RunRecord:
    # An impossible target or network is refused before hours are spent; a released one needs no weights.
    nodes = (*trunk.trunk_nodes(recipe, source.beginning), *branch_nodes(recipe))
    if source.beginning is None:
        check_model(recipe)
    started, started_utc = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    bench = source.open_bench(recipe, options, reporter)
    require_enough_images(bench)
    power = _foresee(bench)
    ledger = Ledger(bench.steps, reporter)
    shown: dict[str, Any] = {}
    try:
        _grow(bench, ledger, _Ending(source, options.key), shown)
    finally:
        for node in nodes:
            ledger.skip_unless_made(node)
        if "release" not in shown:
            _set_aside(options.folder / BUNDLE, reporter)
        record = RunRecord(
            recipe=recipe_table(recipe),
            data=bench.describe_data(),
            machine=describe_machine(),
            started_utc=started_utc,
            power=power,
            seconds=round(time.monotonic() - started, 1),
            nodes=ledger.nodes,
            history=ledger.histories,
            **shown,
        )
        _write(record, options.folder, picture_changes(record, bench, options.folder))
    _show(record, options.folder, reporter)
    _raise_what_went_wrong(ledger, record)
    return record


def _foresee(bench: Workbench) -> dict[str, Any]:
    """What the gate patients can show, said before anything is trained. May raise StepError."""
    found = power_of_cases(bench.splits.gate, bench.recipe)
    for line in power_lines(found):
        bench.reporter.say(line)
    return found.to_json()


@dataclass(frozen=True)
class _Ending:
    """What a release needs besides the tree."""

    source: Source
    key: Ed25519PrivateKey


def _grow(bench: Workbench, ledger: Ledger, ending: _Ending, shown: dict[str, Any]) -> None:
    """The tree, the release and its figures on the test patients; `shown` is filled for the record."""
    stem = trunk.grow_trunk(bench, ledger, ending.source.beginning)
    shown["lineage"] = ending.source.lineage(stem.court)
    shown["operating_points"] = vars(stem.court.points)
    shown["expectation"] = stem.expectation
    shown["examination"] = asdict(stem.examination)
    shown["metadata"] = stem.metadata
    if stem.exported is None or stem.predictions is None:
        return
    anomaly = None if stem.statistics is None else detector_of(stem.statistics, bench.recipe.anomaly)
    school = None if stem.ripe is None else School(stem.ripe, stem.checkpoint, stem.statistics)
    graft = Graft(bench, ledger, stem.court, stem.exported, stem.predictions, anomaly, stem.whole, school)
    shippable = grow_branches(graft)
    if not _has_any(shippable):
        return
    pool = golden_pool(bench, stem, shippable, lambda: open_checkpoint(stem.checkpoint.path))
    shippable = keep_agreeing(pool, shippable, ledger)
    if not _has_any(shippable):
        return
    bundle = _release(bench, ledger, stem, pool.of([item.key for item in shippable]), shippable, ending)
    choice = selftest.choose(bundle)
    bench.reporter.say(f"[bold]self-test[/bold]\n  {choice.reason}")
    shown["release"] = {
        "path": BUNDLE,
        "digest": bundle.digest,
        "signed_by": bundle.signed_by,
        "engine": choice.key,
        "reason": choice.reason,
    }
    if not bench.splits.test:
        return
    shown["test"] = {"engine": choice.key, **_final_figures(bench, stem.court, bundle, choice.key)}
    if stem.metadata:
        withheld = _final_figures(bench, stem.court, bundle, choice.key, nothing_known)
        shown["metadata"] = {**stem.metadata, "test_withheld": withheld}


def _has_any(shippable: tuple[Shippable, ...]) -> bool:
    """Whether this machine has an engine to release, and not only what a device is to build."""
    return any(item.artifact.status == STATUS_OK for item in shippable)


def _set_aside(bundle: Path, reporter: ProgressReporter) -> None:
    """A bundle of a former run must not pass for the result of this one, which released nothing."""
    if not bundle.is_dir():
        return
    kept = bundle.with_name(f"{bundle.name}.former")
    shutil.rmtree(kept, ignore_errors=True)
    bundle.rename(kept)
    reporter.say(f"[yellow]nothing was released; the bundle of a former run is now {kept.name}[/yellow]")


def _release(
    bench: Workbench,
    ledger: Ledger,
    stem: trunk.Trunk,
    golden: GoldenPool,
    shippable: tuple[Shippable, ...],
    ending: _Ending,
) -> Bundle:
    lineage = ending.source.lineage(stem.court)
    assert stem.exported is not None
    graph = stem.exported.path
    plan = ReleasePlan(
        recipe=bench.recipe,
        points=stem.court.points,
        reference=stem.court.reference,
        golden=golden,
        shippable=shippable,
        nodes=ledger.nodes,
        provenance={
            "recipe": recipe_table(bench.recipe),
            "data": bench.describe_data(),
            "versions": describe_machine()["versions"],
            **({"lineage": lineage} if lineage else {}),
        },
        statistics=stem.statistics,
        examination=stem.examination,
        seen=ending.source.seen(bench),
        origin=lambda: open_onnx(graph),
    )
    bench.reporter.say("[bold]release[/bold]")
    bundle = release(plan, bench.folder / BUNDLE, ending.key)
    bench.reporter.say(f"  {bundle.root.name}: {bundle.digest[:12]}, signed by {bundle.signed_by}")
    _say_unplaced(bundle, bench.reporter)
    return bundle


def _say_unplaced(bundle: Bundle, reporter: ProgressReporter) -> None:
    """Engines of which the golden cases hold no maps."""
    keys = ", ".join(entry.key for entry in bundle.manifest.engines if entry.map_tolerance is None)
    if keys:
        words = f"no self-test checks where {keys} looks: its own errors would hide a wrong place"
        reporter.say(f"  [yellow]{words}[/yellow]")


def _final_figures(
    bench: Workbench,
    court: Court,
    bundle: Bundle,
    engine_key: str,
    facts: Callable[[Case], PatientFacts] = facts_of_case,
) -> dict[str, Any]:
    """The shipped model, at the thresholds it ships with, on patients that no decision has looked at."""
    entry = bundle.entry(engine_key)
    points = bundle.manifest.points_of(entry)
    spec = replace(court.spec, operating_points=points)
    backend = open_backend(entry.engine, bundle.model_files(entry))
    try:
        with bench.reporter.task("test patients") as advance:
            seen = predict_shown(backend, spec, bench.tensors, bench.splits.test, advance, facts)
    finally:
        backend.close()

    def judge(kept: Predictions) -> metrics.MetricsReport:
        return metrics.measure(kept, points, court.confidence)

    without = measure_without(seen, bench.splits.test, bench.recipe.data.also_without, judge)
    own = {} if entry.operating_points is None else {"operating_points": vars(points).copy()}
    return {**judge(seen).to_json(), "without": metrics.parts_to_json(without), **own}


def _write(record: RunRecord, folder: Path, changed: ChangedPage) -> None:
    partial = folder / f"{RECORD}.partial"
    partial.write_text(json.dumps(record.to_json(), indent=1, allow_nan=False), encoding="utf-8")
    partial.replace(folder / RECORD)
    write_report(record, folder / REPORT, changed)
    if record.release:
        write_card(record, folder / CARD)


def _show(record: RunRecord, folder: Path, reporter: ProgressReporter) -> None:
    reporter.console.print(step_table(record))
    reporter.say(f"report: {folder / REPORT}")
    if record.release:
        reporter.say(f"bundle: {folder / BUNDLE} ({record.release['reason']})")


def _raise_what_went_wrong(ledger: Ledger, record: RunRecord) -> None:
    if ledger.gate_stopped:
        names = ", ".join(ledger.gate_stopped)
        raise GateError(
            f"gate not passed: {names}",
            {node.name: node.verdict for node in record.nodes if node.name in ledger.gate_stopped},
            f"see {REPORT} and steps/NAME/gate/verdict.json; what did pass is in the bundle"
            if record.release
            else f"see {REPORT} and steps/NAME/gate/verdict.json; nothing was released",
        )
    if ledger.failed:
        raise StepError(f"could not be made: {', '.join(ledger.failed)}", f"see {REPORT} for each reason")
