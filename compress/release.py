"""Gated artifacts -> a signed bundle with golden cases that every shipped engine must repeat on the box."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from compress import seen
from compress.artifact import STATUS_OK, Artifact
from compress.datasets.base import Case
from compress.predictions import Predictions
from compress.recipe import Recipe
from compress.record import NodeRecord
from compress.seen import SeenImages
from runtime.bundle import (
    SIGNER_NAME,
    Bundle,
    EngineEntry,
    GoldenCase,
    IntendedUse,
    Manifest,
    open_bundle,
    write_bundle,
)
from runtime.errors import BundleError, StepError
from runtime.findings import OperatingPoints, Verdict
from runtime.preprocess import PreprocessSpec
from runtime.trust import TrustStore

REFERENCE_KEY = "reference"
_MIN_TOLERANCE = {"fp32": 0.01, "fp16": 0.02, "int8": 0.03}
"""Another processor rounds differently, by less than rounding to the precision has cost already."""
_ERROR_FACTOR = 2.0


@dataclass(frozen=True)
class Shippable:
    """One artifact that passed all its gates, with its predictions on the gate patients."""

    engine: str
    precision: str
    artifact: Artifact
    predictions: Predictions
    note: str = ""

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

    preprocess: the spec the models were proved with. cases: the gate cases in the order of the predictions.
    provenance: JSON-safe facts on data and versions. seen: the images that it was all made with.
    """

    recipe: Recipe
    points: OperatingPoints
    cases: tuple[Case, ...]
    reference: Predictions
    shippable: tuple[Shippable, ...]
    nodes: tuple[NodeRecord, ...]
    provenance: dict[str, Any]
    seen: SeenImages

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
    golden = choose_golden(plan)
    files: dict[str, Path | bytes] = {seen.FILE: plan.seen.to_json()}
    for item in plan.shippable:
        files |= {f"{item.folder}/{path.name}": path for path in item.artifact.files}
    files |= {case.file: source.path for case, source in golden}
    manifest = _manifest(plan, tuple(case for case, _ in golden))
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


def choose_golden(plan: ReleasePlan) -> tuple[tuple[GoldenCase, Case], ...]:
    """Gate cases of different patients that all engines decide like the checkpoint, none near a threshold.

    Verdicts take turns; within one, the cases spread evenly over its range of logits.
    """
    eligible = _eligible(plan)
    chosen = _spread(plan, eligible)
    verdicts = {_verdict(plan.points, float(plan.reference.logits[i])) for i in chosen}
    if not {Verdict.FRACTURE, Verdict.NONE} <= verdicts:
        raise StepError(
            "no golden cases: engines and checkpoint agree on no clear fracture or on no clear normal image",
            "use more gate patients or a better checkpoint",
        )
    return tuple(_golden(plan, number, i) for number, i in enumerate(chosen, 1))


def tolerance(item: Shippable, reference: Predictions) -> float:
    """How far a box's logits may lie from those measured here: the engine's typical error, and a floor."""
    error = np.abs(item.predictions.logits - reference.logits)
    return round(max(_MIN_TOLERANCE[item.precision], _ERROR_FACTOR * float(np.median(error))), 4)


def _eligible(plan: ReleasePlan) -> list[int]:
    thresholds = _logit_thresholds(plan.points)
    clear = np.ones(len(plan.cases), bool)
    wanted = _bins(plan.reference.logits, thresholds)
    for item in plan.shippable:
        logits = item.predictions.logits
        distance = np.abs(logits[:, None] - thresholds[None]).min(axis=1)
        clear &= (_bins(logits, thresholds) == wanted) & (distance > tolerance(item, plan.reference))
    return [int(i) for i in np.flatnonzero(clear)]


def _spread(plan: ReleasePlan, eligible: Sequence[int]) -> list[int]:
    logits = plan.reference.logits
    queues = [
        _evenly(sorted(own, key=lambda i: float(logits[i])), plan.recipe.release.golden_cases)
        for verdict in (Verdict.FRACTURE, Verdict.NONE, Verdict.DOUBT)
        if (own := [i for i in eligible if _verdict(plan.points, float(logits[i])) is verdict])
    ]
    chosen: list[int] = []
    patients: set[str] = set()
    while len(chosen) < plan.recipe.release.golden_cases and any(queues):
        for queue in queues:
            while queue and plan.cases[queue[0]].patient_id in patients:
                queue.pop(0)
            if queue and len(chosen) < plan.recipe.release.golden_cases:
                chosen.append(queue.pop(0))
                patients.add(plan.cases[chosen[-1]].patient_id)
    return chosen


def _evenly(ordered: list[int], count: int) -> list[int]:
    """`count` of them, evenly over the order, the others after them."""
    picks = {round(k * (len(ordered) - 1) / max(count - 1, 1)) for k in range(count)}
    return [ordered[k] for k in sorted(picks)] + [v for k, v in enumerate(ordered) if k not in picks]


def _golden(plan: ReleasePlan, number: int, index: int) -> tuple[GoldenCase, Case]:
    case = plan.cases[index]
    logits = {item.key: round(float(item.predictions.logits[index]), 6) for item in plan.shippable}
    logits[REFERENCE_KEY] = round(float(plan.reference.logits[index]), 6)
    # The file's name says nothing about the patient.
    name = f"golden-{number:02d}"
    verdict = _verdict(plan.points, float(plan.reference.logits[index]))
    return GoldenCase(name, f"golden/{name}{case.path.suffix.lower()}", str(verdict), logits), case


def _manifest(plan: ReleasePlan, golden: tuple[GoldenCase, ...]) -> Manifest:
    options = plan.recipe.release
    return Manifest(
        name=options.name,
        version=options.version,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        labels=("no fracture", "fracture"),
        intended_use=IntendedUse(statement=options.intended_use, body_parts=options.body_parts),
        preprocess=plan.preprocess,
        operating_points=plan.points,
        engines=tuple(_entry(item, plan.reference) for item in plan.shippable),
        gates=tuple(_gate_summary(node) for node in plan.nodes if node.verdict),
        golden=golden,
        provenance=plan.provenance,
        files={},
    )


def _entry(item: Shippable, reference: Predictions) -> EngineEntry:
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
    )


def _gate_summary(node: NodeRecord) -> dict[str, Any]:
    verdict = {key: value for key, value in node.verdict.items() if key != "flips"}
    return {
        "node": node.name,
        "sha256": node.sha256,
        "numerics_from": node.numerics_from,
        "flips": len(node.verdict.get("flips", ())),
        **verdict,
    }


def _logit_thresholds(points: OperatingPoints) -> NDArray[np.float64]:
    values = (points.high_sensitivity, points.high_specificity)
    return np.array([math.log(value / (1 - value)) for value in values])


def _bins(logits: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.digitize(logits, thresholds)


def _verdict(points: OperatingPoints, logit: float) -> Verdict:
    return points.decide(
        1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
    )
