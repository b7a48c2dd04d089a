"""Decision trees inside a graph, written in one of two ways.

`forest_graph` is skl2onnx's TreeEnsembleClassifier: compact, any depth, ONNX Runtime only. `PerfectTrees` is
standard operators: every tree is filled up to a perfect one, and all of them descend level by level with
gathers (Nakandala et al. 2020, "A Tensor Compiler for Unified Machine Learning Prediction Serving", their
PerfectTreeTraversal).
"""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from torch import Tensor, nn

from compress.steps.export_onnx import OPSET

Forest: TypeAlias = "RandomForestClassifier | GradientBoostingClassifier"
VECTOR_NAME = "vector"
PROBABILITY_NAME = "probabilities"
_ML_OPSET = 3


def forest_graph(forest: Forest) -> onnx.ModelProto:
    """`vector` (N, F) float32 -> `probabilities` (N, 2), in ai.onnx.ml's TreeEnsembleClassifier."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: onnx.ModelProto = convert_sklearn(
            forest,
            initial_types=[(VECTOR_NAME, FloatTensorType([None, forest.n_features_in_]))],
            options={"zipmap": False},
            target_opset={"": OPSET, "ai.onnx.ml": _ML_OPSET},
        )
    return model


class PerfectTrees(nn.Module):
    """vector (N, F) -> probabilities (N, 2), as the forest's predict_proba says.

    Level l of tree t lies at t * 2^l of the level's tables; a leaf that comes early is handed down to the
    left. The tables double with each level: hence ClassicalOptions bounds the depth.
    """

    trees: Tensor
    leaves: Tensor

    def __init__(self, forest: Forest) -> None:
        super().__init__()
        tables = _Tables(forest)
        self.depth = tables.depth
        self.boosted = isinstance(forest, GradientBoostingClassifier)
        self.register_buffer("trees", torch.arange(len(tables.leaves))[None])
        self.register_buffer("leaves", torch.from_numpy(tables.leaves.astype(np.float32).ravel()))
        for level in range(self.depth):
            nodes = slice((1 << level) - 1, (2 << level) - 1)
            self.register_buffer(f"features_{level}", torch.from_numpy(tables.features[:, nodes].ravel()))
            self.register_buffer(f"thresholds_{level}", torch.from_numpy(tables.thresholds[:, nodes].ravel()))
        self.start = tables.start

    def forward(self, vector: Tensor) -> Tensor:
        """Descend, look the leaves up, add."""
        node = (vector[:, self._table("features", 0)] > self._table("thresholds", 0)).long()
        for level in range(1, self.depth):
            place = self.trees * (1 << level) + node
            value = vector.gather(1, self._table("features", level)[place])
            node = 2 * node + (value > self._table("thresholds", level)[place]).long()
        leaves = self.leaves[self.trees * (1 << self.depth) + node]
        total = leaves.sum(dim=1, keepdim=True) + self.start
        fracture = torch.sigmoid(total) if self.boosted else total
        return torch.cat([1 - fracture, fracture], dim=1)

    def _table(self, kind: str, level: int) -> Tensor:
        table: Tensor = getattr(self, f"{kind}_{level}")
        return table


class _Tables:
    """A fitted forest as perfect trees in heap order: features, thresholds (T, 2^d - 1), leaves (T, 2^d).

    start: what boosting adds to before the first tree.
    """

    def __init__(self, forest: Forest) -> None:
        boosted = isinstance(forest, GradientBoostingClassifier)
        trees = [item.tree_ for item in np.ravel(forest.estimators_)]
        self.depth = max(1, *(tree.max_depth for tree in trees))
        inner, outer = (1 << self.depth) - 1, 1 << self.depth
        self.features = np.zeros((len(trees), inner), np.int64)
        self.thresholds = np.full((len(trees), inner), np.inf, np.float32)
        self.leaves = np.zeros((len(trees), outer), np.float64)
        self.start = _start(forest) if boosted else 0.0
        for number, tree in enumerate(trees):
            values = tree.value[:, 0, 0] * forest.learning_rate if boosted else _shares(tree) / len(trees)
            self._fill(number, tree, values)

    def _fill(self, number: int, tree: Any, values: NDArray[np.float64]) -> None:
        """Nodes of one tree, from the root down; (place in the heap, node of the tree) wait their turn."""
        waiting = [(0, 0)]
        while waiting:
            place, node = waiting.pop()
            left = int(tree.children_left[node])
            if left >= 0:
                self.features[number, place] = tree.feature[node]
                self.thresholds[number, place] = round_down(float(tree.threshold[node]))
                waiting += [(2 * place + 1, left), (2 * place + 2, int(tree.children_right[node]))]
            else:
                self.leaves[number, self._leftmost(place)] = values[node]

    def _leftmost(self, place: int) -> int:
        """The leaf where one ends that only goes left from here."""
        inner = int(self.features.shape[1])
        while place < inner:
            place = 2 * place + 1
        return place - inner


def round_down(threshold: float) -> np.float32:
    """The largest float32 that is no larger: then `x <= threshold` is the same for every float32 x."""
    rounded = np.float32(threshold)
    return np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > threshold else rounded


def _shares(tree: Any) -> NDArray[np.float64]:
    """Of fractured images at each node, as weighted in the fit."""
    counts = tree.value[:, 0, :]
    return np.asarray(counts[:, 1] / counts.sum(axis=1))


def _start(forest: GradientBoostingClassifier) -> float:
    """The log-odds of the weighted labels, where boosting begins."""
    share = float(forest.init_.class_prior_[1])
    return float(np.log(share / (1 - share)))
