"""How much a row of marks looks like writing: boosted trees, fitted by benchmarks.burned_in_fit."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.letter_rows import FEATURES
from runtime.letters import Floats

_FILE = Path(__file__).with_name("letter_trees.json")
_LEAF = -1


@dataclass(frozen=True, eq=False)
class Trees:
    """nodes: (T, N, 5), of each tree feature (-1 for a leaf), limit, left, right, value. start: their sum
    begins there. Raises ValueError for trees over other features.
    """

    nodes: NDArray[np.float64]
    start: float

    @classmethod
    def of_table(cls, table: dict[str, Any]) -> Trees:
        """From what the fit wrote."""
        if tuple(table["features"]) != FEATURES:
            raise ValueError(f"trees over {table['features']}, expected {list(FEATURES)}")
        longest = max(map(len, table["trees"]))
        blank = [float(_LEAF), 0.0, 0.0, 0.0, 0.0]
        padded = [[*tree, *[blank] * (longest - len(tree))] for tree in table["trees"]]
        return cls(np.array(padded, np.float64), float(table["start"]))

    def scores(self, features: Floats) -> NDArray[np.float64]:
        """(R,) in 0 to 1 for features (R, len(FEATURES)): 1 is writing."""
        total = np.full(len(features), self.start)
        for tree in self.nodes:
            at = np.zeros(len(features), np.intp)
            while (tree[at, 0] != _LEAF).any():
                inner = tree[at, 0] != _LEAF
                asked = features[np.arange(len(features)), tree[at, 0].astype(np.intp)]
                child = np.where(asked <= tree[at, 1], tree[at, 2], tree[at, 3]).astype(np.intp)
                at = np.where(inner, child, at)
            total += tree[at, 4]
        return np.asarray(1 / (1 + np.exp(-total)), np.float64)


@functools.cache
def shipped() -> Trees:
    """Those that come with the program."""
    return Trees.of_table(json.loads(_FILE.read_text(encoding="utf-8")))
