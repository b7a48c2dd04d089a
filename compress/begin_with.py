"""Checkpoints that a training begins with or follows, under the same key for `ulna train` and `ulna run`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from compress.artifact import StepOutput, digest_files
from compress.checkpoint import check_model, train_checkpoint
from compress.datasets.problems import refuse
from compress.patches.source import with_patches
from compress.recipe import Recipe
from compress.step import StepPlan
from compress.steps.train import finetune_network, require_teacher, warm_start
from compress.training.loop import TrainRun
from compress.training.processes import ALONE, Processes
from compress.trunk import train_plan
from compress.workbench import Workbench
from compress.zoo.checkpoint import load_network
from runtime.errors import RecipeError


@dataclass(frozen=True)
class BeginWith:
    """start: a network.pt whose weights are begun with, instead of the recipe's. teachers: checkpoints that
    distill_weight follows, the mean of them where there are several.

    Nobody but their maker knows whom they have learned from: that must be fit patients here too.
    """

    start: Path | None = None
    teachers: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return tuple(path for path in (self.start, *self.teachers) if path is not None)

    def check(self, recipe: Recipe) -> None:
        """Before the data are touched. Raises RecipeError or StepError for what cannot be begun with.

        That is: files that are not there or no checkpoints, a teacher that nobody follows, none where one is
        to be followed, weights of another network, and what compress.checkpoint.check_model refuses.
        """
        if recipe.is_classical and self.files:
            raise RecipeError("a classical baseline begins with no checkpoint", "leave --from, --teacher out")
        if self.teachers and not recipe.train.distill_weight:
            raise RecipeError(
                "a teacher is given, and train.distill_weight is 0", "set it in the recipe, up to 1"
            )
        missing = [f"{path} is no file" for path in self.files if not path.is_file()]
        refuse("what training begins with", missing, "check the paths")
        if not recipe.is_classical:
            require_teacher(recipe.train, bool(self.teachers))
        if self.start is None:
            check_model(recipe)
        else:
            warm_start(self.start, recipe.model, recipe.preprocess.size_px)
        for path in self.teachers:
            load_network(path)

    def plan(self, bench: Workbench) -> StepPlan:
        """The run's own plan; what else is read becomes part of the key."""
        plan = train_plan(bench)
        if not self.files:
            return plan
        named = {"start": int(self.start is not None), "teachers": len(self.teachers)}
        digests = tuple(digest_files((path,)) for path in self.files)
        return replace(plan, params={**plan.params, "files": named}, parents=(*plan.parents, *digests))

    def train(self, bench: Workbench, folder: Path, processes: Processes = ALONE) -> StepOutput:
        """Make the first node of a run in `folder`. Raises StepError as trainings do."""
        recipe = bench.recipe
        with bench.reporter.task("training") as advance:
            teachers = [load_network(path) for path in self.teachers]
            run = TrainRun(folder, recipe.seed, teachers or None, advance, processes)
            if self.start is None:
                return train_checkpoint(recipe, bench.train_data(), run)
            data, run = with_patches(recipe.patches, recipe.train, bench.train_data(), run)
            network = warm_start(self.start, recipe.model, recipe.preprocess.size_px)
            return finetune_network(network, data, recipe.train, run, recipe.operating_points.calibrate)
