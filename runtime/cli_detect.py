"""The verb `detect`: image files in, one answer a file out, in words or as JSON.

With --json one file gives one object (schemas/findings-1.json plus the key `file`), several give one array.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from runtime.detector import Detector
    from runtime.findings import Findings

_UNREAD = 1


def detect(
    files: Annotated[list[Path], typer.Argument(help="radiographs: JPEG, PNG, TIFF or DICOM")],
    bundle: Annotated[Path, typer.Option("--bundle", help="folder of the bundle")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of words")] = False,
    overlay: Annotated[
        Path | None,
        typer.Option("--overlay", help="write the picture with the answer on it; a folder for several files"),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option("--engine", help='for example "onnxruntime-int8" [default: fastest that passes]'),
    ] = None,
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            "--trust", help="trusted public key, a .pem file or a folder of them [default: this machine's]"
        ),
    ] = None,
) -> None:
    """Look for fractures in radiographs. Exit code 1 when any file could not be read."""
    targets = _overlay_paths(files, overlay)
    answers: list[tuple[Path, Findings]] = []
    with _open_detector(bundle, engine, trust) as detector:
        for file, target in zip(files, targets, strict=True):
            findings = _answer(detector, file, target)
            answers.append((file, findings))
            if not as_json:
                typer.echo("\n".join(_in_words(file, findings)))
    if as_json:
        objects = [{"file": str(file), **findings.to_json()} for file, findings in answers]
        typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects, indent=2, allow_nan=False))
    else:
        typer.echo(_notice())
    if any(findings.refusal is not None for _, findings in answers):
        raise typer.Exit(_UNREAD)


def _open_detector(bundle: Path, engine: str | None, trust: list[Path] | None) -> Detector:
    from runtime.bundle import open_bundle
    from runtime.detector import from_bundle
    from runtime.trust import TrustStore

    return from_bundle(open_bundle(bundle, TrustStore.from_paths(*trust) if trust else None), engine)


def _answer(detector: Detector, file: Path, overlay: Path | None) -> Findings:
    from runtime.errors import InputError
    from runtime.overlay import render
    from runtime.readers import load, read_bytes

    data = b""
    try:
        data = load(file)
        findings = detector.detect_bytes(data, file.name)
    except InputError as error:
        findings = detector.refuse(error)
    if overlay is not None:
        try:
            radiograph = read_bytes(data)
        except InputError:
            radiograph = None
        _write(overlay, render(radiograph, findings))
    return findings


def _in_words(file: Path, findings: Findings) -> Iterator[str]:
    from runtime.wording import headline, next_step, probability_words

    name = "".join(letter if letter.isprintable() else "?" for letter in str(file))
    if findings.refusal is not None:
        yield f"{name}: cannot read: {findings.refusal.message}"
    else:
        yield f"{name}: {headline(findings.verdict)} (probability {probability_words(findings)})"
    for number, box in enumerate(findings.boxes, start=1):
        across, down = f"x {box.x0_px:.0f} to {box.x1_px:.0f}", f"y {box.y0_px:.0f} to {box.y1_px:.0f}"
        yield f"  place {number}: {across}, {down} px"
    for warning in findings.warnings:
        yield f"  note: {warning}"
    yield f"  next: {next_step(findings)}"


def _notice() -> str:
    from runtime.wording import NOTICE

    return NOTICE


def _overlay_paths(files: list[Path], overlay: Path | None) -> list[Path | None]:
    """Where each picture goes. Raises UlnaError where one would replace a radiograph."""
    from runtime.errors import UlnaError

    if overlay is None:
        return [None] * len(files)
    if len(files) == 1 and not overlay.is_dir():
        targets = [overlay]
    else:
        # Numbered, since two folders may hold files of the same name.
        targets = [overlay / f"{i:03d}-{file.stem}.overlay.png" for i, file in enumerate(files, start=1)]
    inputs = {file.resolve() for file in files}
    clash = next((target for target in targets if target.resolve() in inputs), None)
    if clash is not None:
        raise UlnaError(
            f"the overlay {clash} would replace a radiograph", "choose another path for --overlay"
        )
    return list(targets)


def _write(path: Path, data: bytes) -> None:
    from runtime.errors import UlnaError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UlnaError(
            f"cannot write {path}: {error.strerror}", "choose another path for --overlay"
        ) from error
