"""What a fault is: a mistake, which nodes of a run it spoils, and how it is put in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from compress.faults.bed import Bed
from compress.recipe import Recipe
from runtime.errors import RecipeError

Inject = Callable[[Bed], AbstractContextManager[None]]


def _as_it_is(recipe: Recipe) -> Recipe:
    return recipe


def _beds_own(bed: Bed, folder: Path) -> Path | None:
    return bed.data


@dataclass(frozen=True)
class Fault:
    """One mistake.

    name: on the command line. title: what is done wrong. seen: where and how it was met. engines: targets
    that the run has, with their precisions. spoils: nodes that are made anew with the mistake in them.
    caught_by: words of which one must be in what is said: a run that ends for another reason has not caught
    it. inject: makes the mistake for as long as it is open. recipe: what the run asks beside its targets.
    data: which data it reads; it may write them beside the folder that it is given. environment: variables
    that the mistake needs before any engine is loaded; the run then has a process of its own. needs: why it
    cannot be put in on this machine, "" where it can.
    """

    name: str
    title: str
    seen: str
    engines: Mapping[str, tuple[str, ...]]
    spoils: tuple[str, ...]
    caught_by: tuple[str, ...]
    inject: Inject
    recipe: Callable[[Recipe], Recipe] = _as_it_is
    data: Callable[[Bed, Path], Path | None] = _beds_own
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Callable[[], str] = lambda: ""

    def recipe_for(self, clean: Recipe) -> Recipe:
        """The clean run's recipe with the targets of this fault alone, and no second chances.

        Raises RecipeError where the clean run has not all of them.
        """
        known = {target.engine: target for target in clean.targets}
        lacking = [
            f"{engine}/{precision}"
            for engine, precisions in self.engines.items()
            for precision in precisions
            if engine not in known or precision not in known[engine].precisions
        ]
        if lacking:
            raise RecipeError(
                f"the fault {self.name} needs the targets {', '.join(lacking)}, which the recipe has not",
                "add them to the recipe, or name other faults with --only",
            )
        targets = tuple(
            replace(known[engine], precisions=precisions) for engine, precisions in self.engines.items()
        )
        alone = replace(
            clean,
            targets=targets,
            fallback=replace(clean.fallback, budget=0),
            qat=replace(clean.qat, epochs=0),
        )
        return self.recipe(alone)
