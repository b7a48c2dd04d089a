"""Simulated patients with known truth: several images each, correlated within a patient."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compress.metrics import Predictions


@dataclass(frozen=True)
class CohortOptions:
    """separation: distance of the two classes in standard deviations. icc: share of a patient's own."""

    patients: int = 120
    views: int = 2
    separation: float = 2.4
    icc: float = 0.5
    body_parts: tuple[str, ...] = ("hand",)
    fractured_share: float = 0.5


def cohort(rng: np.random.Generator, options: CohortOptions = CohortOptions()) -> Predictions:
    """Draw patients; every image of one has its label and shares part of its score."""
    patient = np.repeat(np.arange(options.patients), options.views)
    labels = (rng.random(options.patients) < options.fractured_share).astype(np.int64)[patient]
    parts = np.array(options.body_parts)[patient % len(options.body_parts)]
    scores = shared_noise(rng, patient, options.icc) + options.separation * (labels - 0.5)
    ids = np.array([f"case-{i}" for i in range(len(patient))])
    return Predictions(ids, np.array([f"patient-{p}" for p in patient]), parts, labels, scores)


def shared_noise(rng: np.random.Generator, patient: NDArray[np.int64], icc: float) -> NDArray[np.float64]:
    """Standard normal (N,), a share `icc` of whose variance belongs to the patient."""
    own = rng.normal(size=len(patient))
    common = rng.normal(size=int(patient.max()) + 1)[patient]
    return np.sqrt(icc) * common + np.sqrt(1 - icc) * own


def with_logits(predictions: Predictions, logits: NDArray[np.float64]) -> Predictions:
    """The same cases, scored otherwise."""
    return replace(predictions, logits=logits)


def perturbed(rng: np.random.Generator, predictions: Predictions, noise: float) -> Predictions:
    """The same cases with noisy scores."""
    return with_logits(predictions, predictions.logits + noise * rng.normal(size=len(predictions)))
