"""One tensor in, the network's checked answer out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import FEATURES_NAME, INPUT_NAME, LOGIT_NAME, MAP_NAME, METADATA_NAME, Backend
from runtime.errors import InferenceError
from runtime.metadata import MetadataSpec, PatientFacts


@dataclass(frozen=True, eq=False)
class Score:
    """The network's answer for one tensor: the image's logit, its (h, w) map of logits and (F,) features.

    F is 0 for a network that gives none.
    """

    logit: float
    map: NDArray[np.float32]
    features: NDArray[np.float32]


def ask(
    backend: Backend,
    size_px: int,
    tensor: NDArray[np.float32],
    metadata: MetadataSpec | None,
    facts: PatientFacts,
) -> Score:
    """Run the network on one (1, 1, S, S) float32 tensor; facts go to a network that takes `metadata`.

    Raises InferenceError for another shape, an engine that fails, and an answer that is none.
    """
    if tensor.shape != (1, 1, size_px, size_px):
        raise InferenceError(f"expected a tensor of shape (1, 1, {size_px}, {size_px}), got {tensor.shape}")
    feeds = {INPUT_NAME: tensor}
    if metadata is not None:
        feeds[METADATA_NAME] = metadata.encode(facts)[None]
    return _checked(_infer(backend, feeds))


def _infer(backend: Backend, feeds: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    try:
        return backend.infer(feeds)
    except InferenceError:
        raise
    except Exception as error:  # an engine's own, of whatever kind
        raise InferenceError(f"the engine failed with {type(error).__name__}") from error


def _checked(outputs: dict[str, NDArray[np.float32]]) -> Score:
    missing = {LOGIT_NAME, MAP_NAME} - set(outputs)
    if missing:
        raise InferenceError(f"the network did not answer with {', '.join(sorted(missing))}")
    logit, evidence = outputs[LOGIT_NAME], outputs[MAP_NAME]
    if logit.size != 1 or evidence.ndim != 4 or evidence.shape[:2] != (1, 1) or 0 in evidence.shape:
        raise InferenceError(f"the network answered with shapes {logit.shape} and {evidence.shape}")
    features = outputs.get(FEATURES_NAME, np.zeros((1, 0), np.float32))
    if not all(np.isfinite(values).all() for values in (logit, evidence, features)):
        raise InferenceError("the network answered with values that are not numbers")
    return Score(float(logit.reshape(())), np.asarray(evidence[0, 0], np.float32), features.reshape(-1))
