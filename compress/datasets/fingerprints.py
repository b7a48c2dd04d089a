"""The fingerprints of a whole data set, taken once and kept on disk: taking them decodes every image.

A file belongs to one dataset digest and one version of what takes them. One that is damaged is made anew, and
images that have none in it (even plates, files that could not be read) are looked at again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from compress.datasets.base import Dataset
from compress.datasets.leaks import fingerprints_of
from compress.datasets.perceptual import HASH_BITS, SIDE_PX, Fingerprint
from compress.datasets.progress import Progress, silent
from runtime.errors import StepError

_VERSION = 1
_KEY_HEX_DIGITS = 20


def kept_fingerprints(
    dataset: Dataset, folder: Path, progress: Progress = silent
) -> Mapping[str, Fingerprint]:
    """Fingerprints by case id, as `fingerprints_of` takes them; what lies in `folder` is not taken again.

    Several processes may use one folder. Raises StepError where it cannot be written.
    """
    path = folder / f"fingerprints-{_key(dataset)}.npz"
    kept = _read(path)
    missing = [case for case in dataset.cases if case.case_id not in kept]
    progress(0, len(missing))
    if not missing:
        return kept
    taken = fingerprints_of(dataset, missing, progress)
    found = {**kept, **taken}
    if taken:
        _write(path, found)
    return found


def _key(dataset: Dataset) -> str:
    basis = json.dumps([dataset.digest, _VERSION, cv2.__version__, np.__version__])
    return hashlib.sha256(basis.encode()).hexdigest()[:_KEY_HEX_DIGITS]


def _read(path: Path) -> dict[str, Fingerprint]:
    """What is there, {} where there is nothing or a damaged file."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            ids, signs, pictures = (stored[name] for name in ("ids", "signs", "pictures"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    whole = signs.shape == (len(ids), HASH_BITS) and pictures.shape == (len(ids), SIDE_PX, SIDE_PX)
    if not whole or signs.dtype != np.bool_ or pictures.dtype != np.float16:
        return {}
    return {str(name): Fingerprint(*pair) for name, *pair in zip(ids, signs, pictures, strict=True)}


def _write(path: Path, found: Mapping[str, Fingerprint]) -> None:
    """Whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            np.savez(
                stream,
                ids=np.array(list(found)),
                signs=np.stack([each.signs for each in found.values()]),
                pictures=np.stack([each.picture for each in found.values()]),
            )
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StepError(
            f"cannot write the fingerprints {path}: {error.strerror}", "free some space"
        ) from error
