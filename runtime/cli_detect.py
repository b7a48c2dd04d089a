"""The verb `detect`: image files in, one answer a file out, in words or as JSON.

With --json one file gives one object (schemas/findings-1.json plus the key `file`), several give one array.
With --examination all files are views of one examination and get one answer (runtime.cli_examination).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli_examination import answer, details, say_examination, shown

if TYPE_CHECKING:
    from runtime.detector import Detector
    from runtime.findings import Findings

_UNREAD = 1
_MAX_STEM_BYTES = 200  # a file name has at most 255


def detect(  # noqa: PLR0913, PLR0917  (one parameter an option)
    files: Annotated[list[Path], typer.Argument(help="radiographs: JPEG, PNG, TIFF or DICOM")],
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="folder of the bundle [default: the reference model]")
    ] = None,
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
    examination: Annotated[
        bool, typer.Option("--examination", help="the files are views of one examination: one answer for all")
    ] = False,
) -> None:
    """Look for fractures in radiographs. Exit code 1 when any file could not be read."""
    if examination:
        _require_no_overlay(overlay)
        with _open_detector(bundle, engine, trust) as detector:
            unread = say_examination(files, detector, as_json)
    else:
        targets = _overlay_paths(files, overlay)
        with _open_detector(bundle, engine, trust) as detector:
            unread = _say_each(list(zip(files, targets, strict=True)), detector, as_json)
    if unread:
        raise typer.Exit(_UNREAD)


def _say_each(files: list[tuple[Path, Path | None]], detector: Detector, as_json: bool) -> bool:
    """One answer a file, its picture where a path is given. Returns whether any could not be read."""
    objects: list[dict[str, Any]] = []  # not the findings: their evidence maps would pile up
    unread = False
    for file, target in files:
        findings = _answer(detector, file, target)
        unread |= findings.refusal is not None
        if as_json:
            objects.append({"file": str(file), **findings.to_json()})
        else:
            typer.echo("\n".join(_in_words(file, findings)))
    if as_json:
        typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects, indent=2, allow_nan=False))
    else:
        typer.echo(_notice())
    return unread


def _require_no_overlay(overlay: Path | None) -> None:
    """A picture shows its own view's answer, which may be another than the examination's."""
    from runtime.errors import UlnaError

    if overlay is not None:
        raise UlnaError(
            "--overlay draws the answer for one view, --examination gives one for all",
            "run detect twice, once with each",
        )


def _open_detector(bundle: Path | None, engine: str | None, trust: list[Path] | None) -> Detector:
    from runtime.detector import from_bundle
    from runtime.reference import open_named

    return from_bundle(open_named(bundle, trust), engine)


def _answer(detector: Detector, file: Path, overlay: Path | None) -> Findings:
    from runtime.overlay import render
    from runtime.readers import read_bytes

    data, findings = answer(detector, file)
    if overlay is not None:
        try:
            radiograph = read_bytes(data)
        except Exception:  # whatever it was, detect_bytes met it too and has logged it
            radiograph = None
        _write(overlay, render(radiograph, findings))
    return findings


def _in_words(file: Path, findings: Findings) -> Iterator[str]:
    from runtime.wording import headline, next_step, probability_words

    name = shown(file)
    if findings.refusal is not None:
        yield f"{name}: cannot read: {findings.refusal.message}"
    else:
        yield f"{name}: {headline(findings.verdict)} (probability {probability_words(findings)})"
    yield from details(findings, "  ")
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
        targets = [overlay / f"{i:03d}-{_stem(file)}.overlay.png" for i, file in enumerate(files, start=1)]
    inputs = {os.path.realpath(file) for file in files}
    clash = next((target for target in targets if os.path.realpath(target) in inputs), None)
    if clash is not None:
        raise UlnaError(
            f"the overlay {clash} would replace a radiograph", "choose another path for --overlay"
        )
    return list(targets)


def _stem(file: Path) -> str:
    return os.fsdecode(os.fsencode(file.stem)[:_MAX_STEM_BYTES])


def _write(path: Path, data: bytes) -> None:
    """The whole picture or none: half of one may lack the frames and the words below."""
    from runtime.errors import UlnaError

    part = path.with_name(f".ulna-{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a pipe or /dev/stdout is written to, never replaced
            path.write_bytes(data)
            return
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise UlnaError(
            f"cannot write {path}: {error.strerror}", "choose another path for --overlay"
        ) from error
