"""The first node of a run, whatever it holds: a network's weights, or a classical baseline's graph."""

from __future__ import annotations

from pathlib import Path

from compress.artifact import StepOutput
from compress.classical.features import CellFeatures
from compress.classical.train import train_classical
from compress.patches.source import with_patches
from compress.recipe import Recipe
from compress.steps.train import train_network
from compress.torch_backend import TorchBackend
from compress.training.data import TrainData
from compress.training.loop import TrainRun
from compress.zoo import build
from runtime.backends.base import Backend, ModelFiles
from runtime.backends.registry import open_backend
from runtime.errors import RecipeError

_GRAPH = ".onnx"
TRAINERS = ("torch", "monai", "scikit-learn")
"""What weights are made with. Noted, not compared: trainings may move to another machine."""


def check_model(recipe: Recipe) -> None:
    """Raise RecipeError or StepError for a model that cannot be made, before hours are spent."""
    if not recipe.is_classical:
        build(recipe.model, recipe.preprocess.size_px)
        return
    CellFeatures(recipe.classical.features, recipe.preprocess)
    if recipe.prune.is_active:
        raise RecipeError("a classical baseline has no channels to prune", "set [prune] ratio = 0")


def train_checkpoint(recipe: Recipe, data: TrainData, run: TrainRun) -> StepOutput:
    """Train what the recipe names, as a step in `run.folder`."""
    if recipe.is_classical:
        return train_classical(recipe.classical, data, run.seed, run.folder, run.progress)
    data, run = with_patches(recipe.patches, recipe.train, data, run)
    return train_network(recipe.model, data, recipe.train, run, recipe.operating_points.calibrate)


def open_checkpoint(path: Path) -> Backend:
    """What `train_checkpoint` wrote, ready to answer."""
    return open_onnx(path) if is_graph(path) else TorchBackend.from_file(path)


def is_graph(path: Path) -> bool:
    """Whether there is nothing to export any more."""
    return path.suffix == _GRAPH


def open_onnx(path: Path) -> Backend:
    """An ONNX graph on ONNX Runtime."""
    return open_backend("onnxruntime", ModelFiles(path.read_bytes()))
