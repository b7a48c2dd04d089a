"""Trains the same network with and without made windows, several seeds each, and says whether they help.

Everything else is equal: patients, the windows that are cut, first weights, batches. Every training is a step
of its own with the same key that `ulna train` would give it; an interrupted comparison goes on there. The
gate patients, whom no training sees, are asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.checkpoint import open_checkpoint
from compress.datasets.base import Case
from compress.evaluate import predict
from compress.opening import spec_of
from compress.patches.judge import (
    LEAST_PATIENTS,
    LEAST_SEEDS,
    Difference,
    Pair,
    compare_auroc,
    compare_peaks,
)
from compress.patches.options import PatchOptions
from compress.patches.workshop import PatchRequest
from compress.predictions import Predictions
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.step import run_step
from compress.trunk import train_body, train_plan
from compress.workbench import Workbench, describe_machine, open_workbench, recipe_table
from runtime.errors import RecipeError, StepError

COMPARISON_FILE = "comparison.json"
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """seeds: as trained. auroc decides; peaks, None without boxes, says whether the place is found."""

    seeds: tuple[int, ...]
    auroc: Difference
    peaks: Difference | None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Those that there are."""
        return (self.auroc,) if self.peaks is None else (self.auroc, self.peaks)

    def to_json(self) -> dict[str, Any]:
        """JSON-safe."""
        figures = {item.metric: item.to_json() for item in self.differences}
        return {"schema": 1, "seeds": list(self.seeds), "verdict": self.auroc.verdict, "figures": figures}


def compare_patches(
    recipe: Recipe, request: PatchRequest, seeds: int, reporter: ProgressReporter
) -> Comparison:
    """With the recipe's seed and those after it; writes comparison.json.

    Raises RecipeError where the recipe makes no windows or too few seeds are asked for, StepError where the
    gate holds too few patients, and as training and the data do.
    """
    if not recipe.patches.share:
        raise RecipeError(
            "the recipe makes no windows to compare with none", "set [patches] share, for example 0.25"
        )
    if seeds < LEAST_SEEDS:
        raise RecipeError(f"{seeds} seed tells nothing of what a seed changes", f"take {LEAST_SEEDS} or more")
    bench = open_workbench(recipe, request.folder, request.data, reporter)
    _require_patients(bench.splits.gate)
    numbers = tuple(range(recipe.seed, recipe.seed + seeds))
    pairs = [_pair(bench, seed) for seed in numbers]
    found = Comparison(numbers, compare_auroc(pairs, _CONFIDENCE), compare_peaks(pairs, _CONFIDENCE))
    _write(request.folder / COMPARISON_FILE, found, bench)
    return found


def _require_patients(gate: Sequence[Case]) -> None:
    """From fewer no interval follows; trainings of hours would be for nothing."""
    ill, well = (len({case.patient_id for case in gate if case.label == label}) for label in (1, 0))
    if min(ill, well) < LEAST_PATIENTS:
        raise StepError(
            f"a comparison needs {LEAST_PATIENTS} gate patients or more with a fracture and as many without, "
            f"got {ill} and {well}",
            "bring more, or give gate a larger share",
        )


def _pair(bench: Workbench, seed: int) -> Pair:
    without = replace(bench.recipe, seed=seed, patches=PatchOptions())
    made = replace(bench.recipe, seed=seed)
    return Pair(seed, _answers(bench, without, f"seed-{seed}-without"), _answers(bench, made, f"seed-{seed}"))


def _answers(bench: Workbench, recipe: Recipe, name: str) -> Predictions:
    own = replace(bench, recipe=recipe)
    bench.reporter.say(f"[bold]{name}[/bold]")
    trained = run_step(train_plan(own), own.steps / name, lambda folder: train_body(own, folder)).artifact
    backend = open_checkpoint(trained.path)
    try:
        with bench.reporter.task("gate patients") as advance:
            return predict(backend, spec_of(own), own.tensors, own.splits.gate, advance)
    finally:
        backend.close()


def _write(path: Path, found: Comparison, bench: Workbench) -> None:
    table = {
        **found.to_json(),
        "recipe": recipe_table(bench.recipe),
        "data": bench.describe_data(),
        "machine": describe_machine(),
    }
    beside = path.with_name(f"{path.name}.partial")
    beside.write_text(json.dumps(table, indent=2, allow_nan=False), encoding="utf-8")
    beside.replace(path)


def in_words(found: Comparison) -> Sequence[str]:
    """Lines for a terminal."""
    lines = []
    for item in found.differences:
        figures = zip(found.seeds, item.without, item.made, strict=True)
        lines.append(f"{item.metric} on {item.images} gate images, without and with made windows:")
        lines += [f"  seed {seed}: {without:.4f}  {made:.4f}" for seed, without, made in figures]
        bounds = f"[{item.low:+.4f}, {item.high:+.4f}]"
        lines.append(f"  difference {item.difference:+.4f} {bounds} ({item.confidence:.0%}): {item.verdict}")
    return lines
