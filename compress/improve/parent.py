"""The released model that is gone on from: a signed bundle, its recipe, its graph and what it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.datasets.problems import refuse
from compress.options.read import from_table
from compress.recipe import Recipe
from compress.seen import FILE, SeenImages, seen_from_json
from compress.steps.train import NETWORK_FILE
from compress.zoo import ENSEMBLE
from runtime.bundle import MANIFEST_NAME, Bundle, EngineEntry, open_bundle
from runtime.errors import RecipeError, StepError
from runtime.examination import ExaminationSpec
from runtime.findings import OperatingPoints
from runtime.trust import TrustStore

_BUNDLE = "bundle"
_TORCH_STEPS = ("finetune", "train")
"""Whose checkpoint was exported: the first of them that the recipe has."""
_LINEAGE = "lineage"


@dataclass(frozen=True)
class Parent:
    """bundle: opened, so its signature and digests hold. recipe: that it was made by. seen: its images.

    graph: the FP32 ONNX graph, that its answers are taken from. checkpoint: of the run that made it, where
    one was named; it takes the place of the weights in the graph.
    """

    bundle: Bundle
    recipe: Recipe
    seen: SeenImages
    graph: bytes
    checkpoint: Path | None = None

    @property
    def operating_points(self) -> OperatingPoints:
        """By which its graph decides, which may be the graph's own."""
        return self.bundle.manifest.points_of(self._entry)

    @property
    def examination(self) -> ExaminationSpec:
        """How several views that its graph has read become one answer."""
        return self.bundle.manifest.examination_of(self._entry)

    @property
    def _entry(self) -> EngineEntry:
        entry = _float_entry(self.bundle)
        assert entry is not None  # or it could not have been opened
        return entry

    @property
    def identity(self) -> dict[str, Any]:
        """For the records of what is made from it (JSON-safe); ancestors: digests, its parent first."""
        manifest = self.bundle.manifest
        before = manifest.provenance.get(_LINEAGE, {}).get("parent", {})
        ancestors = [before["digest"], *before.get("ancestors", ())] if before else []
        return {
            "name": manifest.name,
            "version": manifest.version,
            "digest": self.bundle.digest,
            "signed_by": self.bundle.signed_by,
            "created_utc": manifest.created_utc,
            "ancestors": ancestors,
        }


def open_parent(path: Path, trust: TrustStore | None = None) -> Parent:
    """A bundle's folder, or that of the run that made it, whose checkpoint is then begun with.

    trust: None is what this machine trusts, as for every bundle. Raises BundleError for a bundle that is not
    as its signer left it, StepError with everything that keeps this one from being gone on from.
    """
    is_run = not (path / MANIFEST_NAME).is_file()
    bundle = open_bundle(path / _BUNDLE if is_run else path, trust)
    recipe = _recipe(bundle)
    refuse(f"{bundle.manifest.name} cannot be gone on from", _problems(bundle, recipe), "train it anew")
    checkpoint = _checkpoint(path, bundle, recipe) if is_run else None
    return Parent(bundle, recipe, seen_from_json(bundle.read(FILE)), _graph(bundle), checkpoint)


def _recipe(bundle: Bundle) -> Recipe:
    table = bundle.manifest.provenance.get("recipe")
    if not isinstance(table, dict):
        raise StepError(f"{bundle.manifest.name} does not say by which recipe it was made", "train it anew")
    try:
        return from_table(Recipe, table, "recipe")
    except RecipeError as error:
        raise StepError(
            f"the recipe of {bundle.manifest.name} is not of this version: {error}",
            "use the version of Ulna that made it, or train it anew",
        ) from error


def _problems(bundle: Bundle, recipe: Recipe) -> list[str]:
    found = []
    if FILE not in bundle.manifest.files:
        found.append("it does not say which images it has seen, so nobody can keep its gate patients apart")
    if recipe.is_classical:
        found.append("it is a classical baseline, which learns in one piece")
    if recipe.model.name == ENSEMBLE:
        found.append("it is an ensemble; go on from its members and join them again")
    if recipe.metadata.fields:
        found.append("it takes facts of patients, whose words are fixed with the patients it learned from")
    if _float_entry(bundle) is None:
        found.append("it holds no FP32 ONNX graph, by which it could be compared and recovered")
    return found


def _graph(bundle: Bundle) -> bytes:
    entry = _float_entry(bundle)
    assert entry is not None
    return bundle.read(entry.main)


def _float_entry(bundle: Bundle) -> EngineEntry | None:
    return next(
        (
            entry
            for entry in bundle.manifest.engines
            if (entry.engine, entry.precision) == ("onnxruntime", "fp32")
        ),
        None,
    )


def _checkpoint(run: Path, bundle: Bundle, recipe: Recipe) -> Path:
    is_pruned_here = recipe.prune.is_active and _LINEAGE not in bundle.manifest.provenance
    steps = _TORCH_STEPS if is_pruned_here else _TORCH_STEPS[1:]
    path = run / "steps" / steps[0] / NETWORK_FILE
    if not path.is_file():
        raise StepError(f"{path} is no file", "name the bundle itself: most are recovered from their graph")
    return path
