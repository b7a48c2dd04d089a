"""The same faults in other toolchains: who says a word? After `ulna faults`.

`python -m benchmarks.fault_peers --suite runs/faults --out benchmarks/results/fault-peers.json`

Every fault of the suite is put into NNCF (alone and with accuracy control), ONNX Runtime's quantizer and
Olive where each would meet it (peers/placement.py), each as its documentation shows.

    caught      it raised, or handed over no model
    repaired    it put layers back to float until its metric held
    warned      it said something that it does not say without the fault
    silent      a model without a word
    crashed     an error of a program that is wrong or wrongly called, which proves nothing
    a dash      outside what the tool does

Olive needs an environment of its own: `python -m venv FOLDER`, then in it `pip install olive-ai requests
onnxruntime scikit-learn`, and `--olive-python FOLDER/bin/python`.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.peers.cases import CLEAN, CaseOptions, Cases
from benchmarks.peers.cell import MAX_DROP, NOT_INSTALLED, OUTSIDE, Answer, Cell, judge
from benchmarks.peers.child import ask
from benchmarks.peers.placement import OLIVE, PEERS, place_of
from benchmarks.results import Result, Row, save
from compress.faults.bed import Bed
from compress.faults.catalogue import chosen
from compress.faults.fault import Fault
from compress.faults.outcome import NOT_PUT_IN, Outcome, from_json
from compress.faults.suite import RESULT
from compress.options.read import from_table
from compress.recipe import Recipe
from runtime.errors import BackendMissingError, InputError
from runtime.trust import generate_key

_VERSIONS = "import importlib.metadata as m; print(m.version({name!r}))"
_WIDTH = 190
_FOLDERS = re.compile(r"(?<![\w.])/(?:[\w.+@-]+/)+")
ULNA = "Ulna"


@dataclass(frozen=True)
class PeerOptions:
    """olive_python: interpreter of an environment with olive-ai, "" without one. only: names of faults."""

    olive_python: str = ""
    only: tuple[str, ...] = ()
    cases: CaseOptions = field(default_factory=CaseOptions)


def compare(suite: Path, data: Path | None, work: Path, options: PeerOptions, console: Console) -> Result:
    """A row a fault and tool. Raises InputError for no suite, StepError where a tool fails to start."""
    read_suite(suite)  # refused before any tool is asked; read again at the end, should it go on meanwhile
    bed = _bed(suite, data)
    cases = Cases(bed, work, options.cases)
    peers = _Peers(cases, options, console)
    found = [(fault, {peer: peers.cell(peer, fault) for peer in PEERS}) for fault in chosen(options.only)]
    outcomes = {item.name: item for item in read_suite(suite)}
    rows = [
        row for fault, cells in found for row in rows_of(outcomes.get(fault.name) or _not_run(fault), cells)
    ]
    rows += [_sound_row(peer, peers.sound(peer)) for peer in PEERS if peers.runs(peer)]
    settings = {
        "recipe": bed.recipe.name,
        "calibration_images": options.cases.calibration,
        "validation_images": options.cases.validation,
        "max_drop": MAX_DROP,
    }
    result = Result("fault peers", tuple(rows), settings, data={"name": bed.record()["data"]["name"]})
    return replace(result, versions={**result.versions, **_peer_versions(options.olive_python)})


class _Peers:
    """Asks each tool once without a fault, then with each."""

    def __init__(self, cases: Cases, options: PeerOptions, console: Console) -> None:
        self._cases, self._options, self._console = cases, options, console
        self._clean: dict[tuple[str, str], Answer] = {}

    def runs(self, peer: str) -> bool:
        """Whether it is here."""
        return peer != OLIVE or bool(self._options.olive_python)

    def sound(self, peer: str, fault: str = "") -> Answer:
        """Without a fault. fault: one for which the tool is given another graph or another variable."""
        own = fault if fault == "mirrored-map" and peer == OLIVE else ""
        if (peer, own) not in self._clean:
            question = self._cases.clean(peer, own)
            question = replace(question, folder=f"{question.folder}-sound") if own else question
            self._clean[peer, own] = ask(question, self._python(peer))
        return self._clean[peer, own]

    def cell(self, peer: str, fault: Fault) -> Cell:
        """What it did with one fault."""
        place = place_of(fault.name, peer)
        if not place.kind:
            return Cell(OUTSIDE, place.where)
        if not self.runs(peer):
            return Cell(NOT_INSTALLED, place.where)
        question = self._cases.question(peer, fault, place)
        answer = ask(question, self._python(peer), fault.environment)
        found = judge(answer, self.sound(peer, fault.name), place.where)
        self._console.print(escape(f"{fault.name}: {peer}: {found.verdict}, {answer.seconds:.0f} s"))
        return found

    def _python(self, peer: str) -> str:
        return self._options.olive_python if peer == OLIVE else sys.executable


def read_suite(suite: Path) -> tuple[Outcome, ...]:
    """What `ulna faults` wrote there. Raises InputError for anything else."""
    path = suite / RESULT
    try:
        return tuple(from_json(item) for item in json.loads(path.read_bytes())["faults"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a suite's result: {error}", "run ulna faults first") from error


def _not_run(fault: Fault) -> Outcome:
    return Outcome(fault.name, fault.title, fault.seen, NOT_PUT_IN, reason="the suite was run without it")


def _bed(suite: Path, data: Path | None) -> Bed:
    """The clean run that the faults of the suite went into."""
    try:
        name = json.loads((suite / RESULT).read_bytes())["clean"][0]["name"]
        table: dict[str, Any] = json.loads((suite / name / "run.json").read_bytes())
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"{suite} holds no clean run: {error}", "run ulna faults first") from error
    return Bed(suite / name, from_table(Recipe, table["recipe"], "recipe"), data, generate_key())


def rows_of(outcome: Outcome, cells: dict[str, Cell]) -> Iterator[Row]:
    """One of Ulna, then one a tool."""
    named = {"fault": outcome.name, "title": outcome.title}
    caught = "; ".join(catch.by for catch in outcome.catches) or outcome.reason or "nothing"
    words = [catch.words for catch in outcome.catches]
    ulna = Cell(outcome.status, "a mutant of the step", tuple(words), seconds=outcome.seconds)
    for tool, cell in {ULNA: ulna, **cells}.items():
        by = caught if tool == ULNA else ""
        said = without_folders(" / ".join(cell.words))
        yield {**named, "tool": tool, **cell.to_json(), "words": said, "by": by}


def without_folders(words: str) -> str:
    """Files by their names: where they lay on this machine is nobody's business."""
    return _FOLDERS.sub("", words)


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """The joined table, then the tools' own words."""
    joined = _empty_table("fault", "Ulna: caught by", *PEERS)
    for title, group in groupby(rows, lambda row: str(row["title"])):
        cells = {row["tool"]: row for row in group}
        joined.add_row(escape(title), escape(cells[ULNA]["by"]), *(cells[peer]["verdict"] for peer in PEERS))
    yield joined
    spoken = _empty_table("fault", "tool", "how it was put in", "what it said")
    for row in rows:
        spoken.add_row(*(escape(row[name]) for name in ("fault", "tool", "where", "words")))
    yield spoken


def _empty_table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _sound_row(peer: str, answer: Answer) -> Row:
    """Without a fault: it tells how well the tool does on its own."""
    verdict = CLEAN if answer.handed_over else f"false alarm: {answer.error or 'no model was handed over'}"
    cell = Cell(verdict, "nothing is wrong", (), answer.auroc, answer.sensitivity, answer.seconds)
    named = {"fault": CLEAN, "title": "no fault", "tool": peer}
    return {**named, **cell.to_json(), "words": "", "by": ""}


def _peer_versions(olive_python: str) -> dict[str, str]:
    found = {"nncf": _version(sys.executable, "nncf"), "python": platform.python_version()}
    if olive_python:
        found |= {
            f"{name} (Olive's)" if name != "olive-ai" else name: _version(olive_python, name)
            for name in ("olive-ai", "onnxruntime")
        }
    return found


def _version(python: str, name: str) -> str:
    done = subprocess.run(
        [python, "-P", "-c", _VERSIONS.format(name=name)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BackendMissingError(f"{name} is not installed in the environment given for it")
    return done.stdout.strip()


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    suite: Annotated[Path, typer.Option(help="Folder of ulna faults.")] = Path("runs/faults"),
    data: Annotated[
        Path | None, typer.Option(help="The data that the suite read; without it, its own.")
    ] = None,
    olive_python: Annotated[str, typer.Option(help="Interpreter of an environment with olive-ai.")] = "",
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a fault; several: each with --only.")
    ] = None,
    work: Annotated[Path | None, typer.Option(help="Folder for the tools' files and logs.")] = None,
) -> None:
    """Put the suite's faults into other toolchains and say which of them notices."""
    asked: Sequence[str] = only or ()
    chosen(asked)
    console = Console(stderr=True)
    options = PeerOptions(olive_python, tuple(asked))
    with tempfile.TemporaryDirectory() as spare:
        result = compare(suite, data, work or Path(spare), options, console)
    save(result, out)
    for table in tables([row for row in result.rows if row["fault"] != CLEAN]):
        Console(width=_WIDTH).print(table, highlight=False)


if __name__ == "__main__":
    typer.run(main)
