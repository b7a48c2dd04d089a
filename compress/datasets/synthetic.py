"""A folder of computed radiographs: made once, reused when unchanged, resumed when interrupted.

The folder holds images/ (12-bit values in 16-bit PNG), masks/ (8-bit PNG, 255 where rays cross a fracture
surface), rows/ (one JSON a patient, written last: a patient is either whole or not there), labels.csv and the
marker done.json. Both views of a patient carry the patient's fracture as their label wherever it lies in the
exposed field, even when the view hardly shows it; that is what the examination says of the patient.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from compress.datasets.progress import Progress, silent
from compress.datasets.synth.patient import Patient, Shot, make_patient
from compress.datasets.table import TABLE, TableDataset
from compress.options.data import SyntheticOptions
from runtime.errors import StepError

GENERATOR_VERSION = 1
DONE = "done.json"
COLUMNS = (
    "image_id",
    "file",
    "fractured",
    "body_part",
    "view",
    "group",
    "boxes",
    "fracture_type",
    "displacement_mm",
    "angulation_deg",
    "hard_normal",
    "quanta_per_px",
    "mask",
)
_OWN_FOLDERS = ("images", "masks", "rows")
_WORKERS = 2
_PATIENTS_A_TASK = 4
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]

Row = dict[str, Any]


def generate(
    options: SyntheticOptions, folder: Path, progress: Progress = silent, workers: int | None = None
) -> TableDataset:
    """Make the radiographs in `folder`, or find them there; progress counts patients.

    The same options give the same bytes, whatever the number of workers (default: two, or one on one core).
    Raises StepError for a folder that holds something else, or a full disk.
    """
    try:
        if not _is_done(options, folder):
            _claim(options, folder)
            rows = _make_all(options, folder, progress, workers or min(_WORKERS, os.cpu_count() or 1))
            _write(folder / TABLE, _table(rows).encode())
            _write(folder / DONE, json.dumps(_marker(options, folder, finished=True), indent=1).encode())
    except OSError as error:
        raise StepError(
            f"cannot write {error.filename or folder}: {error.strerror}", "free some space"
        ) from error
    progress(options.patients, options.patients)
    return TableDataset(folder)


def _marker(options: SyntheticOptions, folder: Path, finished: bool) -> dict[str, Any]:
    basis = json.dumps([GENERATOR_VERSION, options.seed, options.long_side_px])
    marker: dict[str, Any] = {
        "generator_version": GENERATOR_VERSION,
        "series": hashlib.sha256(basis.encode()).hexdigest(),
        "options": dataclasses.asdict(options),
    }
    if finished:
        marker["table_sha256"] = _sha256((folder / TABLE).read_bytes())
    return marker


def _read_marker(folder: Path) -> dict[str, Any]:
    try:
        marker = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) else {}


def _is_done(options: SyntheticOptions, folder: Path) -> bool:
    """Whether the marker names these options and every image is there, byte for byte."""
    if not (folder / TABLE).is_file() or _read_marker(folder) != _marker(options, folder, finished=True):
        return False
    return all(_sound_rows(folder, number) is not None for number in range(options.patients))


def _claim(options: SyntheticOptions, folder: Path) -> None:
    """Take the folder for this series: empty, or made by this generator; another series is cleared away."""
    folder.mkdir(parents=True, exist_ok=True)
    found = _read_marker(folder)
    if not found and any(folder.iterdir()):
        raise StepError(
            f"{folder} holds something else", "give an empty folder or one that `ulna synth` made"
        )
    wanted = _marker(options, folder, finished=False)
    if found and found.get("series") != wanted["series"]:
        for name in _OWN_FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / TABLE).unlink(missing_ok=True)
    _write(folder / DONE, json.dumps(wanted, indent=1).encode())
    for name in _OWN_FOLDERS:
        (folder / name).mkdir(exist_ok=True)


def _make_all(options: SyntheticOptions, folder: Path, progress: Progress, workers: int) -> list[Row]:
    rows = {number: _sound_rows(folder, number) for number in range(options.patients)}
    missing = [number for number, found in rows.items() if found is None]
    progress(options.patients - len(missing), options.patients)
    for number, made in _run(options, folder, missing, workers):
        rows[number] = made
        progress(sum(found is not None for found in rows.values()), options.patients)
    return [row for number in range(options.patients) for row in rows[number] or ()]


def _run(
    options: SyntheticOptions, folder: Path, numbers: list[int], workers: int
) -> Iterator[tuple[int, list[Row]]]:
    tasks = [(options, folder, number) for number in numbers]
    if workers == 1 or len(tasks) <= _PATIENTS_A_TASK:
        yield from map(_make_one, tasks)
        return
    # spawn, not fork: the caller may hold threads (torch, OpenCV) that a forked child would wait for for ever
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        try:
            yield from pool.map(_make_one, tasks, chunksize=_PATIENTS_A_TASK)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _make_one(task: tuple[SyntheticOptions, Path, int]) -> tuple[int, list[Row]]:
    options, folder, number = task
    patient = make_patient(number, options.seed, options.long_side_px)
    rows = [_save(folder, patient, shot) for shot in patient.shots]
    _write(_row_path(folder, number), json.dumps(rows).encode())
    return number, rows


def _save(folder: Path, patient: Patient, shot: Shot) -> Row:
    name = f"p{patient.number:05d}-{shot.view}"
    fractured = bool(shot.masks)
    digests = {f"images/{name}.png": _write_png(folder / "images" / f"{name}.png", shot.pixels)}
    if fractured:
        mask = shot.mask.astype(np.uint8) * 255
        digests[f"masks/{name}.png"] = _write_png(folder / "masks" / f"{name}.png", mask)
    return {
        "image_id": name,
        "file": f"images/{name}.png",
        "fractured": int(fractured),
        "body_part": patient.body_part,
        "view": shot.view,
        "group": f"p{patient.number:05d}",
        "boxes": json.dumps([_box(mask) for mask in shot.masks]),
        "fracture_type": patient.fracture_type if fractured else "",
        "displacement_mm": f"{patient.displacement_mm:.2f}" if fractured else "",
        "angulation_deg": f"{patient.angulation_deg:.1f}" if fractured else "",
        "hard_normal": patient.hard_normal,
        "quanta_per_px": f"{shot.quanta:.0f}",
        "mask": f"masks/{name}.png" if fractured else "",
        "sha256": digests,
    }


def _box(mask: NDArray[np.bool_]) -> list[float]:
    """The mask's bounding box as fractions of width and height."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return [
        round(float(value), 5)
        for value in (
            columns[0] / width,
            rows[0] / height,
            (columns[-1] + 1) / width,
            (rows[-1] + 1) / height,
        )
    ]


def _sound_rows(folder: Path, number: int) -> list[Row] | None:
    """The rows of a patient whose files are all there and unchanged."""
    try:
        rows = json.loads(_row_path(folder, number).read_text(encoding="utf-8"))
        for row in rows:
            for name, digest in row["sha256"].items():
                if _sha256((folder / name).read_bytes()) != digest:
                    return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return list(rows)


def _row_path(folder: Path, number: int) -> Path:
    return folder / "rows" / f"p{number:05d}.json"


def _table(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write_png(path: Path, pixels: NDArray[Any]) -> str:
    sound, data = cv2.imencode(".png", pixels, _PNG_OPTIONS)
    if not sound:
        raise StepError(f"cannot encode {path.name}")
    _write(path, data.tobytes())
    return _sha256(data.tobytes())


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
