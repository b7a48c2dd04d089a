"""The run as data: what `run.json` holds and what the report draws. Everything in it is JSON-safe."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class NodeRecord:
    """One node of the tree of steps.

    name: path in the tree ("train", "prune", "finetune", "export", "onnxruntime/int8").
    parent: name of the node it was made from, "" for the root. title: what a person calls it.
    kind: train | prune | finetune | export | statistics | quantize | compile.
    engine, precision: set where an engine runs the node.
    status: ok | deferred to the device | stopped | not faster | failed | not run |
    replaced (did not pass, or was never reached, and another with some layers in float ships instead).
    facts: the artifact's (macs, parameters, parity). metrics: MetricsReport.to_json() on the gate patients.
    verdict: gate Verdict.to_json(). roc: {"fpr": [...], "tpr": [...]}.
    latency_ms: {"p50": …, "p90": …, "p99": …} of this node's own model at batch 1 on this machine.
    numerics_from: "" when the artifact itself was evaluated, else what was run in its place.
    """

    name: str
    parent: str
    title: str
    kind: str
    status: str
    engine: str = ""
    precision: str = ""
    size_bytes: int = 0
    sha256: str = ""
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    reused: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)
    roc: dict[str, list[float]] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    numerics_from: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One run of one recipe on one dataset on one machine.

    data: name, digest, and for each split the number of patients, images, fractured images and body parts.
    machine: cpu, cores, versions. history: the training curves, {"train": {"loss": [...], …}, …}.
    power: what the gate patients can show (compress.power), worked out before the training.
    release: bundle path, digest and key fingerprint, empty when nothing was released.
    test: MetricsReport.to_json() of the shipped model on the test patients, looked at once. expectation: what
    the operating points give on patients out of fold (compress.cross_validation), empty without folds.
    metadata: what facts of patients do (compress.withheld), and test_withheld, the figures of the shipped
    model on the test patients without them; empty for the picture alone. examination: the rule for several
    views and its operating points, None where those of images hold.
    lineage: the released model that was gone on from, what was added, and both compared on old and new gate
    patients (compress.improve.lineage); empty for a run from the recipe alone.
    """

    recipe: dict[str, Any]
    data: dict[str, Any]
    machine: dict[str, Any]
    started_utc: str
    seconds: float = 0.0
    power: dict[str, Any] = field(default_factory=dict)
    operating_points: dict[str, float] = field(default_factory=dict)
    expectation: dict[str, Any] = field(default_factory=dict)
    examination: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    nodes: tuple[NodeRecord, ...] = ()
    history: dict[str, Any] = field(default_factory=dict)
    test: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    release: dict[str, Any] = field(default_factory=dict)
    schema: int = 1

    def to_json(self) -> dict[str, Any]:
        """As `run.json` holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> RunRecord:
        """The record that `to_json` wrote."""
        nodes = tuple(NodeRecord(**node) for node in table["nodes"])
        return cls(**{**table, "nodes": nodes})
