"""From labelled images to a finished graph, one builder a kind of model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from compress.classical.extract import Counter, run_over
from compress.classical.features import CellFeatures
from compress.classical.fit import (
    fit_forest,
    fit_linear,
    fit_scale,
    fit_windows,
    forest_scores,
)
from compress.classical.graph import export_module, finish, join, whole_graph
from compress.classical.neighbours import cells_along
from compress.classical.nets import (
    ForestAnswer,
    ForestInputs,
    ForestNet,
    LinearNet,
    Moments,
    Pooled,
    Windows,
    WordNet,
    Words,
)
from compress.classical.options import ClassicalOptions
from compress.classical.sampling import CellSample, Sampler, cell_truth
from compress.classical.trees import PROBABILITY_NAME, VECTOR_NAME, Forest, PerfectTrees, forest_graph
from compress.classical.words import WordCounts, fit_vocabulary
from compress.training.data import LabelledTensors, TrainData
from runtime.backends.base import INPUT_NAME, LOGIT_NAME, MAP_NAME

Vectors = NDArray[np.float32]
_EVIDENCE_NAME = "evidence"


@dataclass(frozen=True, eq=False)
class Task:
    """What every builder works from."""

    options: ClassicalOptions
    data: TrainData
    seed: int
    features: CellFeatures
    counter: Counter

    @property
    def size_px(self) -> int:
        """Side of the input."""
        return self.data.preprocess.size_px

    @property
    def side_cells(self) -> int:
        """Cells along it."""
        return cells_along(self.size_px)


@dataclass(frozen=True, eq=False)
class Built:
    """model: the finished graph. logits: (N,) of the calibration images as scikit-learn's model and the
    scale say them. facts: what was fitted, JSON-safe.
    """

    model: onnx.ModelProto
    logits: NDArray[np.float64]
    facts: dict[str, Any]


def build_logistic_regression(task: Task) -> Built:
    """On both moments of the summaries, averaged over a spatial pyramid."""
    cells = Moments(task.features)
    return _linear(task, cells, lambda net: net, {})


def build_kmeans(task: Task) -> Built:
    """Logistic regression on the bag of words, averaged over the same pyramid."""
    sample = _sample_cells(task)
    vocabulary = fit_vocabulary(
        sample.descriptors, task.features.descriptor_widths, task.options.words, task.seed
    )
    words = Words(task.features, vocabulary)
    counts = WordCounts.of(sample, vocabulary)
    facts = {"words": task.options.words, "descriptors": len(sample.descriptors)}
    return _linear(task, words, lambda net: WordNet(net, counts.evidence()), facts)


def build_forest(task: Task) -> Built:
    """Trees on the moments and on the pooled scores of a window classifier."""
    sample = _sample_cells(task)
    fitted = fit_windows(sample)
    inputs = ForestInputs(Windows(task.features, fitted.weights, fitted.bias), task.side_cells)
    fit, calibration = (_vectors(task, inputs, part) for part in (task.data.fit, task.data.calibration))
    forest = fit_forest(fit, task.data.fit.labels, task.options, task.seed)
    scores = forest_scores(forest, calibration)
    scale = fit_scale(scores, task.data.calibration.labels)
    model = _forest_model(task, inputs, forest, ForestAnswer(scale))
    trees = [tree.tree_ for tree in np.ravel(forest.estimators_)]
    facts = {
        "vector": fit.shape[1],
        "trees": len(trees),
        "tree_nodes": sum(int(tree.node_count) for tree in trees),
        "tree_depth": max(int(tree.max_depth) for tree in trees),
        "operators": task.options.operators,
        "window_cells": len(sample.descriptors),
    }
    return Built(model, scale.apply(scores), facts | {"scale": scale.to_json()})


def _linear(
    task: Task, cells: nn.Module, wrap: Callable[[LinearNet], nn.Module], facts: dict[str, Any]
) -> Built:
    pooled = Pooled(cells, task.side_cells)
    fit, calibration = (_vectors(task, pooled, part) for part in (task.data.fit, task.data.calibration))
    fitted = fit_linear(fit, task.data.fit.labels, task.options)
    scores = fitted.scores(calibration)
    scale = fit_scale(scores, task.data.calibration.labels)
    scaled = fitted.scaled(scale)
    net = wrap(LinearNet(cells, scaled.weights, scaled.bias, task.side_cells))
    facts = {**facts, "vector": fit.shape[1], "scale": scale.to_json()}
    return Built(whole_graph(net, task.size_px), scale.apply(scores), facts)


def _forest_model(task: Task, inputs: ForestInputs, forest: Forest, answer: ForestAnswer) -> onnx.ModelProto:
    if task.options.operators == "standard":
        return whole_graph(ForestNet(inputs, PerfectTrees(forest), answer), task.size_px)
    example = torch.zeros(1, 1, task.size_px, task.size_px)
    evidence = torch.zeros(1, 1, task.side_cells, task.side_cells)
    front = export_module(inputs, {INPUT_NAME: example}, (VECTOR_NAME, _EVIDENCE_NAME))
    back = export_module(
        answer, {PROBABILITY_NAME: torch.full((1, 2), 0.5), "scores": evidence}, (LOGIT_NAME, MAP_NAME)
    )
    middle = forest_graph(forest)
    with_trees = join(front, middle, {VECTOR_NAME: VECTOR_NAME})
    wires = {PROBABILITY_NAME: PROBABILITY_NAME, _EVIDENCE_NAME: "scores"}
    return finish(join(with_trees, back, wires), task.size_px)


def _vectors(task: Task, module: nn.Module, part: LabelledTensors) -> Vectors:
    """(N, F): the module's first output for each image, the others flattened away."""
    batches = run_over(module, (VECTOR_NAME,), part, task.counter)
    return np.concatenate([batch.outputs[VECTOR_NAME] for batch in batches])


def _sample_cells(task: Task) -> CellSample:
    """Descriptors of cells of the fit images."""
    sampler = Sampler(cell_truth(task.data.fit, task.side_cells), task.seed)
    for batch in run_over(task.features, ("descriptors", "summaries"), task.data.fit, task.counter):
        for number, descriptors in enumerate(batch.outputs["descriptors"], start=batch.rows.start):
            sampler.take(number, descriptors)
    return sampler.sample()
