"""The generator by itself: trained as a training with made windows would train it, drawn and examined.

generator.pt holds what was learnt of patients' radiographs and the picture shows some: both are as
confidential as the data.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from compress.artifact import Artifact, StepOutput
from compress.checkpoint import TRAINERS
from compress.patches.examine import examine, require_enough
from compress.patches.sheet import draw_patches
from compress.patches.source import PatchMaker
from compress.patches.train import GENERATOR_FILE, load_generator, train_generator
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.step import StepPlan, run_step
from compress.training.loop import TrainRun
from compress.workbench import Workbench, open_workbench
from runtime.errors import StepError

SHEET_FILE, REPORT_FILE = "patches.png", "patches.json"


@dataclass(frozen=True)
class PatchRequest:
    """folder: of the results. data: as for a run; None for synthetic radiographs."""

    folder: Path
    data: Path | None = None


def train_patches(recipe: Recipe, request: PatchRequest, reporter: ProgressReporter) -> Artifact:
    """Train on the fit patients and write generator.pt, patches.png and patches.json.

    Held-out windows, of the calibration patients, are looked at for the report alone. A killed training goes
    on where it was. Raises StepError, where there is too little to compare with before anything is trained,
    InputError or RecipeError.
    """
    bench = open_workbench(recipe, request.folder, request.data, reporter)
    made = _made(bench)
    for path in made.files:
        beside = request.folder / f"{path.name}.partial"
        shutil.copyfile(path, beside)
        beside.replace(request.folder / path.name)
    return made


def sample_patches(
    recipe: Recipe, request: PatchRequest, seed: int, sheet: Path, reporter: ProgressReporter
) -> None:
    """Draw other windows of the same generator, which is trained where it is not there yet."""
    bench = open_workbench(recipe, request.folder, request.data, reporter)
    trained = load_generator(_made(bench).path)
    data = bench.train_data()
    maker = PatchMaker(trained.network, data.fit, data.preprocess)
    beside = sheet.with_name(f"{sheet.name}.partial")
    try:
        beside.write_bytes(draw_patches(maker, data.preprocess, seed))
        beside.replace(sheet)
    except OSError as error:
        raise StepError(f"cannot write {sheet}: {error.strerror}", "choose another folder") from error


def _made(bench: Workbench) -> Artifact:
    return run_step(_plan(bench), bench.steps / "patches", lambda folder: _make(bench, folder)).artifact


def _plan(bench: Workbench) -> StepPlan:
    recipe, splits = bench.recipe, bench.splits
    params = {
        "patches": recipe.patches.learning(),
        "preprocess": asdict(recipe.preprocess),
        "fit": [case.case_id for case in splits.fit],
        "calibration": [case.case_id for case in splits.calibration],
        **({"outlines": bench.outlines.digest} if bench.outlines.polygons else {}),
    }
    return StepPlan("patches", params, (bench.dataset.digest,), recipe.seed, noted=TRAINERS)


def _make(bench: Workbench, folder: Path) -> StepOutput:
    data = bench.train_data()
    require_enough(data)
    with bench.reporter.task("generator") as advance:
        run = TrainRun(folder, bench.recipe.seed, None, advance)
        trained = train_generator(data.fit, data.preprocess, bench.recipe.patches, run)
    maker = PatchMaker(trained.network, data.fit, data.preprocess)
    report = {**examine(maker, data, run.seed).to_json(), "losses": list(trained.losses)}
    (folder / REPORT_FILE).write_text(json.dumps(report, indent=2, allow_nan=False), encoding="utf-8")
    (folder / SHEET_FILE).write_bytes(draw_patches(maker, data.preprocess, run.seed))
    facts = {"generator": trained.digest, "report": report}
    return StepOutput(GENERATOR_FILE, "torch", (SHEET_FILE, REPORT_FILE), facts)
