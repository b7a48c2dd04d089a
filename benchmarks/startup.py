"""From the start of a process to its first answer, and the memory that it holds then.

`python -m benchmarks.startup --picture FILE --out benchmarks/results/NAME.json [--install WHEELS]`

Each start is a process of its own that opens the bundle, loads one engine and answers for one picture, as a
box does after its self-test; the reading process that it starts is counted apart. `ulna detect` is timed from
its start to its end. With a folder of wheels the size of what `pip install` puts into an empty environment is
measured too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.results import Result, Row, bundle_facts, save
from runtime.bundle import Bundle
from runtime.latency import summarise
from runtime.reference import open_named

_TIMEOUT_S = 300
_INSTALLS = {
    "ulna": "",
    "ulna with dicom": "[dicom]",
    "ulna with openvino": "[openvino]",
    "ulna with kiosk": "[kiosk]",
}
_ANSWER = """
import json, os, sys
from pathlib import Path
from runtime.detector import from_bundle
from runtime.reference import open_named
bundle, engine, picture = sys.argv[1:]
detector = from_bundle(open_named(Path(bundle) if bundle else None, None), engine)
found = detector.detect_bytes(Path(picture).read_bytes())
sys.stdout.write(json.dumps({"verdict": str(found.verdict)}) + "\\n")
sys.stdout.flush()
sys.stdin.readline()
"""


def measure_startup(bundle: Bundle, folder: Path | None, picture: Path, starts: int) -> Iterator[Row]:
    """A row an engine of the bundle that runs here. folder: of the bundle, None for the reference model.

    Raises RuntimeError for a process that gives no answer.
    """
    for entry in bundle.manifest.engines:
        if not entry.runs or entry.engine == "tensorrt":
            continue
        times_ms, memory = [], [0, 0]
        for _ in range(starts):
            elapsed_ms, *held = first_answer(folder, entry.key, picture)
            times_ms.append(elapsed_ms)
            memory = [max(pair) for pair in zip(memory, held, strict=True)]
        seen = summarise(times_ms)
        yield {
            "engine": entry.key,
            "starts": starts,
            "p50 s": seen.p50_ms / 1e3,
            "p90 s": seen.p90_ms / 1e3,
            "resident MiB": memory[0] / (1 << 20),
            "reading process, own MiB": memory[1] / (1 << 20),
        }


def measure_command(folder: Path | None, picture: Path, starts: int) -> Iterator[Row]:
    """A row for `ulna detect` when the self-test was never run here, and one for when its result is kept."""
    named = [] if folder is None else ["--bundle", str(folder)]
    command = [sys.executable, "-m", "runtime.main", "detect", str(picture), *named]
    for what, count in (("ulna detect, with the self-test", 1), ("ulna detect, self-test kept", starts)):
        times_ms = []
        with tempfile.TemporaryDirectory() as cache:
            given = {**os.environ, "ULNA_CACHE": cache}
            if count > 1:
                subprocess.run(command, env=given, check=True, stdout=subprocess.DEVNULL)
            for _ in range(count):
                started = time.perf_counter()
                subprocess.run(command, env=given, check=True, stdout=subprocess.DEVNULL)
                times_ms.append((time.perf_counter() - started) * 1e3)
        seen = summarise(times_ms)
        yield {"engine": what, "starts": count, "p50 s": seen.p50_ms / 1e3, "p90 s": seen.p90_ms / 1e3}


def first_answer(folder: Path | None, engine: str, picture: Path) -> tuple[float, int, int]:
    """Milliseconds to the answer; resident bytes of the process, and proportional ones of its reader."""
    import psutil

    command = [sys.executable, "-c", _ANSWER, str(folder or ""), engine, str(picture)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        elapsed_ms = (time.perf_counter() - started) * 1e3
        if not line:
            process.kill()
            raise RuntimeError(f"{engine} gave no answer for {picture.name}")
        json.loads(line)
        watched = psutil.Process(process.pid)
        readers = [child.memory_full_info().pss for child in watched.children(recursive=True)]
        resident = watched.memory_info().rss
        process.communicate("\n", timeout=_TIMEOUT_S)
    return elapsed_ms, resident, sum(readers)


def installed_sizes(wheels: Path) -> Iterator[Row]:
    """Of an empty environment after each installation, pip itself not counted."""
    for name, extra in _INSTALLS.items():
        with tempfile.TemporaryDirectory() as folder:
            python = Path(folder) / "bin" / "python"
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            empty = _bytes_below(Path(folder))
            subprocess.run(
                [str(python), "-m", "pip", "install", "-q", "--find-links", str(wheels), f"ulna{extra}"],
                check=True,
            )
            yield {"engine": name, "installed MB": (_bytes_below(Path(folder)) - empty) / 1e6}


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def main(
    picture: Annotated[Path, typer.Option(help="A radiograph.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    starts: Annotated[int, typer.Option(min=1)] = 15,
    install: Annotated[Path | None, typer.Option(help="Folder with Ulna's wheel, to install it.")] = None,
) -> None:
    """Measure and write it down."""
    opened = open_named(bundle, None)
    rows = [
        *measure_startup(opened, bundle, picture, starts),
        *measure_command(bundle, picture, starts),
        *(installed_sizes(install) if install else ()),
    ]
    save(Result("startup", tuple(rows), {"picture": picture.name}, bundle_facts(opened)), out)
    for row in rows:
        typer.echo(json.dumps(row))


if __name__ == "__main__":
    typer.run(main)
