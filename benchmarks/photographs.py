"""What becomes of radiographs that are printed, laid on a light box and photographed with a tablet.

`python -m benchmarks.photographs --data DIR --out photographs.json`

The photographs are computed (benchmarks.photographs_made): this is a simulation, not a study with films. Of
radiographs that the model was not made with the file is read, and photographs of it, taken with care or with
one fault each, in two ways: the film found and straightened (runtime.photograph), and the photograph read as
if it were the radiograph. Limits were chosen on the part "tune"; the part "report" has other seeds and other
radiographs, though partly of the same patients: there are few groups of them that the model has not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from rich.console import Console

from benchmarks.photographs_made import Photograph, Plane, drawn, take
from benchmarks.refusals import Picture, radiographs_of
from benchmarks.results import Result, Row, bundle_facts, save
from compress.datasets.base import Dataset
from compress.datasets.registry import open_dataset
from compress.intervals import proportion
from compress.progress import ProgressReporter
from runtime.bundle import Bundle
from runtime.detector import Detector, from_bundle
from runtime.findings import Verdict
from runtime.photograph import PhotographError, rectify
from runtime.photograph_plane import Corners
from runtime.photograph_quality import ShotLimits, refusal_of_shot
from runtime.readers import read_bytes
from runtime.reference import open_named

_CONFIDENCE = 0.95
_SEEDS = {"tune": 0, "report": 500_000}
_ORDER = 5
_NO_LIMITS = ShotLimits(90.0, 0.0, 9.0, 9.0, 0.0)
"""Of a photograph that is refused it is still asked where the film was found."""


@dataclass(frozen=True)
class Kind:
    """A way of photographing: its name, and what of benchmarks.photographs_made.Scene is not by chance."""

    name: str
    given: dict[str, Any]


KINDS = (
    Kind("with care", {}),
    Kind("tilt 20 to 35 degrees", {"tilt_deg": (20.0, 35.0)}),
    Kind("tilt 45 to 55 degrees", {"tilt_deg": (45.0, 55.0)}),
    Kind("uneven light box", {"fall": (0.4, 0.9)}),
    Kind("picture on a monitor", {"kind": "monitor"}),
    Kind("out of focus", {"blur": (0.0025, 0.006)}),
    Kind("shaken", {"shake": (0.01, 0.03)}),
    Kind("faint reflection", {"glare": (0.02, 0.1)}),
    Kind("reflection", {"glare": (0.1, 0.4)}),
    Kind("strong reflection", {"glare": (0.6, 1.5)}),
    Kind("too far away", {"share": (0.25, 0.4)}),
    Kind("two films", {"films": 2, "share": 0.45, "off": (-0.2, 0.0), "panel": 4.0}),
    Kind("cut off by the frame", {"share": 0.85, "off": (0.0, 0.2)}),
    Kind("fills the frame", {"kind": "fills", "share": 1.25}),
)


@dataclass(frozen=True)
class Outcome:
    """Of one photograph. file: the verdict on the file. after: of the film in the photograph, None where the
    photograph was refused, for `refusal`. plain: of the photograph read as if it were the radiograph.
    error: distance of the worst corner over the film's diagonal, None where no single film was found.
    """

    group: str
    fractured: bool
    file: Verdict
    after: Verdict | None
    plain: Verdict
    refusal: str = ""
    error: float | None = None


def outcome_of(detector: Detector, picture: Picture, fractured: bool, photograph: Photograph) -> Outcome:
    """All that is asked of one photograph of one radiograph."""
    file = detector.detect_bytes(picture.data()).verdict
    seen = read_bytes(photograph.data)
    known, plain = (picture.group, fractured, file), detector.detect(seen).verdict
    try:
        film = rectify(seen, _NO_LIMITS)
    except PhotographError as error:
        return Outcome(*known, None, plain, str(error.refusal.code))
    off = _off(film.film.corners, photograph)
    if (refusal := refusal_of_shot(film.shot)) is not None:
        return Outcome(*known, None, plain, str(refusal.code), off)
    found = detector.detect(film.radiograph)
    return Outcome(
        *known, found.verdict, plain, "" if found.refusal is None else str(found.refusal.code), off
    )


def _off(corners: Corners, photograph: Photograph) -> float:
    """Distance of the worst corner over the diagonal; a film's clear border may be left out."""
    return min(
        float(np.linalg.norm(corners - edge, axis=1).max() / np.linalg.norm(edge[2] - edge[0]))
        for edge in (photograph.corners, photograph.inner)
    )


def row_of(kind: str, outcomes: list[Outcome]) -> Row:
    """Counts; verdicts are compared with those on the file where both are answers."""
    errors = [each.error for each in outcomes if each.error is not None]
    refused = [each for each in outcomes if each.after is None]
    return {
        "photographed": kind,
        "asked": len(outcomes),
        "film found": len(errors),
        "corner p50 %": _percent(errors, 50),
        "corner p95 %": _percent(errors, 95),
        "photograph refused": len(refused),
        "for": ", ".join(
            f"{code} {count}" for code, count in Counter(e.refusal for e in refused).most_common()
        ),
        "picture refused": sum(each.after is Verdict.UNREADABLE for each in outcomes),
        **_compared(outcomes, "", lambda each: each.after or Verdict.UNREADABLE),
        **_compared(outcomes, "plain: ", lambda each: each.plain),
    }


def _compared(outcomes: list[Outcome], prefix: str, verdict: Callable[[Outcome], Verdict]) -> Row:
    both = [each for each in outcomes if Verdict.UNREADABLE not in (each.file, verdict(each))]
    same = np.array([verdict(each) is each.file for each in both], bool)
    share = proportion(same, np.array([each.group for each in both]), _CONFIDENCE)
    return {
        f"{prefix}answered": len(both),
        f"{prefix}same": int(same.sum()),
        f"{prefix}same 95%": [share.low, share.high] if both else None,
        f"{prefix}fracture became none": _became(both, verdict, (Verdict.FRACTURE,), (Verdict.NONE,)),
        f"{prefix}doubt became none": _became(both, verdict, (Verdict.DOUBT,), (Verdict.NONE,)),
        f"{prefix}none became fracture": _became(both, verdict, (Verdict.NONE,), (Verdict.FRACTURE,)),
        f"{prefix}none became doubt": _became(both, verdict, (Verdict.NONE,), (Verdict.DOUBT,)),
        f"{prefix}broken, said none (file)": sum(e.fractured and e.file is Verdict.NONE for e in both),
        f"{prefix}broken, said none": sum(e.fractured and verdict(e) is Verdict.NONE for e in both),
    }


def _became(
    both: list[Outcome],
    verdict: Callable[[Outcome], Verdict],
    before: tuple[Verdict, ...],
    after: tuple[Verdict, ...],
) -> int:
    return sum(each.file in before and verdict(each) in after for each in both)


def _percent(errors: list[float], percentile: int) -> float | None:
    return float(100 * np.percentile(errors, percentile)) if errors else None


@dataclass(frozen=True)
class Sample:
    """part: "tune" or "report". careful: photographs taken with care at most. faulty: of each other kind."""

    part: str = "report"
    careful: int = 124
    faulty: int = 24


def measure_photographs(
    bundle: Bundle, dataset: Dataset, sample: Sample, reporter: ProgressReporter
) -> Result:
    """The table, a row for each way of photographing."""
    pictures = _half(radiographs_of(dataset, bundle), sample.part)
    labels = {case.case_id: case.label == 1 for case in dataset.cases}
    rows = []
    with from_bundle(bundle, _plain_engine(bundle)) as detector:
        for number, kind in enumerate(KINDS):
            count = sample.careful if number == 0 else sample.faulty
            with reporter.task(kind.name) as advance:
                outcomes = []
                for done in range(count):
                    picture = pictures[done % len(pictures)]
                    made = _taken(picture, kind, _SEEDS[sample.part] + 1000 * number + done)
                    outcomes.append(outcome_of(detector, picture, labels[picture.name], made))
                    advance(done + 1, count)
            rows.append(row_of(kind.name, outcomes))
    settings = {
        **vars(sample),
        "radiographs": len(pictures),
        "groups": len({one.group for one in pictures}),
        "engine": _plain_engine(bundle),
    }
    data = {"name": dataset.name, "digest": dataset.digest}
    return Result("photographs of films (simulated)", tuple(rows), settings, bundle_facts(bundle), data)


def _half(pictures: list[Picture], part: str) -> list[Picture]:
    """Those of a part that OpenCV can decode."""
    order = np.random.default_rng(_ORDER).permutation(len(pictures))
    middle = len(order) // 2
    chosen = order[:middle] if part == "tune" else order[middle:]
    return [pictures[place] for place in chosen if _plane(pictures[place]) is not None]


def _taken(picture: Picture, kind: Kind, seed: int) -> Photograph:
    random = np.random.default_rng(seed)
    given = {
        name: float(random.uniform(*value)) if isinstance(value, tuple) and name != "off" else value
        for name, value in kind.given.items()
    }
    plane = _plane(picture)
    assert plane is not None
    return take(plane, drawn(seed, **given))


def _plane(picture: Picture) -> Plane | None:
    decoded = cv2.imdecode(np.frombuffer(picture.data(), np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if decoded is None else np.asarray(decoded, np.uint8)


def _plain_engine(bundle: Bundle) -> str | None:
    """In 32 bits on the CPU, where the bundle has it: what is asked is not about an engine."""
    keys = [entry.key for entry in bundle.manifest.engines]
    return "onnxruntime-fp32" if "onnxruntime-fp32" in keys else None


def main(
    data: Annotated[Path, typer.Option(help="Folder of radiographs with labels.csv.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    bundle: Annotated[Path | None, typer.Option(help="The bundle; without it the reference model.")] = None,
    part: Annotated[str, typer.Option(help="tune or report.")] = "report",
    careful: Annotated[int, typer.Option(min=1, help="Photographs taken with care.")] = 124,
    faulty: Annotated[int, typer.Option(min=1, help="Photographs of each other kind.")] = 24,
) -> None:
    """Photograph every film in every way, read it, and write down what came of it."""
    if part not in _SEEDS:
        raise typer.BadParameter(f"--part is tune or report, got {part}")
    sample = replace(Sample(), part=part, careful=careful, faulty=faulty)
    result = measure_photographs(
        open_named(bundle, None), open_dataset(data), sample, ProgressReporter(Console())
    )
    save(result, out)
    for row in result.rows:
        counts = ", ".join(f"{row[name]} {name}" for name in ("film found", "photograph refused", "same"))
        typer.echo(f"{row['photographed']}: of {row['asked']} {counts}")


if __name__ == "__main__":
    typer.run(main)
