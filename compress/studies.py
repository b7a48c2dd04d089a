"""Several views of one examination combined into one answer, as MURA's readers were judged.

Rajpurkar and others, "MURA: Large dataset for abnormality detection in musculoskeletal radiographs", MIDL
2018: its networks average the views' probabilities. A fracture that one view alone shows is lost in a mean;
the other rules keep it, and add up the false alarms of all views. The rules are the runtime's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.predictions import Predictions, Strings
from runtime.examination import RULES

__all__ = ["RULES", "combine", "has_studies", "of_several_views"]


@dataclass(frozen=True, eq=False)
class _Studies:
    """first: (S,) an image of each examination. index: (N,) the examination of each image."""

    names: Strings
    first: NDArray[np.int64]
    index: NDArray[np.int64]


def has_studies(predictions: Predictions) -> bool:
    """Whether some examination holds several of the images."""
    ids = predictions.study_ids
    return ids is not None and len(named := ids[ids != ""]) > len(np.unique(named))


def of_several_views(predictions: Predictions) -> Predictions:
    """Only the images whose examination holds another one of them."""
    studies = _studies(predictions)
    return predictions.subset(np.bincount(studies.index)[studies.index] > 1)


def combine(predictions: Predictions, rule: str) -> Predictions:
    """One prediction an examination, by one of `RULES`; an image without one stands for itself.

    An examination is fractured when one of its images is; its patient is that of its first image. Its body
    part is "several" where its images show different ones. Images that got no answer are left out of theirs.
    """
    studies = _studies(predictions)
    rows = np.split(np.argsort(studies.index, kind="stable"), np.cumsum(np.bincount(studies.index))[:-1])
    return Predictions(
        case_ids=studies.names,
        patient_ids=predictions.patient_ids[studies.first],
        body_parts=np.array([_common(predictions.body_parts[row]) for row in rows], np.str_),
        labels=np.array([predictions.labels[row].max() for row in rows], np.int64),
        logits=np.array([RULES[rule](predictions.logits[row]) for row in rows], np.float64),
    )


def _studies(predictions: Predictions) -> _Studies:
    ids = np.full(len(predictions), "") if predictions.study_ids is None else predictions.study_ids
    own = [f"image {case}" for case in predictions.case_ids.tolist()]
    named = [f"study {study}" if study else alone for study, alone in zip(ids.tolist(), own, strict=True)]
    names, first, index = np.unique(np.array(named, np.str_), return_index=True, return_inverse=True)
    return _Studies(names, first, index)


def _common(words: Strings) -> str:
    return str(words[0]) if len(set(words.tolist())) == 1 else "several"
