"""What was asked for, checked before anything is opened or written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.batch.archives import is_archive
from runtime.batch.outputs import require_formats
from runtime.errors import UlnaError
from runtime.metadata import NOTHING_SAID, PatientFacts


@dataclass(frozen=True)
class BatchOptions:
    """out: None where no batch was asked for; then none of the others may be.

    processes: None for as many as there are cores. scheduler: of a Dask cluster, "" for none. limit_s: that
    one picture may take. retry: read again what could not be read in an earlier run.
    """

    out: Path | None = None
    formats: tuple[str, ...] = ()
    processes: int | None = None
    scheduler: str = ""
    limit_s: float = 120.0
    retry: bool = False


DEFAULTS = BatchOptions()


@dataclass(frozen=True)
class BatchRequest:
    """bundle, engine: as opened and named by the person, None for the reference model and the fastest one.

    pictures: folder for pictures with the answer on them. as_json: the summary as JSON.
    """

    paths: tuple[Path, ...]
    options: BatchOptions
    bundle: Path | None = None
    engine: str | None = None
    trust: tuple[Path, ...] | None = None
    facts: PatientFacts = NOTHING_SAID
    pictures: Path | None = None
    as_json: bool = False


def require_single_files(paths: Sequence[Path], options: BatchOptions) -> None:
    """Without --out: raises UlnaError for a folder, an archive, and options that need it."""
    many = next((path for path in paths if _holds_many(path)), None)
    if many is not None:
        kind = "a folder" if many.is_dir() else "an archive"
        raise UlnaError(f"{many} is {kind}: many files need a folder for their answers", "add --out FOLDER")
    if options != DEFAULTS:
        raise UlnaError(
            "--format, --processes, --scheduler, --limit and --retry are about many files", "add --out FOLDER"
        )


def check(request: BatchRequest, out: Path) -> None:
    """Raises UlnaError for what cannot be done."""
    require_formats(request.options.formats)
    if request.options.scheduler and request.options.processes is not None:
        raise UlnaError("--processes is about this machine, --scheduler about others", "leave one out")
    if request.facts.view and (len(request.paths) > 1 or _holds_many(request.paths[0])):
        raise UlnaError("--view says what one picture shows, not what many do", "leave it out")
    _require_apart(request.paths, "--out", out)
    if request.pictures is not None:
        _require_apart(request.paths, "--overlay", request.pictures)


def _require_apart(paths: Sequence[Path], option: str, folder: Path) -> None:
    if os.path.realpath(folder) in {os.path.realpath(path) for path in paths}:
        raise UlnaError(f"{option} {folder} is what shall be read", "choose another folder for it")


def _holds_many(path: Path) -> bool:
    try:
        return path.is_dir() or (is_archive(path) and path.is_file())
    except (OSError, ValueError, RuntimeError):
        return False
