"""A run that begins with checkpoints besides its recipe: the training that `ulna train` made, released."""

from __future__ import annotations

from compress.begin_with import BeginWith
from compress.opening import open_court
from compress.pipeline import FromRecipe, RunOptions
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.trunk import Beginning
from compress.workbench import Workbench
from runtime.errors import RecipeError


class FromFiles(FromRecipe):
    """See compress.pipeline.Source. Without any file it is the recipe alone."""

    def __init__(self, begin: BeginWith) -> None:
        self._begin = begin
        if begin.files:
            self.beginning = Beginning(begin.plan, begin.train, open_court)

    def open_bench(self, recipe: Recipe, options: RunOptions, reporter: ProgressReporter) -> Workbench:
        """Raises RecipeError or StepError for what cannot be begun with, before the data are touched."""
        if self._begin.files and recipe.operating_points.folds:
            raise RecipeError(
                "with folds nobody may have learned from the patients that are scored, and what --from or "
                "--teacher gives has: each fold would need one of its own",
                "set [operating_points] folds = 0",
            )
        self._begin.check(recipe)
        return super().open_bench(recipe, options, reporter)
