"""How long each engine of a bundle takes per image here.

`python -m benchmarks.latency --bundle B --out benchmarks/results/NAME.json`
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.results import Result, Row, bundle_facts, save
from runtime.bench import BenchOptions, bench
from runtime.bundle import Bundle, open_bundle
from runtime.selftest import EngineResult


def measure_latency(bundle: Bundle, options: BenchOptions) -> Result:
    """One row an engine: p50, p90, p99 at batch 1, and why an engine has none."""
    report = bench(bundle, options)
    settings = {"runs": options.runs, "warmup": options.warmup, "threads": report.threads, "batch": 1}
    rows = tuple(_row(result) for result in report.results)
    return Result("latency", rows, settings, bundle_facts(bundle))


def _row(result: EngineResult) -> Row:
    latency = result.latency
    return {
        "engine": result.key,
        "version": result.version,
        "p50_ms": latency.p50_ms if latency else "",
        "p90_ms": latency.p90_ms if latency else "",
        "p99_ms": latency.p99_ms if latency else "",
        "load_ms": result.load_ms if result.load_ms is not None else "",
        "size_bytes": result.size_bytes,
        "golden_cases": "passed" if result.passed else f"FAILED: {result.reason}",
    }


def main(
    bundle: Annotated[Path, typer.Option(help="The bundle.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    runs: Annotated[int, typer.Option(help="Timed inferences per engine.")] = 200,
    threads: Annotated[int, typer.Option(help="Threads per engine, 0 for all cores.")] = 0,
) -> None:
    """Measure the latency of every engine and write it down."""
    save(measure_latency(open_bundle(bundle), BenchOptions(runs=runs, threads=threads)), out)


if __name__ == "__main__":
    typer.run(main)
