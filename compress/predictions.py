"""What a model said about a set of cases: one logit each, with what is needed to judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import StepError

NOT_ASKED, MISSED, HIT = -1, 0, 1
"""Values of `Predictions.located` and `boxed`."""

Strings = NDArray[np.str_]
Floats = NDArray[np.float64]

_TEXTS = ("case_ids", "patient_ids", "body_parts")
_OPTIONAL = {
    "located": np.int64,
    "boxed": np.int64,
    "ious": np.float64,
    "boxes_shown": np.int64,
    "views": np.str_,
    "study_ids": np.str_,
}
"""Arrays that not everybody who makes predictions knows, and their kinds."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits of N cases; the arrays are (N,), in the order of the cases, and read-only.

    patient_ids: the unit that intervals respect. labels: 1 fractured, 0 not. logits: of a fracture, finite.
    located: for each case whether the peak of the evidence lies in a true fracture box (HIT, MISSED), or
    NOT_ASKED where no box is given; None when nobody looked. refused: ids of cases that got no answer at all;
    they are not among the N.
    Further arrays, None when nobody looked. boxed: whether the strongest box shown lies on a fracture, in the
    words of `located`. ious: overlap of shown and true boxes, 0 to 1, NaN where no true box is given.
    boxes_shown: how many places were shown. views: "" where not known. study_ids: the examination, "" for
    none.

    Raises ValueError where arrays contradict each other, an id appears twice or a logit is not finite.
    """

    case_ids: Strings
    patient_ids: Strings
    body_parts: Strings
    labels: NDArray[np.int64]
    logits: Floats
    located: NDArray[np.int64] | None = None
    refused: tuple[str, ...] = ()
    boxed: NDArray[np.int64] | None = None
    ious: Floats | None = None
    boxes_shown: NDArray[np.int64] | None = None
    views: Strings | None = None
    study_ids: Strings | None = None

    def __post_init__(self) -> None:
        for name in _TEXTS:
            self._freeze(name, np.asarray(getattr(self, name), np.str_))
        self._freeze("labels", np.asarray(self.labels, np.int64))
        self._freeze("logits", np.asarray(self.logits, np.float64))
        for name, array in self._optional().items():
            self._freeze(name, np.asarray(array, _OPTIONAL[name]))
        object.__setattr__(self, "refused", tuple(self.refused))
        self._check()

    def __len__(self) -> int:
        return len(self.logits)

    def _freeze(self, name: str, array: NDArray[np.generic]) -> None:
        if array.shape != (len(self.case_ids),):
            raise ValueError(f"{name} must have shape ({len(self.case_ids)},), got {array.shape}")
        owned = array.copy()
        owned.setflags(write=False)
        object.__setattr__(self, name, owned)

    def _check(self) -> None:
        ids = [*self.case_ids.tolist(), *self.refused]
        if len(set(ids)) != len(ids):
            raise ValueError("case ids must be unique")
        if not np.isin(self.labels, (0, 1)).all():
            raise ValueError("labels must be 0 or 1")
        if not np.isfinite(self.logits).all():
            raise ValueError(f"logits must be finite, case {self._first(~np.isfinite(self.logits))} is not")
        for name, array in (("located", self.located), ("boxed", self.boxed)):
            if array is not None and not np.isin(array, (NOT_ASKED, MISSED, HIT)).all():
                raise ValueError(f"{name} must be -1, 0 or 1")
        if self.ious is not None and ((self.ious < 0) | (self.ious > 1)).any():
            raise ValueError("ious must lie within 0 to 1")

    def _first(self, mask: NDArray[np.bool_]) -> str:
        return str(self.case_ids[mask][0])

    @property
    def probabilities(self) -> Floats:
        """Of a fracture (N,), the logistic function of the logits."""
        return sigmoid(self.logits)

    @property
    def patients(self) -> int:
        """How many different ones."""
        return len(set(self.patient_ids.tolist()))

    @property
    def digest(self) -> str:
        """SHA-256 in hex over every value."""
        digest = hashlib.sha256()
        for array in self._arrays().values():
            digest.update("\0".join(map(repr, array.tolist())).encode() + b"\1")
        return digest.hexdigest()

    def subset(self, mask: NDArray[np.bool_]) -> Predictions:
        """The cases where `mask` (N,) is true; refused cases stay behind."""
        arrays: dict[str, Any] = {**self._always(), **self._optional()}
        return Predictions(**{name: array[mask] for name, array in arrays.items()})

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """One after the other; an array that one of them lacks is left out. Raises ValueError for none."""
        tables = [{**part._always(), **part._optional()} for part in parts]
        shared = [name for name in tables[0] if all(name in table for table in tables)] if tables else []
        arrays: dict[str, Any] = {name: np.concatenate([table[name] for table in tables]) for name in shared}
        return cls(**arrays, refused=tuple(name for part in parts for name in part.refused))

    def save(self, path: Path) -> None:
        """Write an .npz that holds plain arrays only; whole or not at all."""
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **self._arrays())
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """What `save` wrote. Raises StepError for anything else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                table = {name: arrays[name] for name in arrays.files}
            return cls(**{**table, "refused": tuple(table["refused"].tolist())})
        except Exception as error:  # numpy, zipfile, zlib and ast each have errors of their own
            raise StepError(f"{path} holds no predictions: {error}", "delete it and run again") from error

    def _optional(self) -> dict[str, NDArray[Any]]:
        found = {name: getattr(self, name) for name in _OPTIONAL}
        return {name: array for name, array in found.items() if array is not None}

    def _always(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in (*_TEXTS, "labels", "logits")}

    def _arrays(self) -> dict[str, NDArray[Any]]:
        # In this order, so that digests stay what they were.
        refused = np.asarray(self.refused, np.str_)
        return {**self._always(), "refused": refused, **self._optional()}


def sigmoid(logits: Floats) -> Floats:
    """The logistic function, without overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)
