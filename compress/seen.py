"""Which images a model was made with, so that no evaluation takes them for new ones.

A bundle carries the leading digits of the SHA-256 of every image file of the fit, calibration and gate sets:
enough to recognise a file again, nothing to make one from. A copy that was encoded anew is not recognised.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compress.datasets.base import Case
from compress.datasets.splits import Splits
from runtime.errors import BundleFormatError

FILE = "seen.json"
SETS = ("fit", "calibration", "gate")
"""The sets that shaped the model or the decision to ship it; the test set did neither."""
_DIGITS = 16
_SCHEMA = 1


@dataclass(frozen=True)
class SeenImages:
    """sets: leading digits of the images' SHA-256, by the set's name."""

    sets: Mapping[str, frozenset[str]]

    def set_of(self, sha256: str) -> str | None:
        """The set that held this image, None for an image that is new."""
        digits = sha256[:_DIGITS]
        return next((name for name, known in self.sets.items() if digits in known), None)

    def joined(self, other: SeenImages) -> SeenImages:
        """What either of them knows; an image that both know must be in one set."""
        names = {*self.sets, *other.sets}
        none: frozenset[str] = frozenset()
        return SeenImages(
            {name: self.sets.get(name, none) | other.sets.get(name, none) for name in sorted(names)}
        )

    def to_json(self) -> bytes:
        """As a bundle's file holds it; the order tells nothing."""
        sets = {name: sorted(known) for name, known in self.sets.items()}
        return json.dumps({"schema": _SCHEMA, "sets": sets}).encode()


@dataclass(frozen=True)
class Unseen:
    """cases: of patients of whom no image is known. left_out: how many others, by set.

    A patient counts to the set of the first image that is recognised.
    """

    cases: tuple[Case, ...]
    left_out: dict[str, int]


NOTHING_SEEN = SeenImages({})


def seen_in(splits: Splits, digests: Mapping[str, str]) -> SeenImages:
    """What a run was made with; `digests` holds each image's SHA-256 by case id."""
    return SeenImages(
        {name: frozenset(digests[case.case_id][:_DIGITS] for case in getattr(splits, name)) for name in SETS}
    )


def seen_from_json(data: bytes) -> SeenImages:
    """What `to_json` wrote. Raises BundleFormatError for anything else."""
    try:
        table = json.loads(data)
        if table["schema"] != _SCHEMA:
            raise ValueError(f"schema {table['schema']} is not {_SCHEMA}")
        return SeenImages({str(name): frozenset(map(str, known)) for name, known in table["sets"].items()})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BundleFormatError(f"{FILE} is no list of seen images: {error}") from error


def leave_out_seen(cases: Iterable[Case], digests: Mapping[str, str], seen: SeenImages) -> Unseen:
    """All images of a patient go, even new ones, once one of them is recognised."""
    every = tuple(cases)
    homes: dict[str, str] = {}
    for case in every:
        home = seen.set_of(digests[case.case_id])
        if home is not None:
            homes.setdefault(case.patient_id, home)
    left_out: dict[str, int] = {}
    for case in every:
        if case.patient_id in homes:
            home = homes[case.patient_id]
            left_out[home] = left_out.get(home, 0) + 1
    return Unseen(tuple(case for case in every if case.patient_id not in homes), left_out)
