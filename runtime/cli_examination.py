"""What `detect --examination` says: one answer for all files, in words or as JSON.

The JSON object is that of schemas/examination-1.json; each of its views also carries the key `file`. Words
give no verdict of a single view: next to the answer for the whole it could be taken for that. Nor do they
name places where the answer for the whole is that no fracture was found; the JSON keeps them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from runtime.detector import Detector
    from runtime.examination import Examination
    from runtime.findings import Findings
    from runtime.metadata import PatientFacts


def say_examination(
    files: Sequence[Path], detector: Detector, as_json: bool, facts: PatientFacts | None = None
) -> bool:
    """Read every file, print the one answer. Returns whether any could not be read."""
    from runtime.examination import combine
    from runtime.wording import NOTICE

    whole = combine([answer(detector, file, facts)[1] for file in files], detector.spec.examination)
    if as_json:
        typer.echo(json.dumps(_as_object(files, whole), indent=2, allow_nan=False))
    else:
        say([*_in_words(files, whole), NOTICE])
    return bool(whole.unread)


def answer(detector: Detector, file: Path, facts: PatientFacts | None = None) -> tuple[bytes, Findings]:
    """The file's bytes, empty where it cannot be read, and the findings. facts: what a person says."""
    from runtime.errors import InputError
    from runtime.metadata import NOTHING_SAID
    from runtime.readers import load

    data = b""
    try:
        data = load(file)
        return data, detector.detect_bytes(data, file.name, facts or NOTHING_SAID)
    except InputError as error:
        return data, detector.refuse(error)


def details(findings: Findings, indent: str, places: bool = True) -> Iterator[str]:
    """Places, unless they are not wanted, and notes; a line each."""
    for number, box in enumerate(findings.boxes if places else (), start=1):
        across, down = f"x {box.x0_px:.0f} to {box.x1_px:.0f}", f"y {box.y0_px:.0f} to {box.y1_px:.0f}"
        yield f"{indent}place {number}: {across}, {down} px"
    for warning in findings.warnings:
        yield f"{indent}note: {warning}"
    if findings.metadata is not None:
        yield f"{indent}told beside the picture: {findings.metadata.in_words()}"
        for note in findings.metadata.notes:
            yield f"{indent}note: {note}"


def say(lines: Iterable[str]) -> None:
    """Print them; a letter that the terminal's encoding lacks becomes "?" and costs nobody the answer."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    typer.echo("\n".join(lines).encode(encoding, "replace").decode(encoding))


def shown(file: Path) -> str:
    """The name without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(file))


def _as_object(files: Sequence[Path], whole: Examination) -> dict[str, Any]:
    table = whole.to_json()
    views = [{"file": str(file), **view} for file, view in zip(files, table["views"], strict=True)]
    return {**table, "views": views}


def _in_words(files: Sequence[Path], whole: Examination) -> Iterator[str]:
    from runtime import wording
    from runtime.findings import Verdict

    views = "1 view" if len(files) == 1 else f"{len(files)} views"
    chance = "" if whole.probability is None else f" (probability {wording.chance_words(whole.probability)})"
    yield f"examination of {views}: {wording.examination_headline(whole)}{chance}"
    for note in wording.examination_notes(whole):
        yield f"  note: {note}"
    yield f"  next: {wording.examination_next_step(whole)}"
    for number, (file, view) in enumerate(zip(files, whole.views, strict=True), start=1):
        name = f"  view {number}, {shown(file)}"
        if view.refusal is not None:
            yield f"{name}: cannot read: {view.refusal.message} {view.refusal.advice}"
        else:
            yield f"{name}: probability {wording.probability_words(view)}"
        yield from details(view, "    ", places=whole.verdict is not Verdict.NONE)
