"""What was asked for, checked before anything is opened or written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.batch.archives import is_archive
from runtime.batch.folder import ANSWERS
from runtime.batch.outputs import require_formats
from runtime.batch.pictures import ENDING
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
    pictures = request.pictures
    _require_apart(request.paths, "--out", out, lambda item: item.name in ANSWERS or _are_one(item, pictures))
    if pictures is not None:
        _require_apart(
            request.paths, "--overlay", pictures, lambda item: _is_drawn(item) or _are_one(item, out)
        )


def _require_apart(paths: Sequence[Path], option: str, folder: Path, is_own: Callable[[Path], bool]) -> None:
    """A folder that is written to is not read: it may not hold what would be missed."""
    target, read = os.path.realpath(folder), {os.path.realpath(path) for path in paths}
    if target in read:
        raise UlnaError(f"{option} {folder} is what shall be read", "choose another folder for it")
    if any(str(parent) in read for parent in Path(target).parents):
        strange = _first_strange(folder, is_own)
        if strange is not None:
            raise UlnaError(
                f"{option} {folder} lies in what shall be read and holds {strange.name!r}, "
                "which would not be looked at",
                "choose another folder for it, or move that file",
            )


def _is_drawn(item: Path) -> bool:
    return item.name.endswith(ENDING) and item.is_file()


def _are_one(item: Path, other: Path | None) -> bool:
    return other is not None and os.path.realpath(item) == os.path.realpath(other)


def _first_strange(folder: Path, is_own: Callable[[Path], bool]) -> Path | None:
    """What would be read, were the folder not written to."""
    try:
        items = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise UlnaError(f"cannot list {folder}: {error.strerror}", "choose another folder") from error
    return next((item for item in items if not item.name.startswith(".") and not is_own(item)), None)


def _holds_many(path: Path) -> bool:
    try:
        return path.is_dir() or (is_archive(path) and path.is_file())
    except (OSError, ValueError, RuntimeError):
        return False
