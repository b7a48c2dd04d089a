"""Files a second of `ulna detect --out`, and the memory that it holds while it reads thousands.

`python -m benchmarks.batch --pictures FOLDER --out benchmarks/results/NAME.json [--memory-files N]`

The pictures of a folder are copied under different names, each with bytes of its own (a JPEG comment, or
bytes behind the end of a PNG). One process on one core, one on two cores, and two on two cores read them in
turns, each turn a whole run of the command; the seconds are those of its own summary, which leaves out the
self-test. For the memory one longer
run is watched: resident bytes of the command, and of its workers with their reading processes (proportional,
so that what they share is counted once), when 10%, 50% and all of the files are read.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from benchmarks.results import Result, Row, bundle_facts, save
from runtime.batch.journal import NAME
from runtime.bundle import Bundle
from runtime.reference import open_named

_JPEG_START = b"\xff\xd8"
_SHARES = (0.1, 0.5, 1.0)
_LOOK_EVERY_S = 0.05
_MIB = 1 << 20


class Crew(NamedTuple):
    """So many processes on so many cores."""

    processes: int
    cores: int


CREWS = (Crew(1, 1), Crew(1, 2), Crew(2, 2))


def make_copies(pictures: Path, folder: Path, number: int) -> None:
    """So many files in subfolders of a thousand, no two alike. Raises ValueError where there is none."""
    sources = sorted(path for path in pictures.iterdir() if path.is_file())
    if not sources:
        raise ValueError(f"{pictures} holds no picture")
    for count, source in zip(range(number), itertools.cycle(sources), strict=False):
        target = folder / f"{count // 1000:03d}" / f"{count:06d}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(changed(source.read_bytes(), count))


def changed(data: bytes, number: int) -> bytes:
    """The same picture in other bytes: a comment behind a JPEG's first mark, for others bytes at the end."""
    words = f"copy {number}".encode("ascii")
    if data.startswith(_JPEG_START):
        return data[:2] + b"\xff\xfe" + (len(words) + 2).to_bytes(2, "big") + words + data[2:]
    return data + words


def measure_pace(folder: Path, command: Sequence[str], crews: Sequence[Crew], turns: int) -> Iterator[Row]:
    """A row a crew. command: the options of `ulna detect` that say by which bundle.

    Raises RuntimeError where the command does not read the folder to its end.
    """
    seen: dict[Crew, list[dict[str, Any]]] = {crew: [] for crew in crews}
    for turn in range(turns):
        for crew in crews if turn % 2 == 0 else reversed(crews):
            with tempfile.TemporaryDirectory() as out:
                seen[crew].append(_run(folder, Path(out) / "answers", command, crew))
    for crew, summaries in seen.items():
        rates = [summary["files_per_second"] for summary in summaries]
        yield {
            "what": "pace",
            **crew._asdict(),
            "files": summaries[0]["files"],
            "engine": summaries[0]["engine"],
            "unreadable": summaries[0]["unreadable"],
            "files a second": statistics.median(rates),
            "least": min(rates),
            "most": max(rates),
            "command MiB": None,
            "workers MiB": None,
        }


def _run(folder: Path, out: Path, command: Sequence[str], crew: Crew) -> dict[str, Any]:
    """The summary of a whole run, which ends with 1 where some pictures cannot be read."""
    status = _start(folder, out, command, crew).wait()
    if status not in (0, 1) or not (out / "summary.json").exists():
        raise RuntimeError(f"the command ended with exit code {status} before all was read")
    summary: dict[str, Any] = json.loads((out / "summary.json").read_bytes())
    return summary


def measure_memory(folder: Path, command: Sequence[str], crew: Crew, number: int) -> Iterator[Row]:
    """A row for 10%, 50% and all of the files. Raises RuntimeError where the command ends before."""
    with tempfile.TemporaryDirectory() as out:
        answers = Path(out) / "answers"
        process = _start(folder, answers, command, crew)
        try:
            for share in _SHARES:
                # The last few are not waited for: then the workers would be gone.
                done = _wait_for(process, answers / NAME, max(1, round(share * number) - crew.processes))
                own, workers = _held(process.pid)
                yield _memory_row(crew, done, own, workers)
            process.wait()
        finally:
            process.kill()
            process.wait()


def _memory_row(crew: Crew, done: int, own_bytes: int, workers_bytes: int) -> Row:
    figures = {"command MiB": own_bytes / _MIB, "workers MiB": workers_bytes / _MIB}
    nothing = dict.fromkeys(("engine", "unreadable", "files a second", "least", "most"))
    return {"what": "memory", **crew._asdict(), "files": done, **nothing, **figures}


def _wait_for(process: subprocess.Popen[bytes], journal: Path, number: int) -> int:
    """Until so many lines are written; how many there are then."""
    done, at = 0, 0
    while True:
        has_ended = process.poll() is not None  # before the look: what was written last counts
        if journal.exists():
            with journal.open("rb") as file:
                file.seek(at)
                fresh = file.read()
            done, at = done + fresh.count(b"\n"), at + len(fresh)
        if done >= number:
            return done
        if has_ended:
            raise RuntimeError(f"the command ended after {done} of {number} files")
        time.sleep(_LOOK_EVERY_S)


def _held(pid: int) -> tuple[int, int]:
    """Resident bytes of the process, proportional ones of all that it started."""
    import psutil

    command = psutil.Process(pid)
    workers = 0
    for child in command.children(recursive=True):
        try:
            workers += child.memory_full_info().pss
        except psutil.Error:  # a reading child that has ended by now
            continue
    return command.memory_info().rss, workers


def _start(folder: Path, out: Path, command: Sequence[str], crew: Crew) -> subprocess.Popen[bytes]:
    """On the first cores of those that this process may use, or on all where there are fewer."""
    words = ["detect", str(folder), "--out", str(out), "--processes", str(crew.processes), *command]
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.main", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    cores = sorted(os.sched_getaffinity(0))[: crew.cores]
    os.sched_setaffinity(process.pid, cores)  # long before it has started anything itself
    return process


def measure(pictures: Path, command: Sequence[str], files: int, memory_files: int, turns: int) -> list[Row]:
    """All rows; `memory_files` 0 leaves out the memory."""
    with tempfile.TemporaryDirectory() as folder:
        make_copies(pictures, Path(folder) / "pace", files)
        rows = list(measure_pace(Path(folder) / "pace", command, CREWS, turns))
        if memory_files:
            make_copies(pictures, Path(folder) / "memory", memory_files)
            rows += measure_memory(Path(folder) / "memory", command, CREWS[-1], memory_files)
    return rows


def main(  # noqa: PLR0913, PLR0917  (one parameter an option)
    pictures: Annotated[Path, typer.Option(help="Folder of radiographs.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    engine: Annotated[str, typer.Option(help="Of the bundle; without it the fastest that passes.")] = "",
    files: Annotated[int, typer.Option(min=1, help="Read in each turn.")] = 200,
    memory_files: Annotated[int, typer.Option(min=0, help="Read while memory is watched.")] = 10_000,
    turns: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure and write it down."""
    opened: Bundle = open_named(bundle, None)
    command = [*(["--bundle", str(bundle)] if bundle else []), *(["--engine", engine] if engine else [])]
    rows = measure(pictures, command, files, memory_files, turns)
    settings = {"turns": turns, "files": files, "memory files": memory_files}
    save(Result("batch", tuple(rows), settings, bundle_facts(opened)), out)
    for row in rows:
        typer.echo(json.dumps(row))


if __name__ == "__main__":
    typer.run(main)
