"""The first node of an improvement: recover the released network, prove it, train it, keep its scale.

The released model is also the teacher of what is learned, and its logits give the scale: operating points
stay where it locked them. Mean and spread are matched on the old calibration patients alone; on new ones the
released model may be wrong in just the way that is to be mended.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import Artifact, StepOutput, digest_files
from compress.checkpoint import TRAINERS, open_checkpoint
from compress.datasets.base import Case
from compress.evaluate import predict
from compress.improve.parent import Parent
from compress.improve.plan import fine_tuning
from compress.improve.pool import Pool, mixed
from compress.improve.recover import Proof, prove, recover
from compress.judgement import Court, Released
from compress.opening import Opened, selection_of, spec_of
from compress.predictions import Predictions
from compress.step import StepPlan
from compress.steps.train import NETWORK_FILE, warm_start
from compress.training.data import TrainData, label
from compress.training.device import trained_on
from compress.training.loop import TrainRun, train
from compress.training.match import match_logits
from compress.training.state import STATE_FILE
from compress.workbench import Workbench
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import save_network
from compress.zoo.cost import cost_of
from runtime.backends.base import Backend, ModelFiles
from runtime.backends.registry import open_backend

_STATISTICS_IMAGES = 512
_TOOLS = ("onnx", "onnxruntime")
"""The graph is read, and what it answers decides on the scale."""


@dataclass(frozen=True, eq=False)
class Start:
    """How the first node of a run is made, from a released model and a pool of cases."""

    parent: Parent
    pool: Pool

    def plan(self, bench: Workbench) -> StepPlan:
        """What the training depends on: the released model, both kinds of cases, the recipe."""
        recipe, checkpoint = bench.recipe, self.parent.checkpoint
        params = {
            "improve": asdict(recipe.improve),
            "train": asdict(fine_tuning(recipe.train, recipe.improve)),
            "preprocess": asdict(recipe.preprocess),
            "fit": [case.case_id for case in self._fit(bench)],
            "calibration": [case.case_id for case in bench.splits.calibration],
            "old_calibration": [case.case_id for case in self.pool.old_of("calibration")],
            **bench.learning_params(),
        }
        begun = () if checkpoint is None else (digest_files((checkpoint,)),)
        parents = (bench.dataset.digest, self.parent.bundle.digest, *begun)
        return StepPlan("train", params, parents, recipe.seed, _TOOLS, TRAINERS)

    def train(self, bench: Workbench, folder: Path) -> StepOutput:
        """Write network.pt. facts: as of any training, and begun_with, the proof.

        Raises StepError where the network to begin with is not the released one.
        """
        network, proof = self._begin(bench)
        bench.reporter.say(
            f"  begun with {self.parent.bundle.manifest.name} {self.parent.bundle.manifest.version}: on "
            f"{proof.images} images logits differ by {proof.logit:.1e}, maps by {proof.evidence:.1e}"
        )
        teacher = copy.deepcopy(network)
        data = TrainData(
            label(bench.tensors, self._fit(bench), bench.outlines.polygons),
            label(bench.tensors, bench.splits.calibration, bench.outlines.polygons),
            bench.tensors.spec,
        )
        how = fine_tuning(bench.recipe.train, bench.recipe.improve)
        with bench.reporter.task("training") as advance:
            history = train(network, data, how, TrainRun(folder, bench.recipe.seed, teacher, advance))
        match = match_logits(network, teacher, label(bench.tensors, self.pool.old_of("calibration")))
        save_network(network, folder / NETWORK_FILE)
        (folder / STATE_FILE).unlink(missing_ok=True)
        cost = cost_of(network)
        facts: dict[str, Any] = {
            "macs": cost.macs,
            "parameters": cost.parameters,
            "trained_on": trained_on(how.precision),
            "history": history.to_json(),
            "logit_match": match.to_json(),
            "begun_with": proof.to_json(),
        }
        return StepOutput(NETWORK_FILE, "torch", facts=facts)

    def open(self, bench: Workbench, trained: Artifact) -> Opened:
        """The court with the released model's own operating points and its answers beside."""
        points, examination = self.parent.operating_points, self.parent.examination
        spec, gate = spec_of(bench, points), bench.splits.gate

        def ask(backend: Backend, title: str, cases: tuple[Case, ...]) -> Predictions:
            try:
                with bench.reporter.task(title) as advance:
                    return predict(backend, spec, bench.tensors, cases, advance)
            finally:
                backend.close()

        before = ask(self._released(), "released model", gate)
        is_new = np.isin(before.case_ids, sorted(self.pool.new))
        released = Released(before.subset(~is_new), before.subset(is_new), bench.recipe.improve.judge_new)
        reference = ask(open_checkpoint(trained.path), "reference", gate)
        gates, digest = bench.recipe.gate, bench.dataset.digest
        court = Court(
            bench.tensors, gate, spec, reference, digest, gates.confidence, released, drift=gates.drift
        )
        if bench.recipe.operating_points.refit:
            seen = ask(open_checkpoint(trained.path), "operating points", bench.splits.calibration)
            court = replace(court, selection=selection_of(bench, seen, points, examination))
        return Opened(court, {}, examination)

    def _fit(self, bench: Workbench) -> tuple[Case, ...]:
        share, seed = bench.recipe.improve.new_share, bench.recipe.seed
        return mixed(self.pool.old_of("fit"), self.pool.new_of("fit"), share, seed)

    def _begin(self, bench: Workbench) -> tuple[FractureNet, Proof]:
        fit = self.pool.old_of("fit")
        rows = np.unique(np.linspace(0, len(fit) - 1, min(_STATISTICS_IMAGES, len(fit))).round().astype(int))
        images = bench.tensors.stack([fit[row] for row in rows])
        if self.parent.checkpoint is None:
            with bench.reporter.task("the released network, as it was in training") as advance:
                network = recover(self.parent.graph, bench.recipe.model, images, advance)
        else:
            network = warm_start(self.parent.checkpoint, self.parent.recipe.model, images.shape[-1])
        graph = self._released()
        try:
            return network, prove(network, graph, images)
        finally:
            graph.close()

    def _released(self) -> Backend:
        return open_backend("onnxruntime", ModelFiles(self.parent.graph))
