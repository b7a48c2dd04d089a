"""The comparison of a quantized step with its float original, measured once and kept beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import Artifact
from compress.layers.base import Feed
from compress.layers.compare import MAX_IMAGES, compare_layers
from compress.layers.opening import open_pair
from compress.layers.parity import LayerParity
from compress.steps.calibration import CalibrationData
from runtime.errors import UlnaError

FILE = "layers.json"
FACT = "layer_parity"
"""Its name among the facts of a node; `layers` is what other steps count there."""
NOT_MEASURED = "not_measured"
_VERSION = 1


def layer_facts(exported: Artifact, made: Artifact, images: CalibrationData) -> dict[str, Any]:
    """LayerParity.to_json() for the record, or {"not_measured": why}: no gate hangs on it, so no step does.

    images: spread evenly over their order.
    """
    try:
        return measure_once(exported, made, images).to_json()
    except UlnaError as error:
        return {NOT_MEASURED: "; ".join(filter(None, (str(error), error.hint)))}
    except (
        Exception
    ) as error:  # tools of others raise whatever they like, and the branch goes on without this
        return {NOT_MEASURED: f"{type(error).__name__}: {error}"}


def measure_once(exported: Artifact, made: Artifact, images: CalibrationData) -> LayerParity:
    """What `layers.json` beside `made` says of these very files and images, else measured and written there.

    Raises StepError, ExportMismatchError, BackendError.
    """
    path = made.folder / FILE
    key = {
        "version": _VERSION,
        "reference": exported.sha256,
        "candidate": made.sha256,
        "images": images.digest,
    }
    known = _read(path, key)
    if known is not None:
        return known
    parity = compare_layers(*open_pair(exported, made), _feeds(images))
    beside = path.with_name(f"{FILE}.partial")
    beside.write_text(json.dumps({"key": key, "parity": parity.to_json()}, indent=1), encoding="utf-8")
    beside.replace(path)
    return parity


def _feeds(images: CalibrationData) -> Iterator[Feed]:
    rows = np.unique(np.linspace(0, len(images) - 1, min(MAX_IMAGES, len(images))).round().astype(int))
    return (images.feed(int(row)) for row in rows)


def _read(path: Path, key: dict[str, Any]) -> LayerParity | None:
    """None for anything that does not say it of these files: what cannot be read is measured anew."""
    try:
        table = json.loads(path.read_bytes())
        return LayerParity.from_json(table["parity"]) if table["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
