"""Gated artifacts -> a signed bundle with golden cases that every shipped engine must repeat on the box."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from compress import seen
from compress.artifact import STATUS_OK, Artifact
from compress.golden import GoldenPool, choose_golden
from compress.golden_maps import Engine, MapPlan, Placed, write_maps
from compress.predictions import Predictions
from compress.recipe import Recipe
from compress.record import NodeRecord
from compress.refit import OwnPoints
from compress.seen import SeenImages
from compress.steps.statistics import STATISTICS_FILE, limits_of
from compress.tolerances import logit_tolerance
from runtime.backends.base import Backend
from runtime.bundle import (
    SIGNER_NAME,
    Bundle,
    EngineEntry,
    Manifest,
    open_bundle,
    write_bundle,
)
from runtime.detector import DetectorSpec
from runtime.errors import BundleError, StepError
from runtime.examination import ExaminationSpec
from runtime.expected import ExpectedAnswers, count_answers
from runtime.findings import OperatingPoints, Provenance
from runtime.preprocess import PreprocessSpec
from runtime.trust import TrustStore


@dataclass(frozen=True)
class Shippable:
    """One artifact that passed all its gates, with its predictions on the gate patients.

    open_backend: the artifact, or what is run in its place where this machine cannot run it. own: thresholds
    of its own, at which it passed; None for the locked ones. strangeness: (N,) of each of their radiographs
    to it, as a share of what is refused; None where nothing tells strange pictures.
    """

    engine: str
    precision: str
    artifact: Artifact
    predictions: Predictions
    open_backend: Callable[[], Backend]
    note: str = ""
    own: OwnPoints | None = None
    strangeness: NDArray[np.float64] | None = None

    @property
    def key(self) -> str:
        """As the manifest names it."""
        return f"{self.engine}-{self.precision}"

    @property
    def folder(self) -> str:
        """Inside the bundle."""
        return f"models/{self.key}"


@dataclass(frozen=True)
class ReleasePlan:
    """Everything a bundle is made from.

    preprocess: the spec the models were proved with. reference: the checkpoint's predictions on the gate
    patients. golden: what golden cases are chosen from. provenance: JSON-safe facts on data and versions.
    seen: the images that it was all made with. origin: opens the float graph that the engines were made from.
    statistics: of features, by which strange pictures are told. examination: how several views become one
    answer.
    """

    recipe: Recipe
    points: OperatingPoints
    reference: Predictions
    golden: GoldenPool
    shippable: tuple[Shippable, ...]
    nodes: tuple[NodeRecord, ...]
    provenance: dict[str, Any]
    seen: SeenImages
    origin: Callable[[], Backend]
    statistics: Artifact | None = None
    examination: ExaminationSpec = field(default_factory=ExaminationSpec)

    @property
    def preprocess(self) -> PreprocessSpec:
        """As the recipe says."""
        return self.recipe.preprocess


def release(plan: ReleasePlan, root: Path, key: Ed25519PrivateKey) -> Bundle:
    """Write and sign the bundle in `root`, replacing one that is there, unless that says and holds the same.

    Raises StepError when nothing may ship or no golden case can be found.
    """
    if not any(item.artifact.status == STATUS_OK for item in plan.shippable):
        raise StepError(
            "no engine passed its gates, so there is nothing to release", "see the report's verdicts"
        )
    golden = choose_golden(plan.golden, plan.recipe.release.golden_cases)
    files: dict[str, Path | bytes] = {seen.FILE: plan.seen.to_json()}
    for item in plan.shippable:
        files |= {f"{item.folder}/{path.name}": path for path in item.artifact.files}
    files |= {case.file: source.path for case, source in golden}
    if plan.statistics is not None:
        files[STATISTICS_FILE] = plan.statistics.path
    placed = write_maps([(case, source.path) for case, source in golden], _map_plan(plan))
    manifest = _manifest(plan, placed)
    return _unchanged(root, manifest, files, key) or write_bundle(root, manifest, files, key)


def _unchanged(
    root: Path, manifest: Manifest, files: dict[str, Path | bytes], key: Ed25519PrivateKey
) -> Bundle | None:
    """The bundle in `root` if it differs from the one to be made in nothing but its date."""
    try:
        present = open_bundle(root, TrustStore.of(key))
    except BundleError:
        return None
    dated = replace(manifest, created_utc=present.manifest.created_utc)
    listed = {name: entry.sha256 for name, entry in present.manifest.files.items() if name != SIGNER_NAME}
    held = {name: _sha256(content) for name, content in files.items()}
    same = replace(present.manifest, files={}).to_json() == dated.to_json() and listed == held
    return present if same else None


def _sha256(content: Path | bytes) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()


def tolerance(item: Shippable, reference: Predictions) -> float:
    """How far a box's logits may lie from those measured here: the engine's typical error, and a floor.

    A shift of all logits that its own thresholds follow is no error.
    """
    error = item.predictions.logits - reference.logits
    if item.own is not None:
        error = error - np.median(error)
    return logit_tolerance(error, item.precision)


def _map_plan(plan: ReleasePlan) -> MapPlan:
    own = plan.recipe.release
    engines = {
        item.key: Engine(item.open_backend, item.precision, shifted=item.own is not None)
        for item in plan.shippable
    }
    spec = DetectorSpec(
        plan.preprocess,
        plan.points,
        own.body_parts,
        Provenance("", "", own.name, own.version),
        metadata=plan.golden.metadata,
    )
    return MapPlan(spec, plan.origin, engines)


def _manifest(plan: ReleasePlan, placed: Placed) -> Manifest:
    options = plan.recipe.release
    strangeness = [item.strangeness for item in plan.shippable if item.strangeness is not None]
    return Manifest(
        name=options.name,
        version=options.version,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        labels=("no fracture", "fracture"),
        intended_use=options.use,
        preprocess=plan.preprocess,
        operating_points=plan.points,
        engines=tuple(_entry(item, plan.reference, placed) for item in plan.shippable),
        gates=tuple(_gate_summary(node) for node in plan.nodes if node.verdict),
        golden=placed.golden,
        provenance=plan.provenance,
        examination=plan.examination,
        metadata=plan.golden.metadata,
        expected=expected_answers(plan.reference, plan.points, strangeness),
        anomaly=None if plan.statistics is None else limits_of(plan.recipe.anomaly),
        files={},
    )


def expected_answers(
    reference: Predictions, points: OperatingPoints, strangeness: Sequence[NDArray[np.float64]]
) -> ExpectedAnswers | None:
    """What the reference answers on the gate patients, without the pictures that some engine refuses as
    strange; None where nothing is left. strangeness: of each engine that ships, see Shippable.
    """
    strange = np.zeros(len(reference), bool)
    for shares in strangeness:
        strange |= ~(shares <= 1)
    if strange.all():
        return None
    healthy, fractured = (
        count_answers(reference.logits[~strange & (reference.labels == truth)], points) for truth in (0, 1)
    )
    refused = int(strange.sum()) + len(reference.refused)
    return ExpectedAnswers(reference.patients, refused, healthy, fractured)


def _entry(item: Shippable, reference: Predictions, placed: Placed) -> EngineEntry:
    artifact = item.artifact
    weights = next((n for n in artifact.companions if n.endswith(".bin")), "")
    return EngineEntry(
        engine=item.engine,
        precision=item.precision,
        main=f"{item.folder}/{artifact.main}",
        weights=f"{item.folder}/{weights}" if weights else "",
        status=artifact.status,
        note=item.note,
        logit_tolerance=tolerance(item, reference),
        map_tolerance=placed.tolerances.get(item.key),
        operating_points=None if item.own is None else item.own.images,
        examination_points=None if item.own is None else item.own.examinations,
    )


def _gate_summary(node: NodeRecord) -> dict[str, Any]:
    verdict = {key: value for key, value in node.verdict.items() if key != "flips"}
    return {
        "node": node.name,
        "sha256": node.sha256,
        "numerics_from": node.numerics_from,
        "flips": sum(not flip.get("against") for flip in node.verdict.get("flips", ())),
        **verdict,
    }
