"""The verb `detect`: image files in, one answer a file out, in words or as JSON; with --out many files.

With --json one file gives one object (schemas/findings-1.json plus the key `file`), several give one array.
With --examination all files are views of one examination and get one answer (runtime.cli_examination).
What --age, --sex, --body-part and --view say goes before what a DICOM file says of itself, and to every file;
a value that makes no sense counts as not known and is told.
With --out files, folders and archives are read into a folder of answers (runtime.batch); --json then prints
its summary.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli_examination import answer, details, say, say_examination, shown

if TYPE_CHECKING:
    from runtime.batch.request import BatchRequest
    from runtime.detector import Detector
    from runtime.findings import Findings
    from runtime.metadata import PatientFacts

_UNREAD = 1
_LIMIT_S = 120.0
_MAX_STEM_BYTES = 200  # a file name has at most 255


def detect(  # noqa: PLR0913, PLR0917  (one parameter an option)
    files: Annotated[
        list[Path],
        typer.Argument(
            help="radiographs: DICOM, JPEG, PNG, TIFF, BMP or WebP; with --out folders and archives too "
            "(.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)"
        ),
    ],
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
    age: Annotated[
        str,
        typer.Option("--age", help="of the patient, in years (41) or months (6M), for a model that uses it"),
    ] = "",
    sex: Annotated[str, typer.Option("--sex", help="of the patient: female or male")] = "",
    body_part: Annotated[str, typer.Option("--body-part", help="that the picture shows: hand")] = "",
    view: Annotated[str, typer.Option("--view", help="of the picture: frontal, lateral; one file only")] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="folder for the answers to many files; run again to go on after a stop"),
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="beside jsonl: csv, parquet; may be repeated")
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="that read at a time [default: the cores here]")
    ] = None,
    scheduler: Annotated[
        str, typer.Option("--scheduler", help="of a Dask cluster whose workers shall read: tcp://host:8786")
    ] = "",
    limit_s: Annotated[
        float, typer.Option("--limit", min=1, max=86_400, help="seconds that one of many files may take")
    ] = _LIMIT_S,
    retry: Annotated[
        bool, typer.Option("--retry", help="read again what could not be read when --out was written before")
    ] = False,
) -> None:
    """Look for fractures in radiographs. Exit code 1 when any file could not be read."""
    from runtime.batch.request import BatchOptions, BatchRequest, require_single_files
    from runtime.metadata import PatientFacts

    facts = PatientFacts(age, sex, body_part, view)
    batch = BatchOptions(out, tuple(formats or ()), processes, scheduler, limit_s, retry)
    if out is not None:
        _require_no_examination(examination)
        keys = None if trust is None else tuple(trust)
        unread = _detect_many(
            BatchRequest(tuple(files), batch, bundle, engine, keys, facts, overlay, as_json)
        )
        raise typer.Exit(_UNREAD if unread else 0)
    require_single_files(files, batch)
    _require_one_view(files, view)
    if examination:
        _require_no_overlay(overlay)
        with _open_detector(bundle, engine, trust) as detector:
            unread = say_examination(files, detector, as_json, facts)
    else:
        targets = _overlay_paths(files, overlay)
        with _open_detector(bundle, engine, trust) as detector:
            pairs = list(zip(files, targets, strict=True))
            unread = _say_each(pairs, detector, as_json, facts)
    if detector.must_end:  # an engine that hangs would make the ordinary way out a crash
        sys.stdout.flush()
        os._exit(_UNREAD if unread else 0)
    if unread:
        raise typer.Exit(_UNREAD)


def _say_each(
    files: list[tuple[Path, Path | None]], detector: Detector, as_json: bool, facts: PatientFacts
) -> bool:
    """One answer a file, its picture where a path is given. Returns whether any could not be read, be it for
    the picture alone.
    """
    objects: list[dict[str, Any]] = []  # not the findings: their evidence maps would pile up
    unread = False
    for file, target in files:
        findings, drawn = _answer(detector, file, target, facts)
        unread |= findings.refusal is not None or not drawn
        if as_json:
            objects.append({"file": str(file), **findings.to_json()})
        else:
            say(_in_words(file, findings))
    if as_json:
        typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects, indent=2, allow_nan=False))
    else:
        typer.echo(_notice())
    return unread


def _detect_many(request: BatchRequest) -> bool:
    from runtime.batch.command import detect_many

    return detect_many(request)


def _require_no_examination(examination: bool) -> None:
    from runtime.errors import UlnaError

    if examination:
        raise UlnaError(
            "--examination gives one answer for the views of one patient, --out one for each of many files",
            "name the views of one examination without --out, or leave --examination out",
        )


def _require_no_overlay(overlay: Path | None) -> None:
    """A picture shows its own view's answer, which may be another than the examination's."""
    from runtime.errors import UlnaError

    if overlay is not None:
        raise UlnaError(
            "--overlay draws the answer for one view, --examination gives one for all",
            "run detect twice, once with each",
        )


def _require_one_view(files: list[Path], view: str) -> None:
    from runtime.errors import UlnaError

    if view and len(files) > 1:
        raise UlnaError(
            f"--view says what one picture shows, got {len(files)} files", "run detect once for each view"
        )


def _open_detector(bundle: Path | None, engine: str | None, trust: list[Path] | None) -> Detector:
    """On the fastest engine that passes its golden cases here, the others in reserve; or on the named one."""
    from rich.console import Console

    from runtime.backends.base import BackendOptions
    from runtime.kept_selftest import choose_once
    from runtime.reference import open_named
    from runtime.standby import open_detector

    opened, options = open_named(bundle, trust), BackendOptions()
    with Console(stderr=True).status("testing the engines, once after a start of the machine") as status:
        choice = choose_once(
            opened, options, engine, lambda key: status.update(f"running the golden cases on {key}")
        )
    return open_detector(opened, choice, options)


def _answer(
    detector: Detector, file: Path, overlay: Path | None, facts: PatientFacts
) -> tuple[Findings, bool]:
    """And whether the picture that was asked for is there; what is said of it goes to standard error."""
    from runtime.batch.pictures import draw

    data, findings = answer(detector, file, facts)
    if overlay is None:
        return findings, True
    picture = draw(data, findings)
    if picture is None:
        words = f"{shown(file)} could not be read a second time: {shown(overlay)} was not written"
        typer.echo(words, err=True)
        return findings, False
    _write(overlay, picture)
    return findings, True


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
    from runtime.durable import replace_file
    from runtime.errors import UlnaError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a pipe or /dev/stdout is written to, never replaced
            path.write_bytes(data)
            return
        replace_file(path, data)
    except OSError as error:
        raise UlnaError(
            f"cannot write {path}: {error.strerror}", "choose another path for --overlay"
        ) from error
