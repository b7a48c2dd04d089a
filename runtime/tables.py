"""How reports look on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from runtime.bench import BenchReport
from runtime.bundle import Bundle
from runtime.doctor import DoctorReport
from runtime.examination import ExaminationSpec
from runtime.findings import OperatingPoints
from runtime.golden import EngineResult
from runtime.machine import Machine
from runtime.manifest import EngineEntry
from runtime.metadata import MetadataSpec

_GATE_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def verify_json(bundle: Bundle) -> dict[str, Any]:
    """What `ulna verify --json` prints for a bundle that is as its maker signed it."""
    manifest, use = bundle.manifest, bundle.manifest.intended_use
    return {
        "ok": True,
        "name": manifest.name,
        "version": manifest.version,
        "created_utc": manifest.created_utc,
        "sha256": bundle.digest,
        "signed_by": bundle.signed_by,
        "intended_use": use.statement,
        "body_parts": list(use.body_parts),
        "ages_years": use.ages_years and list(use.ages_years),
        "views": list(use.views),
        "files": len(manifest.files),
        "size_bytes": sum(entry.size_bytes for entry in manifest.files.values()),
        "engines": [_engine_json(entry) for entry in manifest.engines],
        "operating_points": vars(manifest.operating_points),
        "examination": _examination_json(manifest.examination),
        **({} if manifest.metadata is None else {"metadata": asdict(manifest.metadata)}),
        "golden_cases": len(manifest.golden),
        "gates": [{"node": _gate_name(gate), "outcome": gate.get("outcome")} for gate in manifest.gates],
    }


def verify_table(bundle: Bundle) -> RenderableType:
    """The same for people."""
    facts = verify_json(bundle)
    manifest, use = bundle.manifest, bundle.manifest.intended_use
    table = _facts(
        ("bundle", f"{facts['name']} {facts['version']}, made {facts['created_utc']}"),
        ("sha256", bundle.digest),
        ("signed by", f"{bundle.signed_by} (trusted)"),
        ("files", f"{facts['files']} files, {_megabytes(facts['size_bytes'])}, all as signed"),
        ("intended use", use.statement or "not stated"),
        ("body parts", ", ".join(use.body_parts) or "not stated"),
        ("ages", _ages_text(use.ages_years)),
        ("views", ", ".join(use.views) or "not stated"),
        ("thresholds", _points_text(manifest.operating_points)),
        ("examinations", _examination_text(manifest.examination)),
        ("beside the picture", _metadata_text(manifest.metadata)),
        ("golden cases", str(len(manifest.golden))),
        ("engines", "\n".join(_engine_text(entry) for entry in manifest.engines)),
    )
    gates = _table("gates", "gate", "outcome", "numerics from")
    for gate in manifest.gates:
        outcome = str(gate.get("outcome", "not stated"))
        colour = _GATE_COLOURS.get(outcome, "red")
        gates.add_row(
            escape(_gate_name(gate)),
            f"[{colour}]{escape(outcome)}[/]",
            escape(str(gate.get("numerics_from") or "itself")),
        )
    return Group(table, gates) if manifest.gates else Group(table, "the bundle carries no gate verdicts")


def _ages_text(ages_years: tuple[float, float] | None) -> str:
    return "not stated" if ages_years is None else f"{ages_years[0]:g} to {ages_years[1]:g} years"


def _metadata_text(spec: MetadataSpec | None) -> str:
    if spec is None:
        return "nothing"
    known = {name: ", ".join(spec.words(name)) for name in spec.fields}
    said = (f"{name.replace('_', ' ')} ({words})" if words else name for name, words in known.items())
    return f"{'; '.join(said)}; all of it may be missing"


def _engine_json(entry: EngineEntry) -> dict[str, Any]:
    own = {"operating_points": entry.operating_points, "examination_points": entry.examination_points}
    moved = {name: vars(points) for name, points in own.items() if points is not None}
    return {"key": entry.key, "status": entry.status, "note": entry.note, **moved}


def _engine_text(entry: EngineEntry) -> str:
    said = f"{entry.key}: {entry.status} {entry.note}".rstrip()
    if entry.operating_points is not None:
        said += f"; by thresholds of its own: {_points_text(entry.operating_points)}"
    if entry.examination_points is not None:
        said += f"; for several views: {_points_text(entry.examination_points)}"
    return said


def _examination_json(spec: ExaminationSpec) -> dict[str, Any]:
    own = spec.operating_points
    return {"rule": spec.rule, "operating_points": None if own is None else vars(own)}


def _examination_text(spec: ExaminationSpec) -> str:
    own = spec.operating_points
    return f"{spec.rule}, {'thresholds as for one image' if own is None else _points_text(own)}"


def _points_text(points: OperatingPoints) -> str:
    return f"doubt from {points.high_sensitivity:.3f} on, fracture from {points.high_specificity:.3f} on"


def doctor_tables(report: DoctorReport) -> Iterable[RenderableType]:
    """Machine, engines and, with a bundle, what the self-test said."""
    yield _machine(report.machine)
    engines = _table("engines on this machine", "engine", "version", "state")
    for engine in report.engines:
        found = ", ".join(report.devices.get(engine.engine, ()))
        installed = (
            f"[green]runs on {found}[/]" if found else "[yellow]installed, but no device for it here[/]"
        )
        engines.add_row(
            engine.engine, engine.version or "-", installed if engine.installed else escape(engine.reason)
        )
    yield engines
    yield "pictures are read in a process of their own, " + (
        f"but [yellow]{escape(report.reading)}[/]"
        if report.reading
        else "[green]without files, network or other programs[/]"
    )
    if report.results:
        yield _self_test(report.results)
    if report.choice is not None:
        yield f"would use {report.choice.reason}"


def bench_tables(report: BenchReport) -> Iterable[RenderableType]:
    """Figures of each engine and what they belong to."""
    bundle = report.bundle
    named = f"{bundle['name']} {bundle['version']} (sha256 {bundle['sha256'][:12]})"
    yield f"{named}, {report.threads} threads, batch 1"
    yield _machine(report.machine)
    table = _table("measured, one process each", "engine")
    for name in ("p50 ms", "p90 ms", "p99 ms", "runs", "load ms", "peak MB", "own MB", "file MB"):
        table.add_column(name, justify="right")
    for result in report.results:
        table.add_row(*_bench_row(result))
    yield table
    yield "peak MB: largest resident set of the process; own MB: what the engine added to it"
    for result in report.results:
        if not result.passed:
            yield f"[red]{result.key} not measured:[/] {escape(result.reason)}"


def _bench_row(result: EngineResult) -> tuple[str, ...]:
    size = f"{result.size_bytes / 1e6:.2f}"
    if result.latency is None:
        return (result.key, *["-"] * 7, size)
    timing = result.latency
    return (
        result.key,
        f"{timing.p50_ms:.2f}",
        f"{timing.p90_ms:.2f}",
        f"{timing.p99_ms:.2f}",
        str(timing.runs),
        "-" if result.load_ms is None else f"{result.load_ms:.0f}",
        f"{result.memory_bytes / 1e6:.0f}",
        f"{(result.memory_bytes - result.base_memory_bytes) / 1e6:.0f}",
        size,
    )


def _self_test(results: Iterable[EngineResult]) -> Table:
    table = _table(
        "bundle on this machine", "engine", "golden", "p50 ms", "logit\nerror", "map\nerror", "why"
    )
    for result in results:
        passed = "[green]pass[/]" if result.passed else "[red]no[/]"
        timing = "-" if result.latency is None else f"{result.latency.p50_ms:.2f}"
        worst = [_error(result.worst_logit_error), _error(result.worst_map_error)]
        table.add_row(result.key, passed, timing, *worst, escape(result.reason))
    return table


def _error(worst: float | None) -> str:
    return "-" if worst is None else f"{worst:.2g}"


def _machine(here: Machine) -> Table:
    return _facts(
        ("processor", f"{here.cpu} ({here.architecture})"),
        ("cores", f"{here.usable_cores} of {here.cores} usable"),
        ("memory", f"{here.memory_bytes / 1e9:.1f} GB"),
        ("features", " ".join(here.cpu_flags) or "none that an engine cares for"),
        ("system", f"{here.system}, Python {here.python}"),
    )


def _table(title: str, *columns: str) -> Table:
    """Narrow enough for 80 columns; the first column is never cut."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0)
    return table


def _facts(*rows: tuple[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(f"[bold]{name}[/]", escape(value))
    return table


def _gate_name(gate: dict[str, Any]) -> str:
    return str(gate.get("node", "unnamed"))


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
