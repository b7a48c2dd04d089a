"""How much memory each engine of a bundle takes here.

`python -m benchmarks.memory --bundle B --out benchmarks/results/NAME.json`
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.results import Result, Row, bundle_facts, save
from runtime.bench import BenchOptions, bench
from runtime.bundle import Bundle, open_bundle
from runtime.selftest import EngineResult

_MIB = 1 << 20


def measure_memory(bundle: Bundle, options: BenchOptions) -> Result:
    """One row an engine: peak resident memory of its own process, and the share that the engine added."""
    report = bench(bundle, options)
    rows = tuple(_row(result) for result in report.results)
    return Result("memory", rows, {"runs": options.runs, "threads": report.threads}, bundle_facts(bundle))


def _row(result: EngineResult) -> Row:
    known = result.memory_bytes > 0
    return {
        "engine": result.key,
        "version": result.version,
        "peak_mib": result.memory_bytes / _MIB if known else "",
        "engine_mib": (result.memory_bytes - result.base_memory_bytes) / _MIB if known else "",
        "file_mib": result.size_bytes / _MIB,
        "golden_cases": "passed" if result.passed else f"FAILED: {result.reason}",
    }


def main(
    bundle: Annotated[Path, typer.Option(help="The bundle.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    threads: Annotated[int, typer.Option(help="Threads per engine, 0 for all cores.")] = 0,
) -> None:
    """Measure the memory of every engine and write it down."""
    save(measure_memory(open_bundle(bundle), BenchOptions(runs=20, warmup=3, threads=threads)), out)


if __name__ == "__main__":
    typer.run(main)
