"""What a run works with: the recipe, the cases of each split, their tensors, and a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from compress import breakdown
from compress.datasets.base import Case, Dataset
from compress.datasets.registry import open_dataset
from compress.datasets.splits import Splits, check_disjoint, split_by_patient, split_officially
from compress.datasets.synthetic import generate
from compress.datasets.tensors import TensorCache
from compress.look_alikes import check_looks
from compress.metadata import Fusion, learn_facts
from compress.progress import ProgressReporter, spoken_warnings
from compress.recipe import Recipe
from compress.step import tool_versions
from compress.training.data import TrainData, train_data
from compress.training.outlines import Outlines, outlines_of
from runtime import machine
from runtime.errors import StepError
from runtime.metadata import MetadataSpec

_RECORDED_TOOLS = (
    "ulna",
    "numpy",
    "onnx",
    "onnxruntime",
    "opencv-python-headless",
    "openvino",
    "nncf",
    "tensorrt",
    "tensorrt-rtx",
    "torch",
    "torch-pruning",
)


@dataclass(frozen=True)
class Workbench:
    """Everything the steps of one run share; nothing in it changes during the run."""

    recipe: Recipe
    folder: Path
    dataset: Dataset
    splits: Splits
    tensors: TensorCache
    reporter: ProgressReporter
    outlines: Outlines = field(default_factory=Outlines)

    @property
    def steps(self) -> Path:
        """Where the steps' folders are."""
        return self.folder / "steps"

    @property
    def fusion(self) -> Fusion | None:
        """The facts of patients that the network is told, None for the picture alone. Raises StepError."""
        return learn_facts(self.recipe.metadata, self.splits.fit)

    @property
    def metadata(self) -> MetadataSpec | None:
        """What they are as numbers."""
        return None if self.fusion is None else self.fusion.spec

    def learning_params(self) -> dict[str, Any]:
        """What training depends on beside recipe and cases: {} for the picture alone with boxes."""
        facts = {} if self.fusion is None else {"metadata": asdict(self.fusion)}
        return {**facts, **({"outlines": self.outlines.digest} if self.outlines.polygons else {})}

    def train_data(self, fit: tuple[Case, ...] | None = None) -> TrainData:
        """What a training learns from and is judged on. fit: None is the whole of that set."""
        sets = self.splits.fit if fit is None else fit, self.splits.calibration
        return train_data(self.tensors, *sets, self.outlines.polygons, self.fusion)

    def describe_data(self) -> dict[str, Any]:
        """For the record: what each split holds, and what is known of its patients."""
        sets = {name: _describe(cases) for name, cases in vars(self.splits).items()}
        known = {
            "age": any(case.age_years is not None for case in self.dataset.cases),
            "sex": any(case.sex for case in self.dataset.cases),
            "view": any(case.view for case in self.dataset.cases),
        }
        return {"name": self.dataset.name, "digest": self.dataset.digest, "splits": sets, "known": known}


def open_workbench(recipe: Recipe, folder: Path, data: Path | None, reporter: ProgressReporter) -> Workbench:
    """Open (or compute) the data, divide the patients, preprocess every image once.

    Raises StepError or InputError that lists everything wrong with the data or their division.
    """
    _refuse_no_publisher(recipe, data)
    folder.mkdir(parents=True, exist_ok=True)
    dataset = open_data(recipe, folder, data, reporter)
    how = recipe.data
    breakdown.check(dataset.cases, breakdown.Breakdown(without=breakdown.parse_without(how.also_without)))
    divide = split_officially if how.official else split_by_patient
    splits = divide(dataset.cases, how.split, how.split_seed, how.stratify)
    learn_facts(recipe.metadata, splits.fit)  # what the data cannot tell is refused before hours are spent
    outlines = outlines_of(dataset.cases, data, how.outlines)
    if outlines.polygons:
        fractured = [case for case in dataset.cases if case.label]
        known = sum(bool(outlines.polygons.get(case.case_id)) for case in fractured)
        reporter.say(f"  outlines of {known} of {len(fractured)} fractured images")
    if data is not None:  # computed patients look alike by construction
        check_looks(dataset, splits, how.look_alikes, folder, reporter)
    return replace(lay_out(recipe, folder, dataset, splits, reporter), outlines=outlines)


def lay_out(
    recipe: Recipe, folder: Path, dataset: Dataset, splits: Splits, reporter: ProgressReporter
) -> Workbench:
    """Preprocess every image once. Raises StepError that lists those that cannot be read, and for a patient
    in two sets, whoever divided them.
    """
    check_disjoint(splits)
    tensors = TensorCache(dataset, recipe.preprocess, folder / "cache")
    with reporter.task("preprocess") as advance:
        tensors.build(advance)
    return Workbench(recipe, folder, dataset, splits, tensors, reporter)


def describe_machine() -> dict[str, Any]:
    """For the record: processor, cores, memory, versions. Nothing that names the machine's owner."""
    return {**machine.describe().to_json(), "versions": tool_versions(_RECORDED_TOOLS)}


def recipe_table(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON values."""
    table: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return table


def open_data(recipe: Recipe, folder: Path, data: Path | None, reporter: ProgressReporter) -> Dataset:
    """The data set at `data`, or computed radiographs. Raises StepError that lists all faults."""
    if data is not None:
        with spoken_warnings(reporter.say):
            return open_dataset(data)
    with reporter.task("synthetic radiographs") as advance:
        return generate(recipe.data.synthetic, folder / "data", advance)


def _refuse_no_publisher(recipe: Recipe, data: Path | None) -> None:
    if recipe.data.official and data is None:
        raise StepError(
            "data.official is set, and computed radiographs have no publisher who divided them",
            "give --data, or set [data] official = false",
        )


def _describe(cases: tuple[Case, ...]) -> dict[str, Any]:
    parts: dict[str, int] = {}
    for case in cases:
        parts[case.body_part] = parts.get(case.body_part, 0) + 1
    return {
        "patients": len({case.patient_id for case in cases}),
        "images": len(cases),
        "fractured": sum(case.label for case in cases),
        "body_parts": dict(sorted(parts.items())),
    }
