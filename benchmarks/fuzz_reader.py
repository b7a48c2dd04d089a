"""What the reader makes of damaged and hostile files: sound ones of every form, changed at random.

`python -m benchmarks.fuzz_reader [--files FOLDER] [--inputs 50000] --out benchmarks/results/NAME.json`

Every input is read as the kiosk reads it, one after the other in each of two processes. The same seed gives
the same inputs. One that gets no answer, or takes more memory or time than the limits, is kept (`--keep`).
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.fuzz.mutate import mutated
from benchmarks.fuzz.seeds import Seed, seeds_of
from benchmarks.results import Result, Row, save
from compress.progress import ProgressReporter
from runtime.errors import InputError
from runtime.readers import guarded
from runtime.readers.limits import DEFAULT_LIMITS
from runtime.readers.protocol import OUT_OF_MEMORY

_BATCH = 50
_PROCESSES = 2
READ, REFUSED, CRASHED, MEMORY, COMPUTING, SILENT = (
    "read",
    "refused",
    "decoder crashed",
    "too much memory",
    "too much computing",
    "no answer",
)
_ENDS = {OUT_OF_MEMORY: MEMORY, -24: COMPUTING, -9: COMPUTING}
LARGEST_BYTES, LONGEST_S = 512 << 20, 5.0


@dataclass
class Seen:
    """Of the inputs that grew from one form: how many ended how, and the most that any of them took."""

    outcomes: Counter[str] = field(default_factory=Counter)
    memory_bytes: int = 0
    cpu_s: float = 0.0
    beyond: list[int] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Of more inputs."""
        self.outcomes += other.outcomes
        self.memory_bytes = max(self.memory_bytes, other.memory_bytes)
        self.cpu_s = max(self.cpu_s, other.cpu_s)
        self.beyond += other.beyond


def try_input(data: bytes) -> tuple[str, int, float]:
    """How it ended, the memory that reading it took in bytes, and the computing time in seconds."""
    try:
        reply = guarded.ask(data, DEFAULT_LIMITS)
    except InputError:
        return SILENT, 0, 0.0
    ending = reply.ending
    outcome = _ENDS.get(ending.status, CRASHED) if ending.status else READ
    if outcome == READ:
        try:
            guarded.judged(reply, DEFAULT_LIMITS)
        except InputError:
            outcome = REFUSED
    return outcome, ending.memory_bytes, ending.cpu_s


def fuzz(seeds: list[Seed], inputs: int, seed: int, reporter: ProgressReporter) -> dict[str, Seen]:
    """By the form of the seeds. The first inputs are the seeds themselves, unchanged."""
    batches = [(seeds, seed, range(start, min(start + _BATCH, inputs))) for start in range(0, inputs, _BATCH)]
    found: dict[str, Seen] = {}
    with (
        multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool,
        reporter.task("inputs") as advance,
    ):
        for done, batch in enumerate(pool.imap_unordered(_try_batch, batches), start=1):
            for form, seen in batch.items():
                found.setdefault(form, Seen()).add(seen)
            advance(min(done * _BATCH, inputs), inputs)
    return found


def input_at(seeds: list[Seed], seed: int, number: int) -> tuple[str, bytes]:
    """Form and bytes of one input."""
    chosen = seeds[number % len(seeds)]
    return chosen.form, chosen.data if number < len(seeds) else mutated(chosen.data, seeds, (seed, number))


def _try_batch(batch: tuple[list[Seed], int, range]) -> dict[str, Seen]:
    seeds, seed, numbers = batch
    found: dict[str, Seen] = {}
    for number in numbers:
        form, data = input_at(seeds, seed, number)
        outcome, memory_bytes, cpu_s = try_input(data)
        beyond = outcome == SILENT or memory_bytes > LARGEST_BYTES or cpu_s > LONGEST_S
        found.setdefault(form, Seen()).add(
            Seen(Counter([outcome]), memory_bytes, cpu_s, [number] if beyond else [])
        )
    return found


def rows_of(found: dict[str, Seen]) -> Iterator[Row]:
    """One a form, then all together."""
    every = Seen()
    for form, seen in sorted(found.items()):
        every.add(seen)
        yield _row(form, seen)
    yield _row("all", every)


def _row(form: str, seen: Seen) -> Row:
    names = (READ, REFUSED, CRASHED, MEMORY, COMPUTING, SILENT)
    return {
        "form": form,
        "inputs": seen.outcomes.total(),
        **{name: seen.outcomes[name] for name in names},
        "most memory, MiB": round(seen.memory_bytes / (1 << 20)),
        "longest computing, s": round(seen.cpu_s, 2),
    }


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    files: Annotated[
        list[Path] | None, typer.Option(help="Folder of real files to change besides the computed ones.")
    ] = None,
    inputs: Annotated[int, typer.Option(min=1)] = 50_000,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    keep: Annotated[Path | None, typer.Option(help="Folder for inputs beyond the limits.")] = None,
) -> None:
    """Change sound files at random, read them, count what came of it. Exit code 1 for any beyond limits."""
    reporter, seeds = ProgressReporter(Console()), seeds_of(tuple(files or ()))
    started = time.monotonic()
    found = fuzz(seeds, inputs, seed, reporter)
    settings = {"seed": seed, "seeds": len(seeds), "minutes": round((time.monotonic() - started) / 60, 1)}
    result = Result("fuzzed reader", tuple(rows_of(found)), settings)
    save(result, out)
    beyond = sorted(number for seen in found.values() for number in seen.beyond)
    for number in beyond if keep is not None else ():
        assert keep is not None
        keep.mkdir(parents=True, exist_ok=True)
        form, data = input_at(seeds, seed, number)
        (keep / f"{number}-{form}.bin").write_bytes(data)
    typer.echo(f"{inputs} inputs, {len(beyond)} beyond the limits; {out}")
    if beyond:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
