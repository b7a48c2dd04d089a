"""A recipe says everything that a run depends on. Read from TOML; an unknown key is an error."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from compress.classical.options import ClassicalOptions
from compress.fallback.options import LARGEST_CONFIDENCE, FallbackOptions, confidence_of_look
from compress.limits import seed_like
from compress.metadata import MetadataOptions
from compress.options.anomaly import AnomalyOptions
from compress.options.data import DataOptions
from compress.options.gate import GateOptions
from compress.options.improve import ImproveOptions
from compress.options.operating_points import OperatingPointOptions
from compress.options.prune import PruneOptions
from compress.options.read import from_table
from compress.options.release import ReleaseOptions
from compress.options.target import TargetOptions
from compress.patches.options import PatchOptions
from compress.qat.options import QatOptions
from compress.training.options import TrainOptions
from compress.zoo import ENSEMBLE
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError
from runtime.preprocess import PreprocessSpec

CLASSICAL = "classical"


@dataclass(frozen=True)
class Recipe:
    """The whole of it. [model] name = "classical" makes the baseline that [classical] describes, "ensemble"
    takes the one that [model] weights names (`ulna ensemble`).
    """

    name: str
    seed: int = 0
    data: DataOptions = DataOptions()
    preprocess: PreprocessSpec = field(default_factory=PreprocessSpec)
    model: ModelOptions = ModelOptions()
    classical: ClassicalOptions = ClassicalOptions()
    metadata: MetadataOptions = MetadataOptions()
    train: TrainOptions = TrainOptions()
    patches: PatchOptions = PatchOptions()
    prune: PruneOptions = PruneOptions()
    finetune: TrainOptions = TrainOptions()
    improve: ImproveOptions = ImproveOptions()
    targets: tuple[TargetOptions, ...] = field(
        default=(TargetOptions("onnxruntime"), TargetOptions("openvino"), TargetOptions("tensorrt"))
    )
    gate: GateOptions = GateOptions()
    fallback: FallbackOptions = FallbackOptions()
    qat: QatOptions = QatOptions()
    operating_points: OperatingPointOptions = OperatingPointOptions()
    anomaly: AnomalyOptions = AnomalyOptions()
    release: ReleaseOptions = ReleaseOptions()

    @property
    def is_classical(self) -> bool:
        """Whether there is no network, and so nothing to prune and no features to look at."""
        return self.model.name == CLASSICAL

    @property
    def has_statistics(self) -> bool:
        """Whether strange pictures are told by statistics of features."""
        return self.anomaly.quantile > 0 and not self.is_classical

    def __post_init__(self) -> None:
        seed_like("seed", self.seed)
        if self.model.name == ENSEMBLE:
            self._require_trained_members()
        if self.metadata.fields and self.is_classical:
            raise ValueError("a classical baseline looks at the picture alone: leave metadata.fields empty")
        if self.model.mirror and self.is_classical:
            raise ValueError("a classical baseline looks at the picture once: leave model.mirror out")
        if self.patches.share and (self.is_classical or not self.train.crop_epochs):
            raise ValueError("made patches are for epochs on windows: set train.crop_epochs, or no share")
        if self.qat.is_active and (self.is_classical or self.model.name == ENSEMBLE):
            raise ValueError(f"[qat] trains one network further, not {self.model.name}: set qat.epochs = 0")
        if self.fallback.budget or self.qat.is_active:
            self._require_quantiles()
        engines = [target.engine for target in self.targets]
        if not engines or len(set(engines)) != len(engines):
            raise ValueError(f"targets must name different engines, at least one, got {engines}")

    def _require_quantiles(self) -> None:
        looks = (self.fallback.looks if self.fallback.budget else 1) + self.qat.is_active
        last = confidence_of_look(self.qat.first_confidence(self.gate.confidence), looks)
        if last > LARGEST_CONFIDENCE + 1e-9:
            raise ValueError(
                f"{looks} looks at the gate need a confidence of {last:.4f} at the last, at "
                f"most {LARGEST_CONFIDENCE:g}: ask for fewer [fallback] looks or a lower [gate] confidence"
            )

    def _require_trained_members(self) -> None:
        if self.train.epochs or self.train.crop_epochs:
            raise ValueError("the members of an ensemble are trained already: set [train] epochs = 0")
        if self.operating_points.folds:
            raise ValueError(
                "the members of an ensemble have learned from every fold: set [operating_points] folds = 0"
            )


def load_recipe(source: str | Path) -> Recipe:
    """Read a recipe file, or a shipped one by name ("demo"). Raises RecipeError."""
    return parse_recipe(*read_source(source, resources.files("compress") / "recipes"))


def read_source(source: str | Path, shipped: Traversable) -> tuple[str, str]:
    """Text and name of a recipe file, or of one in the folder `shipped` by its name. Raises RecipeError."""
    path = Path(source)
    if not path.suffix:
        return _shipped(str(source), shipped), str(source)
    try:
        return path.read_text(encoding="utf-8"), path.stem
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(f"cannot read recipe {path}: {reason}", "check the path") from error


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with Ulna."""
    return names_in(resources.files("compress") / "recipes")


def names_in(folder: Traversable) -> tuple[str, ...]:
    """Names of the recipes in a folder, sorted."""
    return tuple(
        sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    )


def parse_recipe(text: str, name: str) -> Recipe:
    """TOML text -> Recipe. Raises RecipeError naming the key that is wrong."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {name} is not TOML: {error}") from error
    table.setdefault("name", name)
    return from_table(Recipe, table, name)


def _shipped(name: str, folder: Traversable) -> str:
    names = names_in(folder)
    if name not in names:
        raise RecipeError(
            f"no shipped recipe {name!r}", f"shipped recipes: {', '.join(names)}; or give a .toml path"
        )
    return (folder / f"{name}.toml").read_text(encoding="utf-8")
