"""What a large picture read at a half or a quarter of its size saves in time, and what it changes.

`python -m benchmarks.reduced_decoding --plate FILE [--plate FILE] --data DIR --out reduced-decoding.json`

Of every picture a JPEG and a lossless JPEG 2000 are made. Each is read in full by the runtime's own decoder,
which all is compared with, and at reduced size: a JPEG by libjpeg's scaled transform, a JPEG 2000 at a lower
resolution of its wavelets. The latter neither OpenCV nor GDCM offers; Pillow does, and without it JPEG 2000
is left out. As controls stand the full picture with pixels rounded anew, and one halved by plain means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from benchmarks.reduced_changes import CONTROL, Change, Group, changes_of, parity
from benchmarks.reduced_codecs import codecs, made_large, pillow_versions, plates_of
from benchmarks.refusals import Picture, radiographs_of
from benchmarks.results import Result, Row, bundle_facts, save
from compress.datasets.base import Dataset
from compress.datasets.registry import open_dataset
from compress.progress import ProgressReporter
from runtime.bundle import Bundle
from runtime.detector import from_bundle
from runtime.findings import Verdict
from runtime.reference import open_named


@dataclass(frozen=True)
class Sample:
    """plates: files that are read as they are. most: so many of the data set, which are made long_side_px
    long. rounds: how often each decoding is timed, in turns.
    """

    plates: tuple[Path, ...] = ()
    dataset: Dataset | None = None
    most: int = 100
    long_side_px: int = 2500
    rounds: int = 2


def measure_reduced(
    bundle: Bundle, engines: tuple[str, ...], sample: Sample, reporter: ProgressReporter
) -> tuple[Result, list[str]]:
    """The table, and a line for every picture that gets another verdict or warning.

    Raises BundleError for an engine that the bundle does not hold, InputError for an unreadable plate.
    """
    size_px = bundle.manifest.preprocess.size_px
    unseen = [] if sample.dataset is None else _spread(radiographs_of(sample.dataset, bundle), sample.most)
    pictures = chain(plates_of(sample.plates, size_px), made_large(unseen, size_px, sample.long_side_px))
    found: dict[Group, list[Change]] = defaultdict(list)
    with ExitStack() as stack, reporter.task("reduced decoding") as advance:
        detectors = {key: stack.enter_context(from_bundle(bundle, key)) for key in engines}
        for done, plate in enumerate(pictures, start=1):
            for codec in codecs():
                for group, change in changes_of(plate, codec, detectors, sample.rounds):
                    found[group].append(change)
            advance(done, len(sample.plates) + len(unseen))
    tolerances = {key: bundle.entry(key).logit_tolerance for key in engines}
    rows = tuple(
        row_of(group, changes, _control(found, group), tolerances[group.engine])
        for group, changes in found.items()
    )
    data = _named(sample.dataset)
    result = Result("reduced decoding", rows, _settings(sample), bundle_facts(bundle), data)
    return result, list(_lines(found))


def _spread(pictures: list[Picture], most: int) -> list[Picture]:
    """So many, from the whole of the list: neighbours are often of one body part."""
    places = np.linspace(0, len(pictures) - 1, min(most, len(pictures))).astype(int)
    return [pictures[place] for place in places]


def row_of(group: Group, changes: list[Change], control: list[Change], tolerance: float) -> Row:
    """Figures over all pictures. tolerance: of the engine's logit, as the bundle states it."""
    logits = [change.logit for change in changes]
    overlaps = [change.overlap for change in changes if change.overlap is not None]
    return {
        **vars(group),
        "asked": len(changes),
        "decode p50 ms": _median([change.decode_ms for change in changes]),
        "in full p50 ms": _median([change.full_ms for change in changes]),
        "over full": _median([change.over_full for change in changes]),
        "tensor p50": median(change.tensor_median for change in changes),
        "tensor max": max(change.tensor_max for change in changes),
        "logit p50": float(np.percentile(logits, 50)),
        "logit p95": float(np.percentile(logits, 95)),
        "logit max": max(logits),
        "tolerance": tolerance,
        "beyond it": sum(logit > tolerance for logit in logits),
        "verdicts changed": sum(change.flipped for change in changes),
        "changed to none": sum(change.flipped and change.after is Verdict.NONE for change in changes),
        "refused otherwise": sum(change.refused for change in changes),
        "warned otherwise": sum(bool(change.warnings) for change in changes),
        "IoU p50": _median(overlaps),
        "IoU min": min(overlaps, default=None),
        "parity": parity(changes, control, tolerance),
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _settings(sample: Sample) -> dict[str, Any]:
    return {
        "plates": {path.name: sha256(path.read_bytes()).hexdigest() for path in sample.plates},
        "data set made large, px": sample.long_side_px,
        "rounds": sample.rounds,
        "JPEG 2000 at reduced size": pillow_versions() or "left out: Pillow is missing",
    }


def _named(dataset: Dataset | None) -> dict[str, str]:
    return {} if dataset is None else {"name": dataset.name, "digest": dataset.digest}


def _control(found: Mapping[Group, list[Change]], group: Group) -> list[Change]:
    """Of the same pictures."""
    names = {change.name for change in found[group]}
    return [change for change in found[replace(group, reading=CONTROL)] if change.name in names]


def _lines(found: Mapping[Group, list[Change]]) -> Iterator[str]:
    for group, changes in found.items():
        about = ", ".join(vars(group).values())
        for change in changes:
            if change.flipped:
                yield f"{about}: {change.name}: {change.before} in full, {change.after} here"
            for warning in change.warnings:
                yield f"{about}: {change.name}: for one of both alone: {warning}"


def _running(bundle: Bundle) -> tuple[str, ...]:
    """Engines that need no GPU."""
    return tuple(entry.key for entry in bundle.manifest.engines if entry.runs and entry.engine != "tensorrt")


def main(  # noqa: PLR0913, PLR0917  (one parameter an option)
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    plate: Annotated[list[Path] | None, typer.Option(help="A large radiograph, of any kind read.")] = None,
    data: Annotated[Path | None, typer.Option(help="Radiographs with labels.csv, to be made large.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="Of the bundle; without it all that run.")] = None,
    most: Annotated[int, typer.Option(min=1, help="So many pictures of the data set at most.")] = 100,
    changed: Annotated[Path | None, typer.Option(help="Text file for changed verdicts and warnings.")] = None,
) -> None:
    """Read every picture in full and at reduced size, ask, compare, and write it down."""
    if not plate and data is None:
        raise typer.BadParameter("nothing to read: name a --plate, or radiographs with --data")
    opened = open_named(bundle, None)
    sample = Sample(tuple(plate or ()), None if data is None else open_dataset(data), most)
    engines = tuple(engine or ()) or _running(opened)
    result, lines = measure_reduced(opened, engines, sample, ProgressReporter(Console()))
    save(result, out)
    if changed is not None:
        changed.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for row in result.rows:
        saved = "" if row["over full"] is None else f"decoding {row['over full']:.2f} of full, "
        typer.echo(
            f"{row['kind']}, {row['codec']}, {row['reading']}, {row['engine']}: {saved}logit up to "
            f"{row['logit max']:.3f}, {row['verdicts changed']} of {row['asked']} verdicts changed, "
            f"{'parity' if row['parity'] else 'no parity'}"
        )


if __name__ == "__main__":
    typer.run(main)
