"""`ulna train --from BUNDLE --add CASES`: the tree of `ulna run`, grown from a released model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compress.improve.lineage import lineage
from compress.improve.parent import Parent, open_parent
from compress.improve.plan import improved_recipe
from compress.improve.pool import Pool, pool_cases, pooled_outlines, require_judges
from compress.improve.start import Start
from compress.judgement import Court
from compress.look_alikes import check_looks
from compress.pipeline import RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.record import RunRecord
from compress.seen import SeenImages, seen_in
from compress.training.outlines import Outlines
from compress.trunk import Beginning
from compress.workbench import Workbench, lay_out, open_data
from runtime.errors import StepError
from runtime.trust import TrustStore


@dataclass(frozen=True)
class ImproveRequest:
    """start: a bundle's folder, or that of the run that made it. old: the data that it was made from, None
    for the computed radiographs of its recipe. new: the cases to add. key: that signs. folder: of the run,
    None for runs/NAME-VERSION. recipe: in place of the bundle's own. trust: None is what this machine trusts.
    """

    start: Path
    old: Path | None
    new: Path
    key: Ed25519PrivateKey
    folder: Path | None = None
    recipe: Recipe | None = None
    trust: TrustStore | None = None


class FromBundle:
    """What such a run begins with; see compress.pipeline.Source."""

    def __init__(self, parent: Parent, pool: Pool, command: Mapping[str, Any], outlines: Outlines) -> None:
        self._parent = parent
        self._outlines = outlines
        self._command = command
        self._pool = pool
        start = Start(parent, pool)
        self.beginning: Beginning | None = Beginning(start.plan, start.train, start.open, prunes=False)

    def open_bench(self, recipe: Recipe, options: RunOptions, reporter: ProgressReporter) -> Workbench:
        """The pool as it was divided. Raises StepError where images of two sets look the same."""
        pool, how = self._pool, recipe.data.look_alikes
        if options.data is not None:  # computed patients look alike by construction
            check_looks(pool.dataset, pool.splits, how, options.folder, reporter)
        bench = lay_out(recipe, options.folder, pool.dataset, pool.splits, reporter)
        return replace(bench, outlines=self._outlines)

    def lineage(self, court: Court) -> dict[str, Any]:
        """See compress.improve.lineage; command: what the run was started with, by names alone."""
        return {**lineage(self._parent, self._pool, court), "command": dict(self._command)}

    def seen(self, bench: Workbench) -> SeenImages:
        """What the released model has seen too, whether or not its files were here."""
        return self._parent.seen.joined(seen_in(bench.splits, bench.dataset.image_digests))


def improve(request: ImproveRequest, reporter: ProgressReporter) -> RunRecord:
    """Go on training, gate against the released model, and release where every gate lets it.

    Raises what `run_pipeline` raises, BundleError for a released model that is not as it was signed, and
    StepError that lists what keeps cases or model from being gone on with.
    """
    parent = open_parent(request.start, request.trust)
    recipe = improved_recipe(parent, request.recipe)
    release = recipe.release
    folder = request.folder or Path("runs") / f"{release.name}-{release.version}"
    if folder.resolve() in (parent.bundle.root, parent.bundle.root.parent):
        raise StepError(f"{folder} holds the released model itself", "choose another folder for --out")
    folder.mkdir(parents=True, exist_ok=True)
    old = open_data(recipe, folder, request.old, reporter)
    new = open_data(recipe, folder, request.new, reporter)
    pool = pool_cases(old, new, parent.seen, recipe.data)
    if recipe.improve.judge_new:
        require_judges(pool)
    for line in found_words(pool):
        reporter.say(line)
    options = RunOptions(folder, request.old, request.key)
    command = {
        "from_run": parent.checkpoint is not None,
        "old": "" if request.old is None else old.name,
        "new": new.name,
        "recipe": "" if request.recipe is None else request.recipe.name,
    }
    outlines = pooled_outlines((old, request.old), (new, request.new), recipe.data.outlines)
    return run_pipeline(recipe, options, reporter, FromBundle(parent, pool, command, outlines))


def found_words(pool: Pool) -> list[str]:
    """What was found among the new cases, a line each."""
    facts = pool.facts
    sets = [f"{name} {len(pool.new_of(name))}" for name in ("fit", "calibration", "gate")]
    lines = [f"[bold]new cases[/bold]\n  images of new patients: {', '.join(sets)}"]
    if facts["not_spread_by"]:
        lines.append(f"  not spread evenly by what not all of them tell: {', '.join(facts['not_spread_by'])}")
    if facts["duplicates"]:
        lines.append(f"  left out, the same image is there already: {facts['duplicates']}")
    if facts["known_patients"]:
        known = ", ".join(f"{name} {count}" for name, count in facts["known_patients"].items())
        lines.append(f"  patients whom the released model knows, who stay where they were: {known}")
    if 2 * sum(facts["known_patients"].values()) > facts["patients"] and not facts["recognised_images"]:
        lines.append(
            "  [yellow]most of them are known by their ids alone, no image is: if another site gave the ids, "
            "give the new ones a prefix[/yellow]"
        )
    if facts["gate_images_found"] < facts["gate_images_of_parent"]:
        lines.append(
            f"  [yellow]of the released model's {facts['gate_images_of_parent']} gate images "
            f"{facts['gate_images_found']} are here; it is compared on these[/yellow]"
        )
    return lines
