"""A recipe says everything that a run depends on. Read from TOML; an unknown key is an error."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from compress.classical.options import ClassicalOptions
from compress.fallback.options import LARGEST_CONFIDENCE, FallbackOptions, confidence_of_look
from compress.limits import at_least, one_of, seed_like, within_or_at
from compress.margin import Margin, parse_margin
from compress.metadata import MetadataOptions
from compress.patches.options import PatchOptions
from compress.qat.options import QatOptions
from compress.training.options import TrainOptions
from compress.zoo import ENSEMBLE
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError
from runtime.examination import DEFAULT_RULE, RULES
from runtime.preprocess import PreprocessSpec

T = TypeVar("T")
MarginValue = float | str

PRECISIONS = ("fp32", "fp16", "int8")
METHODS = {
    "onnxruntime": ("minmax", "percentile", "entropy"),
    "openvino": ("minmax", "percentile"),
    "tensorrt": ("minmax", "percentile", "entropy"),
}
"""How each target's quantizer can find its ranges."""
SMALLEST_PLATE_PX, LARGEST_PLATE_PX = 64, 4096
"""Long sides of computed radiographs."""
CLASSICAL = "classical"
REFUSE, WARN, IGNORE = "refuse", "warn", "ignore"
LOOK_ALIKES = (REFUSE, WARN, IGNORE)
"""What to do about near-duplicates that stand in two sets."""
LARGEST_FOLDS = 20
GOLDEN_SOURCES = ("gate", "synthetic")
IMPORTANCES = ("magnitude", "group_norm", "taylor", "bn_scale")
PRUNE_TARGETS = ("macs", "parameters", "latency")
TWO_FOUR = "2:4"
GLOBAL_SCOPE, LAYER_SCOPE = "global", "layer"


@dataclass(frozen=True)
class SyntheticOptions:
    """How many patients the generator makes when no --data is given, and how large their plates are."""

    patients: int = 900
    seed: int = 7
    long_side_px: int = 384

    def __post_init__(self) -> None:
        at_least(1, patients=self.patients)
        within_or_at(SMALLEST_PLATE_PX, LARGEST_PLATE_PX, long_side_px=self.long_side_px)
        seed_like("seed", self.seed)


@dataclass(frozen=True)
class SplitFractions:
    """Shares of the patients. The four sets are disjoint by patient.

    fit: weights, quantizer ranges. calibration: early stopping, operating points, what goes back to float.
    gate: every gate's verdict. test: the final figures, looked at once.
    """

    fit: float = 0.5
    calibration: float = 0.15
    gate: float = 0.25
    test: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.fit, self.calibration, self.gate, self.test)
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"fit, calibration, gate and test must be positive and sum to 1, got {shares}")


@dataclass(frozen=True)
class DataOptions:
    """Where cases come from without --data, and how patients are divided.

    stratify: what must be spread evenly besides labels and body parts: "view" or columns of the data.
    official: the publisher's test images, or else validation images (tag or column "split"), are the test
    set; the other patients are divided, their three shares kept relative to each other. Cases that are added
    later (`--add`) are divided by patient.
    look_alikes: refuse | warn | ignore, what to do where images that look the same stand in two sets.
    Ignoring them saves reading every image once more; radiographs computed for want of --data are not
    looked at.
    also_without: "TAG=VALUE" of images without which the figures on new patients are given as well.
    outlines: file of fracture outlines (compress.training.outlines) in the folder of the data; "" for boxes.
    Cases that are added later (`--add`) have a file of that name in their own folder, or keep their boxes.
    """

    split: SplitFractions = SplitFractions()
    split_seed: int = 1
    stratify: tuple[str, ...] = ()
    also_without: tuple[str, ...] = ()
    outlines: str = ""
    official: bool = False
    look_alikes: str = REFUSE
    synthetic: SyntheticOptions = SyntheticOptions()

    def __post_init__(self) -> None:
        seed_like("split_seed", self.split_seed)
        one_of("look_alikes", self.look_alikes, LOOK_ALIKES)
        if Path(self.outlines).is_absolute() or ".." in Path(self.outlines).parts:
            raise ValueError(f"outlines must lie in the folder of the data, got {self.outlines}")
        wrong = [word for word in self.also_without if not word.partition("=")[0] or "=" not in word]
        if wrong:
            raise ValueError(f'also_without must be written as "TAG=VALUE", got {", ".join(wrong)}')


@dataclass(frozen=True)
class PruneOptions:
    """ratio: share of the target to remove; 0 without `sparsity` leaves out pruning and fine-tuning.

    target: macs | parameters | latency, the median of one image in float on this machine in `engine`
    (onnxruntime | openvino). importance: magnitude | group_norm | taylor | bn_scale. scope: global, where all
    groups of channels compete, or layer, where each loses the same share. round_to: channel counts become
    multiples of it. iterations: number of pruning rounds. tolerance: how much the loss may rise, as a share
    of it, where channels of a single group go; what a group can lose so is measured first, and no more is
    taken. 0 looks at no group alone. sparsity: "2:4" sets two of every four weights to zero besides, for
    TensorRT on GPUs whose tensor cores skip them (compress.pruning.two_four); "" does not. must_be_faster:
    whether an engine of the pruned network may only ship where it is shown to be faster than the unpruned.
    """

    ratio: float = 0.4
    importance: str = "group_norm"
    round_to: int = 8
    iterations: int = 4
    target: str = "macs"
    scope: str = GLOBAL_SCOPE
    tolerance: float = 0.0
    engine: str = "onnxruntime"
    sparsity: str = ""
    must_be_faster: bool = True

    @property
    def is_active(self) -> bool:
        """Whether anything is pruned at all."""
        return self.ratio > 0 or bool(self.sparsity)

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise ValueError(f"ratio must be at least 0 and less than 1, got {self.ratio:g}")
        one_of("importance", self.importance, IMPORTANCES)
        one_of("target", self.target, PRUNE_TARGETS)
        one_of("scope", self.scope, (GLOBAL_SCOPE, LAYER_SCOPE))
        one_of("engine", self.engine, ("onnxruntime", "openvino"))
        one_of("sparsity", self.sparsity, ("", TWO_FOUR))
        at_least(1, round_to=self.round_to, iterations=self.iterations)
        if not 0 <= self.tolerance <= 10:
            raise ValueError(f"tolerance must be at least 0 and at most 10, got {self.tolerance:g}")


@dataclass(frozen=True)
class TargetOptions:
    """One compile target: onnxruntime | openvino | tensorrt, its precisions and quantizer settings.

    calibration_cases: how many images set the ranges. method: minmax | percentile | entropy.
    must_be_faster: whether an engine in int8 or fp16 may only ship where it is shown to be faster than the
    fp32 engine of the same network. False is for who wants its size alone, a quarter in int8; the times are
    recorded all the same, and the self-test on the box still takes the engine that is fastest there.
    smooth: alpha of SmoothQuant (compress.steps.smooth), above 0 and up to 1: how much of the range of
    outlying channels goes from activations into weights before int8. The paper takes 0.5; 0 leaves it out.
    """

    engine: str
    precisions: tuple[str, ...] = ("fp32", "int8")
    calibration_cases: int = 256
    method: str = "minmax"
    must_be_faster: bool = True
    smooth: float = 0.0

    @property
    def conversion(self) -> dict[str, Any]:
        """What a converted graph depends on (JSON-safe): all but what is asked of its engine afterwards."""
        table = dataclasses.asdict(self)
        del table["must_be_faster"]
        return table if self.smooth else {key: value for key, value in table.items() if key != "smooth"}

    def __post_init__(self) -> None:
        if not self.precisions or len(set(self.precisions)) != len(self.precisions):
            raise ValueError(f"precisions must name different ones, got {list(self.precisions)}")
        for precision in self.precisions:
            one_of("precisions", precision, PRECISIONS)
        if "fp16" in self.precisions and self.engine != "tensorrt":
            raise ValueError(f"fp16 is for tensorrt alone, got it for {self.engine}")
        # An unknown engine is refused where the targets are known.
        if self.engine in METHODS:
            one_of(f"method for {self.engine}", self.method, METHODS[self.engine])
        at_least(32, calibration_cases=self.calibration_cases)
        within_or_at(0, 1, smooth=self.smooth)


@dataclass(frozen=True)
class Margins:
    """The largest loss against the original checkpoint that a gate rules out.

    A number is an absolute difference, a text such as "3%" that share of the reference's own figure. A
    negative margin asks for a gain of that size.
    """

    auroc: MarginValue = 0.03
    sensitivity: MarginValue = 0.05
    specificity: MarginValue = 0.05

    def __post_init__(self) -> None:
        problems = [problem for name in vars(self) if (problem := self._problem(name))]
        if problems:
            raise ValueError("; ".join(problems))

    def of(self, figure: str) -> Margin:
        """The margin of auroc, sensitivity or specificity."""
        return parse_margin(getattr(self, figure))

    def absolute(self, figure: str, reference: float) -> float:
        """The same as a difference, for a reference whose figure is `reference`."""
        return self.of(figure).absolute(reference)

    def _problem(self, name: str) -> str:
        """What is wrong with one margin, "" for nothing."""
        value = getattr(self, name)
        try:
            margin = parse_margin(value)
        except ValueError as error:
            return f"{name} {error}"
        low, high = ("-100%", "100%") if margin.relative else ("-1", "1")
        return "" if -1 <= margin.amount <= 1 else f"{name} must be {low} to {high}, got {value}"


@dataclass(frozen=True)
class DriftLimits:
    """How far a candidate's answers may move though the figures with margins hold; 1 asks nothing.

    ece: rise of the expected calibration error. probability: shift of the mean probability, up or down.
    located: fall of the share of fractured images with a known place whose evidence peaks in it. Only a drift
    that is shown to lie beyond its limit fails a gate.
    """

    ece: float = 0.05
    probability: float = 0.05
    located: float = 0.10

    def __post_init__(self) -> None:
        wrong = [f"{name}, got {value:g}" for name, value in vars(self).items() if not 0 < value <= 1]
        if wrong:
            raise ValueError(f"limits must be above 0 and at most 1: {'; '.join(wrong)}")


NO_DRIFT_LIMITS = DriftLimits(1.0, 1.0, 1.0)
"""Drift is measured and noted, and nothing is asked of it."""


@dataclass(frozen=True)
class Floors:
    """What the original checkpoint itself must reach on the gate patients (one-sided 95% lower bound)."""

    auroc: float = 0.5

    def __post_init__(self) -> None:
        within_or_at(0, 1, auroc=self.auroc)


@dataclass(frozen=True)
class GateOptions:
    """margins: for everything that ships. prune_margins: for the pruned network before fine-tuning, which
    never ships and is gated again after it. Its logits have moved, so only its ranking (AUROC) tells
    something; a margin of 1 asks nothing of the rest, and its drift is noted only.
    drift: of everything else. parity_logit: largest difference of a logit where only the format has changed.
    confidence: one-sided.
    """

    margins: Margins = Margins()
    prune_margins: Margins = Margins(auroc=0.15, sensitivity=1.0, specificity=1.0)
    floors: Floors = Floors()
    drift: DriftLimits = DriftLimits()
    parity_logit: float = 1e-2
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not self.parity_logit > 0:
            raise ValueError(f"parity_logit must be positive, got {self.parity_logit:g}")
        # Below one half a bound lies on the wrong side; the quantiles are right up to 0.995.
        if not 0.5 < self.confidence <= 0.99:
            raise ValueError(f"confidence must lie above 0.5 and be at most 0.99, got {self.confidence:g}")


@dataclass(frozen=True)
class OperatingPointOptions:
    """Targets for the two locked thresholds.

    assurance: how sure new patients must be to reach both targets. At 0.5 the patients at hand reach them,
    and new ones about every second time. calibrate: scale the logits first, so that probabilities mean what
    they say (temperature scaling). folds: choose from fit patients too, each scored by a network that was
    trained on the other folds; 0 chooses from calibration patients alone. examination_rule: mean_logit |
    max_probability | noisy_or, how several views of one examination become one answer. refit: whether a
    pruned, quantized or halved model gets thresholds of its own on the calibration patients, at which it
    decides them as the original does at the locked ones (compress.refit).
    """

    sensitivity: float = 0.95
    specificity: float = 0.95
    assurance: float = 0.5
    calibrate: bool = False
    folds: int = 0
    examination_rule: str = DEFAULT_RULE
    refit: bool = False

    def __post_init__(self) -> None:
        within_or_at(0.5, 1, sensitivity=self.sensitivity, specificity=self.specificity)
        within_or_at(0.5, 0.99, assurance=self.assurance)
        if self.folds != 0 and not 2 <= self.folds <= LARGEST_FOLDS:
            raise ValueError(f"folds must be 0 or 2 to {LARGEST_FOLDS}, got {self.folds}")
        one_of("examination_rule", self.examination_rule, tuple(RULES))
        if self.assurance > 0.5 and max(self.sensitivity, self.specificity) == 1:
            raise ValueError("with an assurance above 0.5 sensitivity and specificity must lie below 1")


@dataclass(frozen=True)
class ImproveOptions:
    """How `ulna train --from BUNDLE --add CASES` goes on from a released model (compress.improve).

    epochs: on whole images. rate: the learning rate, as a share of that of [train]. distill_weight: share of
    the loss that follows the released model, so that what it knows is not forgotten (Li & Hoiem 2016,
    "Learning without Forgetting"). new_share: least share of new images in an epoch, reached by repeating
    them; 0 takes every image once. judge_new: whether the gate's margins hold for the new patients too.
    """

    epochs: int = 3
    rate: float = 0.1
    distill_weight: float = 0.3
    new_share: float = 0.0
    judge_new: bool = False

    def __post_init__(self) -> None:
        at_least(1, epochs=self.epochs)
        within_or_at(0, 1, distill_weight=self.distill_weight)
        if not 0 < self.rate <= 10:
            raise ValueError(f"rate must be above 0 and at most 10, got {self.rate:g}")
        if not 0 <= self.new_share < 1:
            raise ValueError(f"new_share must be at least 0 and below 1, got {self.new_share:g}")


@dataclass(frozen=True)
class AnomalyOptions:
    """How pictures unlike those of the training are told (compress.anomaly).

    quantile: share of the calibration images that lie nearer than distance 1; 0 leaves the statistics out.
    warn_above, refuse_above: distances from which on an answer carries a warning, and none is given.
    most_refused: largest share of the gate patients' radiographs that an engine may refuse for it to ship.
    """

    quantile: float = 0.99
    warn_above: float = 1.0
    refuse_above: float = 2.0
    most_refused: float = 0.03

    def __post_init__(self) -> None:
        if not 0 <= self.quantile < 1:
            raise ValueError(f"quantile must be at least 0 and below 1, got {self.quantile:g}")
        within_or_at(0, 1, most_refused=self.most_refused)
        if not 0 < self.warn_above <= self.refuse_above:
            raise ValueError(
                f"warn_above must be positive and at most refuse_above, got {self.warn_above:g} and "
                f"{self.refuse_above:g}"
            )


@dataclass(frozen=True)
class ReleaseOptions:
    """What the bundle says about itself.

    golden: gate | synthetic: golden cases are pictures of gate patients, or computed ones, for a bundle that
    must not hold any patient's. attribution: whose data it was made from, under which licence. limits: what
    the model card must say that no figure says.
    """

    name: str = "ulna"
    version: str = "0.1.0"
    intended_use: str = ""
    body_parts: tuple[str, ...] = ()
    golden_cases: int = 8
    golden: str = "gate"
    attribution: str = ""
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.version.strip():
            raise ValueError("name and version must not be empty")
        if not all(word.strip() for word in self.body_parts):
            raise ValueError("body_parts holds an empty word")
        # One clear fracture and one clear normal image are the least that tells an engine from a broken one.
        at_least(2, golden_cases=self.golden_cases)
        one_of("golden", self.golden, GOLDEN_SOURCES)


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


def from_table(cls: type[T], table: dict[str, Any], where: str) -> T:
    """A table of plain values as a frozen dataclass. Raises RecipeError naming the key that is wrong."""
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise RecipeError(f"unknown key {where}.{unknown[0]}", f"known keys: {', '.join(hints)}")
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise RecipeError(f"{where} must be a table, got {value!r}")
        return from_table(kind, value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{where} must be a list, got {value!r}")
        return tuple(
            _convert(typing.get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(value)
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, types.UnionType):
        return _convert_margin(kind, value, where)
    if type(value) is not kind:
        raise RecipeError(f"{where} must be {kind.__name__}, got {value!r}")
    if kind is float and not math.isfinite(value):
        raise RecipeError(f"{where} must be a finite number, got {value!r}")
    return value


def _convert_margin(kind: types.UnionType, value: Any, where: str) -> Any:
    """The one value that may be of two kinds."""
    if kind != MarginValue:
        raise RecipeError(f"{where}: recipes hold plain values only")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RecipeError(f'{where} must be a number or a share such as "3%", got {value!r}')
    return _convert(str if isinstance(value, str) else float, value, where)
