"""A branch whose INT8 fails its gate and is taught, through the door that the pipeline uses.

Its float graph has an outlier that INT8 cannot bear. The network that is trained has it too, or is the one
before it was planted, whose training cannot fail.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compress.artifact import Artifact
from compress.branches import Graft, grow_branches
from compress.datasets.base import Case
from compress.datasets.tensors import TensorCache
from compress.evaluate import predict
from compress.fallback.options import FallbackOptions
from compress.faster import Speed
from compress.judgement import Court
from compress.ledger import Ledger
from compress.qat.options import QatOptions
from compress.qat.run import School
from compress.record import NodeRecord, RunRecord
from compress.release import Shippable
from compress.report import render
from compress.steps.statistics import detector_of
from compress.workbench import Workbench
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import save_network
from compress.zoo.watched import WatchedNet
from runtime.anomaly import FeatureStatistics
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.preprocess import Placement, PreprocessSpec
from tests.compress.fallback import test_run as fallback_run
from tests.compress.fallback.spoilt import spoilt_bytes
from tests.compress.fallback.test_run import FAST, Images
from tests.compress.qat.spoilt import AS_THEY_ARE, plant
from tests.compress.report.runs import finished_run
from tests.compress.steps import graphs

QAT = QatOptions(epochs=1, batch_size=16, learning_rate=1e-5, augment=AS_THEY_ARE)
SPEC = PreprocessSpec(size_px=graphs.SIZE_PX, std=0.1)
"""Wide enough for these images, which augmentation must not cut off."""
TRAINED, EXPORTED, QUANTIZED, TAUGHT = (
    f"onnxruntime/int8-qat{end}" for end in ("-trained", "-exported", "-quantized", "")
)


_DIGITS = {"export": "1", "finetune": "2", "train": "3", "anomaly": "4"}


class Rows(Images):
    """What a TensorCache is to training as well; `learned` holds every case whose picture it was given."""

    spec = SPEC

    def __init__(self, tensors: dict[str, NDArray[np.float32]]) -> None:
        super().__init__(tensors)
        self.learned: set[str] = set()

    def rows(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        self.learned |= {case.case_id for case in cases}
        return self.stack(tuple(cases))

    def placement(self, case: Case) -> Placement:
        return Placement(graphs.SIZE_PX, graphs.SIZE_PX, graphs.SIZE_PX, 1.0, 0, 0)


@dataclass
class Branch(fallback_run.Branch):
    """One target's INT8 branch that may be trained. graph: the float one, spoilt by default.

    unit: of statistics, the distance of features at which pictures are unusual; 0 without any.
    """

    fallback: FallbackOptions = FallbackOptions()
    qat: QatOptions = QAT
    network: FractureNet = field(default_factory=graphs.residual_network)
    graph: bytes = field(default_factory=spoilt_bytes)
    unit: float = 0.0

    def grow(self) -> tuple[dict[str, NodeRecord], tuple[Shippable, ...]]:
        bench, ledger = self._bench(), Ledger(self.folder / "steps", self._reporter())
        court = self._court(bench)
        exported = self._written("export", "model.onnx", "onnx")
        exported.path.write_bytes(self.graph)
        taught, original = (self._written(name, "network.pt", "torch") for name in ("finetune", "train"))
        save_network(self.network, taught.path)
        save_network(graphs.residual_network(), original.path)
        statistics = self._statistics()
        school = School(taught, original, statistics)
        anomaly = None if statistics is None else detector_of(statistics, bench.recipe.anomaly)
        graft = Graft(bench, ledger, court, exported, court.reference, anomaly, school=school)
        shippable = grow_branches(graft)
        self.stopped, self.histories = ledger.gate_stopped, ledger.histories
        return {node.name: node for node in ledger.nodes}, shippable

    def _statistics(self) -> Artifact | None:
        if not self.unit:
            return None
        with torch.no_grad():
            picture = torch.zeros(1, 1, graphs.SIZE_PX, graphs.SIZE_PX)
            mean = WatchedNet(graphs.residual_network())(picture)[2].numpy()
        whitening = np.eye(mean.shape[1], dtype=np.float32) / np.float32(self.unit)
        written = self._written("anomaly", "anomaly.npz", "statistics")
        written.path.write_bytes(FeatureStatistics(("any",), whitening, mean @ whitening).to_bytes())
        return written

    def _bench(self) -> Workbench:
        bench = super()._bench()
        self.images = Rows(self.images._tensors)
        recipe = replace(bench.recipe, qat=self.qat)
        return replace(bench, recipe=recipe, tensors=cast(TensorCache, self.images))

    def _court(self, bench: Workbench) -> Court:
        backend, gate, spec = OrtBackend(ModelFiles(spoilt_bytes())), bench.splits.gate, self._spec()
        self.splits = bench.splits
        reference = predict(backend, spec, bench.tensors, gate)
        drift = fallback_run.GATES.drift
        return Court(bench.tensors, gate, spec, reference, "0" * 64, 0.95, drift=drift)

    def _written(self, step: str, name: str, kind: str) -> Artifact:
        folder = self.folder / step
        folder.mkdir(parents=True, exist_ok=True)
        return Artifact(step, folder, name, kind, _DIGITS[step] * 64)


@pytest.fixture(autouse=True)
def always_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tiny network gains depends on the machine."""
    monkeypatch.setattr("compress.against_float.compare_speed", lambda *_: FAST)


Taught = tuple[Branch, dict[str, NodeRecord], Shippable]


def grown(branch: Branch) -> Taught:
    """For fixtures of the whole module, which the one above does not reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compress.against_float.compare_speed", lambda *_: FAST)
        nodes, (item,) = branch.grow()
    return branch, nodes, item


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return grown(Branch(tmp_path_factory.mktemp("taught"), "onnxruntime", unit=1e3))


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory, taught: Taught) -> Taught:
    folder = copied(taught, tmp_path_factory.mktemp("mended"))
    return grown(Branch(folder, "onnxruntime", fallback=FallbackOptions(budget=4)))


def copied(made: Taught, folder: Path) -> Path:
    """What another branch made before any training, so that it is not made again: a folder to grow in."""
    steps = Path("steps") / "onnxruntime"
    left_out = shutil.ignore_patterns(*(Path(name).name for name in (TRAINED, EXPORTED, QUANTIZED, TAUGHT)))
    shutil.copytree(made[0].folder / steps, folder / steps, ignore=left_out)
    return folder


def test_the_taught_engine_ships_in_the_place_of_the_plain_one(taught: Taught) -> None:
    branch, nodes, item = taught
    assert (item.precision, item.artifact.step) == ("int8", TAUGHT)
    assert branch.stopped == ()
    assert nodes["onnxruntime/int8-quantized"].status == "replaced"
    assert nodes["onnxruntime/int8-quantized"].verdict["outcome"] != "pass"
    parents = [nodes[name].parent for name in (TRAINED, EXPORTED, QUANTIZED, TAUGHT)]
    assert parents == ["finetune", TRAINED, EXPORTED, QUANTIZED]
    assert branch.histories[TRAINED] == nodes[TRAINED].facts["history"]


def test_its_features_were_held_and_no_radiograph_is_strange_to_it(taught: Taught) -> None:
    _, nodes, item = taught
    assert nodes[TRAINED].facts["features_weight"] == QAT.features_weight > 0
    assert nodes[TAUGHT].facts["refused_as_strange"] == 0
    assert item.strangeness is not None and len(item.strangeness) == fallback_run.GATE


def test_an_engine_to_which_radiographs_are_strange_stops_at_its_node(tmp_path: Path, taught: Taught) -> None:
    branch = Branch(copied(taught, tmp_path), "onnxruntime", unit=1e-3)
    nodes, shippable = branch.grow()
    assert shippable == ()
    assert nodes[TAUGHT].verdict["outcome"] == "pass"
    assert nodes[TAUGHT].status == "failed"
    assert "would refuse 100.0% of the gate radiographs" in nodes[TAUGHT].facts["error"]
    assert "features_weight" in nodes[TAUGHT].facts["error"]


def test_its_graph_still_says_where(taught: Taught) -> None:
    backend = taught[2].open_backend()
    try:
        assert [info.name for info in backend.outputs][:2] == ["logit", "map"]
    finally:
        backend.close()


def test_both_looks_together_err_no_more_often_than_one_gate(taught: Taught) -> None:
    branch, nodes, _ = taught
    first, second = nodes["onnxruntime/int8-quantized"].verdict, nodes[TAUGHT].verdict
    assert [verdict["look"]["number"] for verdict in (first, second)] == [1, 2]
    assert [verdict["confidence"] for verdict in (first, second)] == [0.975, 0.9875]
    assert sum(1 - verdict["confidence"] for verdict in (first, second)) <= 0.05
    written = json.loads((branch.folder / "steps" / TAUGHT / "gate" / "verdict.json").read_text())
    assert written["look"]["trained_epochs"] == 1


def test_no_gate_patient_teaches_and_calibration_patients_only_choose(taught: Taught) -> None:
    images, splits = cast(Rows, taught[0].images), taught[0].splits
    assert images.learned == {case.case_id for case in (*splits.fit, *splits.calibration)}
    assert images.learned.isdisjoint(case.case_id for case in splits.gate)


def test_the_report_draws_the_tree_and_says_which_look_it_was(taught: Taught) -> None:
    record: RunRecord = finished_run()
    page = render(replace(record, nodes=(*record.nodes, *taught[1].values())))
    assert f'id="step-{TRAINED}"' in page
    assert "This gate is look 2 at the gate patients, judged at a confidence of 98.75%" in page


def test_the_same_branch_again_trains_nothing_anew(taught: Taught) -> None:
    branch, before, _ = taught
    nodes, shippable = replace(branch).grow()
    assert [item.artifact.step for item in shippable] == [TAUGHT]
    for name in (TRAINED, EXPORTED, QUANTIZED, TAUGHT):
        assert nodes[name].reused
        assert (nodes[name].sha256, nodes[name].verdict) == (before[name].sha256, before[name].verdict)


def test_what_does_not_pass_after_training_is_not_shipped(tmp_path: Path, taught: Taught) -> None:
    network = plant(graphs.residual_network(), 3000.0)
    branch = Branch(copied(taught, tmp_path), "onnxruntime", network=network)
    nodes, shippable = branch.grow()
    assert shippable == ()
    assert branch.stopped == ("onnxruntime/int8-quantized", QUANTIZED)
    assert nodes[QUANTIZED].verdict["look"]["number"] == 2
    assert nodes[TAUGHT].status == "not run"


def test_a_branch_that_passes_is_not_trained(tmp_path: Path) -> None:
    branch = Branch(tmp_path, "onnxruntime", graph=graphs.residual_bytes())
    nodes, (item,) = branch.grow()
    assert item.artifact.step == "onnxruntime/int8"
    assert not any("-qat" in name for name in nodes)
    assert cast(Rows, branch.images).learned == set()


def test_a_branch_that_layers_in_float_mended_is_not_trained(mended: Taught) -> None:
    _, nodes, item = mended
    assert item.artifact.step == "onnxruntime/int8-mixed"
    assert nodes["onnxruntime/int8-mixed"].verdict["confidence"] == 0.9875
    assert not any("-qat" in name for name in nodes)


def test_where_layers_in_float_did_not_pay_training_is_the_last_resort(
    tmp_path: Path, mended: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = iter([Speed(1.0, 1.1, 1.1, 1.0, 1.2, False)])
    monkeypatch.setattr("compress.against_float.compare_speed", lambda *_: next(speeds, FAST))
    branch = Branch(copied(mended, tmp_path), "onnxruntime", fallback=FallbackOptions(budget=4))
    nodes, (item,) = branch.grow()
    assert item.artifact.step == TAUGHT
    assert nodes["onnxruntime/int8-mixed"].status == "replaced"
    assert branch.stopped == ()
    assert nodes[TAUGHT].verdict["look"]["number"] == 2  # what was not faster had no look


def test_nothing_is_trained_where_the_recipe_does_not_ask(tmp_path: Path, taught: Taught) -> None:
    branch = Branch(copied(taught, tmp_path), "onnxruntime", qat=QatOptions())
    nodes, shippable = branch.grow()
    assert (shippable, branch.stopped) == ((), ("onnxruntime/int8-quantized",))
    assert "look" not in nodes["onnxruntime/int8-quantized"].verdict
    assert not any("-qat" in name for name in nodes)


def test_a_training_that_falls_over_is_recorded_and_the_branch_stays_stopped(
    tmp_path: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the library fell over")

    monkeypatch.setattr("compress.qat.run.teach", broken)
    branch = Branch(copied(taught, tmp_path), "onnxruntime")
    nodes, shippable = branch.grow()
    assert (shippable, branch.stopped) == ((), ("onnxruntime/int8-quantized",))
    assert nodes[TRAINED].status == "failed"
    assert "the library fell over" in nodes[TRAINED].facts["error"]
