"""How much of a float model's answer survives in its quantized or compiled form, as signal to noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME, METADATA_NAME, Backend
from runtime.errors import ExportMismatchError

_IMAGES = 32
LIMIT_DB = 150.0
"""Float32 itself holds about 144 dB; identical outputs are reported as this."""


@dataclass(frozen=True)
class Fidelity:
    """snr_db: 10 log10 of the reference's variance over the mean squared difference. images: compared."""

    logit_snr_db: float
    map_snr_db: float
    logit_max_error: float
    map_max_error: float
    images: int

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return asdict(self)


def compare_backends(
    reference: Backend,
    candidate: Backend,
    tensors: NDArray[np.float32],
    metadata: NDArray[np.float32] | None = None,
) -> Fidelity:
    """Run both on at most 32 of the (N, 1, S, S) images, evenly chosen, one at a time.

    metadata: (N, D) facts for networks that take them; drawn where none are given. Raises ExportMismatchError
    for outputs of different shapes or values that are not finite.
    """
    rows = np.unique(np.linspace(0, len(tensors) - 1, min(_IMAGES, len(tensors))).round().astype(int))
    facts = drawn_facts(reference, len(tensors)) if metadata is None else metadata
    feeds = [_feed(tensors, facts, int(i)) for i in rows]
    wanted, got = (_outputs(backend, feeds) for backend in (reference, candidate))
    for name in (LOGIT_NAME, MAP_NAME):
        _require_comparable(name, wanted[name], got[name])
    return Fidelity(
        logit_snr_db=snr_db(wanted[LOGIT_NAME], got[LOGIT_NAME]),
        map_snr_db=snr_db(wanted[MAP_NAME], got[MAP_NAME]),
        logit_max_error=_max_error(wanted[LOGIT_NAME], got[LOGIT_NAME]),
        map_max_error=_max_error(wanted[MAP_NAME], got[MAP_NAME]),
        images=len(rows),
    )


def snr_db(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """The constant part is no signal: a model that gives every case the same logit says nothing."""
    signal = float(np.var(reference.astype(np.float64)))
    return decibels(signal, float(np.mean((candidate.astype(np.float64) - reference) ** 2)))


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise) of a variance and a mean squared difference, within -LIMIT_DB..LIMIT_DB."""
    if noise == 0:
        return LIMIT_DB
    if signal == 0:
        return -LIMIT_DB
    return round(float(np.clip(10 * np.log10(signal / noise), -LIMIT_DB, LIMIT_DB)), 2)


def drawn_facts(backend: Backend, count: int) -> NDArray[np.float32] | None:
    """(count, D) seeded facts as a network might be told, the first of a patient of whom nothing is known.

    None for a network that takes none.
    """
    width = next((info.shape[1] for info in backend.inputs if info.name == METADATA_NAME), None)
    return None if width is None else draw_facts(width, count)


def draw_facts(width: int, count: int) -> NDArray[np.float32]:
    """(count, width) such facts."""
    random = np.random.default_rng(count)
    facts = random.random((count, width)) * (random.random((count, width)) < 0.5)
    facts[0] = 0.0
    return facts.astype(np.float32)


def _feed(
    tensors: NDArray[np.float32], facts: NDArray[np.float32] | None, row: int
) -> dict[str, NDArray[np.float32]]:
    found = {INPUT_NAME: np.ascontiguousarray(tensors[row][None])}
    return found if facts is None else {**found, METADATA_NAME: np.ascontiguousarray(facts[row][None])}


def _outputs(
    backend: Backend, feeds: Sequence[dict[str, NDArray[np.float32]]]
) -> dict[str, NDArray[np.float32]]:
    results = [backend.infer(feed) for feed in feeds]
    return {name: np.concatenate([result[name] for result in results]) for name in (LOGIT_NAME, MAP_NAME)}


def _require_comparable(name: str, wanted: NDArray[np.float32], got: NDArray[np.float32]) -> None:
    if wanted.shape != got.shape:
        raise ExportMismatchError(f"{name} has shape {got.shape}, expected {wanted.shape}")
    if not np.isfinite(got).all():
        raise ExportMismatchError(f"{name} holds values that are not finite")


def _max_error(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    return float(np.abs(candidate.astype(np.float64) - reference).max())
