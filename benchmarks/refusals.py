"""How many pictures that are no radiographs get no answer, and how many good radiographs lose theirs.

`python -m benchmarks.refusals --others FOLDER [--others FOLDER] --data DIR --out results.json`

Every picture goes from its file through all of the kiosk's judgement: reader, quality, and what the model's
own features say. Other pictures are asked of as they are and once more in gray, since colour gives most of
them away. Of radiographs those are taken that the model was not made with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console

from benchmarks.results import Result, Row, bundle_facts, save
from compress.datasets.base import Dataset
from compress.datasets.registry import open_dataset
from compress.intervals import proportion
from compress.progress import ProgressReporter
from compress.seen import FILE, leave_out_seen, seen_from_json
from runtime.bundle import Bundle
from runtime.detector import Detector, from_bundle
from runtime.findings import Findings
from runtime.reference import open_named

_CONFIDENCE = 0.95
_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}
_ANSWERED = "answered"


@dataclass(frozen=True)
class Picture:
    """name: for the list of those that were judged wrongly. group: the patient, or the file itself."""

    name: str
    group: str
    data: Callable[[], bytes]


def others_in(folder: Path, gray: bool) -> list[Picture]:
    """Every picture below the folder; gray: its brightness alone, those left out that cannot be decoded."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not gray:
        return [Picture(str(path), str(path), path.read_bytes) for path in paths]
    return [Picture(str(path), str(path), partial(in_gray, path)) for path in paths if in_gray(path)]


def in_gray(path: Path) -> bytes:
    """A PNG of one channel of 8 bits, b"" for what cannot be decoded."""
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return b"" if pixels is None else bytes(cv2.imencode(".png", pixels)[1].tobytes())


def radiographs_of(dataset: Dataset, bundle: Bundle) -> list[Picture]:
    """Those of patients that the bundle was not made with."""
    seen = seen_from_json(bundle.read(FILE))
    unseen = leave_out_seen(dataset.cases, dataset.image_digests, seen).cases
    return [Picture(case.case_id, case.patient_id, case.path.read_bytes) for case in unseen]


def ask(
    detector: Detector, pictures: Iterable[Picture], advance: Callable[[int, int], None]
) -> list[tuple[Picture, str]]:
    """Each picture with what became of it: "answered", or the code of the refusal."""
    every = list(pictures)
    said = []
    for done, picture in enumerate(every, start=1):
        said.append((picture, _outcome(detector.detect_bytes(picture.data()))))
        advance(done, len(every))
    return said


def _outcome(found: Findings) -> str:
    return _ANSWERED if found.refusal is None else str(found.refusal.code)


def row_of(kind: str, said: list[tuple[Picture, str]]) -> Row:
    """How many were refused, with a 95% interval that respects patients, and by what."""
    refused = np.array([outcome != _ANSWERED for _, outcome in said], bool)
    share = proportion(refused, np.array([picture.group for picture, _ in said]), _CONFIDENCE)
    codes = Counter(outcome for _, outcome in said if outcome != _ANSWERED)
    return {
        "pictures": kind,
        "asked": len(said),
        "refused": int(refused.sum()),
        "share": share.value,
        "95%": [share.low, share.high],
        "by": ", ".join(f"{code} {count}" for code, count in codes.most_common()),
    }


def measure_refusals(
    bundle: Bundle, folders: tuple[Path, ...], dataset: Dataset | None, reporter: ProgressReporter
) -> tuple[Result, list[str]]:
    """The table, and a line for every picture that got what it should not get."""
    rows: list[Row] = []
    wrong: list[str] = []
    with from_bundle(bundle) as detector:
        for kind, pictures, should_answer in _kinds(bundle, folders, dataset):
            with reporter.task(kind) as advance:
                said = ask(detector, pictures, advance)
            rows.append(row_of(kind, said))
            wrong += [
                f"{kind}: {picture.name}: {outcome}"
                for picture, outcome in said
                if (outcome == _ANSWERED) != should_answer
            ]
    return Result("refusals", tuple(rows), {}, bundle_facts(bundle), _named(dataset)), wrong


def _kinds(
    bundle: Bundle, folders: tuple[Path, ...], dataset: Dataset | None
) -> Iterator[tuple[str, list[Picture], bool]]:
    for folder in folders:
        yield f"{folder.name}, as they are", others_in(folder, gray=False), False
        yield f"{folder.name}, in gray", others_in(folder, gray=True), False
    if dataset is not None:
        yield "radiographs", radiographs_of(dataset, bundle), True


def _named(dataset: Dataset | None) -> dict[str, str]:
    return {} if dataset is None else {"name": dataset.name, "digest": dataset.digest}


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    others: Annotated[list[Path] | None, typer.Option(help="Folder of pictures that are none.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of radiographs with labels.csv.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    wrong: Annotated[Path | None, typer.Option(help="Text file for those judged wrongly.")] = None,
) -> None:
    """Ask of every picture, count who gets an answer, and write it down."""
    dataset = None if data is None else open_dataset(data)
    opened = open_named(bundle, None)
    result, lines = measure_refusals(opened, tuple(others or ()), dataset, ProgressReporter(Console()))
    save(result, out)
    if wrong is not None:
        wrong.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for row in result.rows:
        typer.echo(f"{row['pictures']}: {row['refused']} of {row['asked']} refused ({row['by']})")


if __name__ == "__main__":
    typer.run(main)
