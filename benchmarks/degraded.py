"""What becomes of good radiographs that are spoiled: refused, answered with a warning, answered in silence.

`python -m benchmarks.degraded --data DIR --out degraded.json`

Every fault of benchmarks.degradations is made of every radiograph that the model was not made with, and goes
from its file through all of the kiosk's judgement. What must not happen is an answer without a word that is
not the one for the picture before it was spoiled, least of all "no fracture".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console

from benchmarks.degradations import Degradation, Plane, every
from benchmarks.refusals import Picture, radiographs_of
from benchmarks.results import Result, Row, bundle_facts, save
from compress.datasets.base import Dataset
from compress.datasets.registry import open_dataset
from compress.intervals import proportion
from compress.progress import ProgressReporter
from runtime.bundle import Bundle
from runtime.detector import Detector, DetectorSpec, from_bundle
from runtime.findings import Verdict
from runtime.quality import assess
from runtime.radiograph import AcquisitionFacts
from runtime.readers import read_bytes
from runtime.reference import open_named

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Outcome:
    """Of one picture: its verdict, whether a warning stood beside it, whether a fault of it was named."""

    verdict: Verdict
    warned: bool
    named: bool

    @property
    def refused(self) -> bool:
        """No answer."""
        return self.verdict is Verdict.UNREADABLE

    @property
    def silent(self) -> bool:
        """An answer like any other."""
        return not self.refused and not self.warned


@dataclass(frozen=True)
class Spoiled:
    """before: of the picture as it is. after: of the same picture with the fault."""

    picture: Picture
    before: Outcome
    after: Outcome

    @property
    def flipped(self) -> bool:
        """Both were answered, and not alike."""
        refused = self.before.refused or self.after.refused
        return not refused and self.before.verdict is not self.after.verdict

    @property
    def lost(self) -> bool:
        """What was suspected is so no more, and nothing says that it might be."""
        return self.flipped and self.after.silent and self.after.verdict is Verdict.NONE


def outcome_of(detector: Detector, data: bytes) -> Outcome:
    """Read, asked and looked at; body part, age and view are said to be those that the model was made for, so
    that no warning is about them. Raises InputError for a file that cannot be read.
    """
    radiograph = replace(read_bytes(data), facts=_as_intended(detector.spec))
    found = detector.detect(radiograph)
    named = bool(assess(radiograph, body_parts=detector.spec.body_parts).faults)
    return Outcome(found.verdict, bool(found.warnings), named)


def _as_intended(spec: DetectorSpec) -> AcquisitionFacts:
    return AcquisitionFacts(
        body_part=next(iter(spec.body_parts), None),
        view=next(iter(spec.views), None),
        age_years=None if spec.ages_years is None else sum(spec.ages_years) / 2,
    )


def spoil(
    detector: Detector,
    pictures: list[Picture],
    faults: tuple[Degradation, ...],
    advance: Callable[[int, int], None],
) -> dict[Degradation, list[Spoiled]]:
    """Every fault of every picture; a picture that OpenCV cannot decode is left out."""
    found: dict[Degradation, list[Spoiled]] = {fault: [] for fault in faults}
    for done, picture in enumerate(pictures, start=1):
        plane = _plane(picture)
        if plane is not None:
            before = outcome_of(detector, picture.data())
            for fault in faults:
                after = outcome_of(detector, fault.make(plane))
                found[fault].append(Spoiled(picture, before, after))
        advance(done, len(pictures))
    return found


def row_of(fault: Degradation, spoiled: list[Spoiled]) -> Row:
    """Counts, and the share answered in silence with a 95% interval that respects patients."""
    silent = np.array([each.after.silent for each in spoiled], bool)
    share = proportion(silent, np.array([each.picture.group for each in spoiled]), _CONFIDENCE)
    refused = [each for each in spoiled if each.after.refused]
    warned = [each for each in spoiled if not each.after.refused and each.after.warned]
    return {
        "fault": fault.fault,
        "strength": fault.strength,
        "asked": len(spoiled),
        "refused": len(refused),
        "refused, fault named": sum(each.after.named for each in refused),
        "warned": len(warned),
        "warned, fault named": sum(each.after.named for each in warned),
        "silent": int(silent.sum()),
        "silent share": share.value,
        "95%": [share.low, share.high],
        "flipped": sum(each.flipped for each in spoiled),
        "flipped in silence": sum(each.flipped and each.after.silent for each in spoiled),
        "none in silence": sum(each.lost for each in spoiled),
    }


def measure_degraded(
    bundle: Bundle, dataset: Dataset, most: int | None, reporter: ProgressReporter
) -> tuple[Result, list[str]]:
    """The table, and a line for every picture whose suspicion was lost in silence."""
    pictures = radiographs_of(dataset, bundle)[:most]
    with from_bundle(bundle) as detector, reporter.task("spoiled radiographs") as advance:
        found = spoil(detector, pictures, every(), advance)
        engine = detector.spec.provenance
    rows = tuple(row_of(fault, spoiled) for fault, spoiled in found.items())
    settings = {"pictures": len(pictures), "engine": f"{engine.engine}-{engine.precision}"}
    data = {"name": dataset.name, "digest": dataset.digest}
    return Result("degraded", rows, settings, bundle_facts(bundle), data), list(_lost(found))


def _lost(found: dict[Degradation, list[Spoiled]]) -> Iterator[str]:
    for fault, spoiled in found.items():
        for each in spoiled:
            if each.lost:
                yield f"{fault.fault} {fault.strength}: {each.picture.name}: {each.before.verdict} before"


def _plane(picture: Picture) -> Plane | None:
    decoded = cv2.imdecode(np.frombuffer(picture.data(), np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if decoded is None else np.asarray(decoded, np.uint8)


def main(
    data: Annotated[Path, typer.Option(help="Folder of good radiographs with labels.csv.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="So many pictures at most.")] = None,
    lost: Annotated[Path | None, typer.Option(help="Text file for suspicions lost in silence.")] = None,
) -> None:
    """Spoil every radiograph in every way, ask, count, and write it down."""
    opened = open_named(bundle, None)
    result, lines = measure_degraded(opened, open_dataset(data), most, ProgressReporter(Console()))
    save(result, out)
    if lost is not None:
        lost.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for row in result.rows:
        counts = ", ".join(
            f"{row[name]} {name}" for name in ("refused", "warned", "silent", "none in silence")
        )
        typer.echo(f"{row['fault']} {row['strength']}: of {row['asked']} {counts}")


if __name__ == "__main__":
    typer.run(main)
