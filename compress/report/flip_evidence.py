"""Runs the models of a run once more on changed cases: where each saw evidence, and where layers diverge.

What cannot be run is Missing with its reason; it costs the other models and cases nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact
from compress.checkpoint import open_checkpoint
from compress.datasets.base import Case
from compress.evaluate import TensorSource
from compress.layers.base import Feed
from compress.layers.compare import compare_cases
from compress.layers.opening import open_pair
from compress.layers.parity import LayerSnr
from compress.metadata import facts_of_case
from compress.record import NodeRecord
from compress.step import load_step
from compress.targets import TARGETS
from runtime.backends.base import INPUT_NAME, METADATA_NAME, Backend
from runtime.detector import Detector, DetectorSpec
from runtime.errors import StepError, UlnaError
from runtime.postprocess import locate
from runtime.radiograph import Radiograph

QUANTIZE = "quantize"


@dataclass(frozen=True)
class Missing:
    """What there is instead of a map or a layer."""

    reason: str


Evidence = NDArray[np.float32] | Missing
"""(H', W') in 0 to 1 over the source image, as runtime.postprocess.locate gives it."""
Divergence = LayerSnr | Missing | None
"""None: every layer of this case is above the threshold."""


@dataclass(frozen=True)
class Sources:
    """What the pictures are made from.

    steps: folder of the run's steps. cases: of the gate, by id. load: an image's pixels; raises InputError.
    tensors: the network's inputs. spec: how the run's networks are asked.
    """

    steps: Path
    cases: dict[str, Case]
    load: Callable[[Case], Radiograph]
    tensors: TensorSource
    spec: DetectorSpec


def evidence_of(sources: Sources, node: NodeRecord, case_ids: Sequence[str]) -> dict[str, Evidence]:
    """What the node's own model sees in each case, by its id."""
    try:
        detector = Detector(_open(sources, node), sources.spec)
    except Exception as error:  # engines raise whatever they like
        return dict.fromkeys(case_ids, _missing(error))
    with detector:
        return {name: _evidence(sources, detector, name) for name in case_ids}


def divergences_of(sources: Sources, node: NodeRecord, case_ids: Sequence[str]) -> dict[str, Divergence]:
    """Where a quantized node first parts from the exported graph in each case, by its id."""
    try:
        pair = open_pair(_artifact(sources, node.parent), _artifact(sources, node.name, node.sha256))
        feeds = {name: _feed(sources, name) for name in case_ids if name in sources.cases}
        found = compare_cases(*pair, feeds) if feeds else {}
    except Exception as error:  # as above
        return dict.fromkeys(case_ids, _missing(error))
    unknown = Missing("the case is not among the gate patients")
    return {name: found[name].first_diverging if name in found else unknown for name in case_ids}


def quantized_before(node: NodeRecord, nodes: Iterable[NodeRecord]) -> NodeRecord | None:
    """The quantized node whose layers a node runs: itself or its parent; None where nothing was rounded."""
    if node.kind == QUANTIZE:
        return node
    return next((other for other in nodes if other.name == node.parent and other.kind == QUANTIZE), None)


def _open(sources: Sources, node: NodeRecord) -> Backend:
    artifact = _artifact(sources, node.name, node.sha256)
    if node.engine:
        return TARGETS[node.engine].open(artifact).open_backend()
    return open_checkpoint(artifact.path)


def _artifact(sources: Sources, name: str, sha256: str = "") -> Artifact:
    """Of the step; sha256: as it was judged. Raises StepError where that is no longer there."""
    found = load_step(sources.steps / name)
    if found is None or (sha256 and found.sha256 != sha256):
        raise StepError(f"step {name} no longer holds what was judged", "run again")
    return found


def _evidence(sources: Sources, detector: Detector, case_id: str) -> Evidence:
    try:
        case = sources.cases[case_id]
        score = detector.score(sources.tensors.tensor(case), facts_of_case(case))
        return locate(score.map, sources.tensors.placement(case))[1]
    except KeyError:
        return Missing("the case is not among the gate patients")
    except UlnaError as error:
        return _missing(error)


def _feed(sources: Sources, case_id: str) -> Feed:
    case, metadata = sources.cases[case_id], sources.spec.metadata
    feed = {INPUT_NAME: sources.tensors.tensor(case)}
    return feed if metadata is None else {**feed, METADATA_NAME: metadata.encode(facts_of_case(case))[None]}


def _missing(error: Exception) -> Missing:
    if isinstance(error, UlnaError):
        return Missing("; ".join(filter(None, (str(error), error.hint))))
    return Missing(f"{type(error).__name__}: {error}")
