"""A branch whose INT8 fails its gate, through the door that the pipeline uses."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from rich.console import Console

from compress.artifact import Artifact, StepOutput
from compress.branches import Graft, grow_branches
from compress.datasets.base import Case, Dataset
from compress.datasets.splits import Splits
from compress.datasets.tensors import TensorCache
from compress.evaluate import predict
from compress.fallback.options import FallbackOptions
from compress.fallback.rank import Ranking
from compress.fallback.search import Screen
from compress.faster import Speed
from compress.judgement import Court
from compress.ledger import Ledger
from compress.options.gate import NO_DRIFT_LIMITS, GateOptions, Margins
from compress.options.target import TargetOptions
from compress.predictions import Predictions
from compress.progress import ProgressReporter
from compress.recipe import Recipe
from compress.record import NodeRecord
from compress.refit import Selection
from compress.release import Shippable
from compress.steps.quantize import QUANTIZERS, quantize_ort
from compress.workbench import Workbench
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.detector import DetectorSpec
from runtime.findings import OperatingPoints, Provenance
from runtime.postprocess import probability
from runtime.preprocess import PreprocessSpec
from tests.compress.fallback.spoilt import SPOILT, spoilt_bytes
from tests.compress.steps import graphs

FIT, SELECTION, GATE = 32, 60, 160
GATES = GateOptions(Margins(0.05, 0.1, 0.1), drift=NO_DRIFT_LIMITS)
FAST, SLOW = Speed(1.0, 0.5, 0.5, 0.4, 0.6, True), Speed(1.0, 1.1, 1.1, 1.0, 1.2, False)


class Images:
    """What a TensorCache is to the steps; `asked` holds every case whose picture went through a network."""

    def __init__(self, tensors: dict[str, NDArray[np.float32]]) -> None:
        self._tensors = tensors
        self.asked: list[str] = []

    def tensor(self, case: Case) -> NDArray[np.float32]:
        self.asked.append(case.case_id)
        return self._tensors[case.case_id][None]

    def stack(self, cases: tuple[Case, ...]) -> NDArray[np.float32]:
        return np.stack([self._tensors[case.case_id] for case in cases])


@dataclass(frozen=True)
class Data:
    name: str = "spoilt"
    digest: str = "0" * 64
    cases: tuple[Case, ...] = ()


@cache
def clear_images() -> tuple[NDArray[np.float32], NDArray[np.int64], float]:
    """Images that the float network calls clearly one or the other, what it calls them, and its threshold."""
    images = graphs.images(2 * (FIT + SELECTION + GATE), seed=7)
    backend = OrtBackend(ModelFiles(spoilt_bytes()))
    logits = np.array([backend.infer({"image": image[None]})["logit"][0, 0] for image in images], np.float64)
    clear = np.argsort(np.abs(logits - np.median(logits)))[-(FIT + SELECTION + GATE) :]
    return images[clear], (logits[clear] > np.median(logits)).astype(np.int64), float(np.median(logits))


@dataclass
class Branch:
    """One target's INT8 branch in a folder."""

    folder: Path
    engine: str
    fallback: FallbackOptions = FallbackOptions(budget=4)
    must_be_faster: bool = True
    smooth: float = 0.0
    refit: bool = False
    images: Images = field(init=False)
    said: io.StringIO = field(default_factory=io.StringIO)
    stopped: tuple[str, ...] = ()
    gate_cases: tuple[Case, ...] = ()

    def grow(self) -> tuple[dict[str, NodeRecord], tuple[Shippable, ...]]:
        ledger, bench = self._ledger(), self._bench()
        (self.folder / "export").mkdir(parents=True, exist_ok=True)
        (self.folder / "export" / "model.onnx").write_bytes(spoilt_bytes())
        exported = Artifact("export", self.folder / "export", "model.onnx", "onnx", "1" * 64)
        spec = self._spec()
        backend = OrtBackend(ModelFiles(spoilt_bytes()))
        reference: Predictions = predict(backend, spec, bench.tensors, bench.splits.gate)
        court = Court(bench.tensors, bench.splits.gate, spec, reference, "0" * 64, 0.95, drift=GATES.drift)
        if self.refit:
            seen = predict(backend, spec, bench.tensors, bench.splits.calibration)
            court = replace(court, selection=Selection(bench.splits.calibration, seen, court.points))
        self.images.asked.clear()
        self.gate_cases = bench.splits.gate
        shippable = grow_branches(Graft(bench, ledger, court, exported, reference))
        self.stopped = ledger.gate_stopped
        return {node.name: node for node in ledger.nodes}, shippable

    def _target(self) -> TargetOptions:
        return TargetOptions(self.engine, ("int8",), must_be_faster=self.must_be_faster, smooth=self.smooth)

    def _ledger(self) -> Ledger:
        return Ledger(self.folder / "steps", self._reporter())

    def _reporter(self) -> ProgressReporter:
        return ProgressReporter(Console(file=self.said, width=200))

    def _spec(self) -> DetectorSpec:
        middle = float(probability(clear_images()[2]))
        preprocess = PreprocessSpec(size_px=graphs.SIZE_PX)
        return DetectorSpec(preprocess, OperatingPoints(middle, middle), (), Provenance("", "", "test", "1"))

    def _bench(self) -> Workbench:
        images, labels, _ = clear_images()
        cases = tuple(
            Case(f"case-{n}", f"patient-{n}", Path(), int(label), "hand") for n, label in enumerate(labels)
        )
        order = np.random.default_rng(0).permutation(len(cases))
        mixed = tuple(cases[n] for n in order)
        self.images = Images({case.case_id: image for case, image in zip(cases, images, strict=True)})
        fit, selection, gate = mixed[:FIT], mixed[FIT : FIT + SELECTION], mixed[FIT + SELECTION :]
        recipe = Recipe(
            "spoilt",
            targets=(self._target(),),
            gate=GATES,
            fallback=self.fallback,
        )
        return Workbench(
            recipe,
            self.folder,
            cast(Dataset, Data(cases=cases)),
            Splits(fit, selection, gate, ()),
            cast(TensorCache, self.images),
            self._reporter(),
        )


@pytest.fixture(autouse=True)
def always_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tiny network gains depends on the machine."""
    monkeypatch.setattr("compress.against_float.compare_speed", lambda *_: FAST)
    monkeypatch.setattr("compress.steps.compile_tensorrt.choose_library", lambda *_: None)


@dataclass(frozen=True)
class Mended:
    branch: Branch
    nodes: dict[str, NodeRecord]
    shippable: tuple[Shippable, ...]
    asked: tuple[str, ...]
    gate: set[str]


@cache
def _mended(engine: str, folder: Path) -> Mended:
    branch = Branch(folder / engine, engine)
    nodes, shippable = branch.grow()
    gate = {case.case_id for case in branch.gate_cases}
    return Mended(branch, nodes, shippable, tuple(branch.images.asked), gate)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mended")


@pytest.fixture(params=["onnxruntime", "openvino", "tensorrt"])
def mended(request: pytest.FixtureRequest, root: Path) -> Mended:
    return _mended(request.param, root)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Branch:
    """The finished branch of ONNX Runtime, to be grown again with other options."""
    made = _mended("onnxruntime", root)
    shutil.copytree(made.branch.folder, tmp_path / "run")
    return Branch(tmp_path / "run", "onnxruntime")


def test_the_mixed_engine_ships_in_the_place_of_the_plain_one(mended: Mended) -> None:
    engine = mended.branch.engine
    (item,) = mended.shippable
    assert (item.precision, item.artifact.step) == ("int8", f"{engine}/int8-mixed")
    assert mended.branch.stopped == ()
    assert mended.nodes[f"{engine}/int8-quantized"].status == "replaced"
    assert mended.nodes[f"{engine}/int8-quantized"].verdict["outcome"] != "pass"
    assert mended.nodes[f"{engine}/int8"].status == "replaced"
    mixed = mended.nodes[f"{engine}/int8-mixed"]
    assert (mixed.parent, mixed.kind, mixed.verdict["outcome"]) == (
        f"{engine}/int8-quantized",
        "compile",
        "pass",
    )


def test_the_verdict_says_which_look_it_was_and_what_led_to_it(mended: Mended) -> None:
    step = mended.branch.folder / "steps" / mended.branch.engine / "int8-mixed"
    verdict = json.loads((step / "gate" / "verdict.json").read_text())
    look = verdict["look"]
    assert (look["number"], look["confidence"], verdict["confidence"]) == (2, 0.975, 0.975)
    assert look["in_float"][0].removesuffix("/WithoutBiases") == SPOILT
    assert look["tries"][-1]["groups"] == look["in_float"]
    assert look["tries"][-1]["screen"]["outcome"] in ("pass", "inconclusive")
    assert "AUROC" in look["tries"][-1]["screen"]["losses"]


def test_the_search_never_sees_a_gate_patient_before_its_look(mended: Mended) -> None:
    others = [place for place, name in enumerate(mended.asked) if name not in mended.gate]
    first, last = others[0], others[-1]
    assert set(mended.asked[:first]) == mended.gate  # the plain INT8's look
    assert mended.gate.isdisjoint(mended.asked[first:last])
    assert set(mended.asked[last + 1 :]) == mended.gate


def test_nothing_is_tried_without_a_budget(copy: Branch) -> None:
    copy.fallback = FallbackOptions()
    nodes, shippable = copy.grow()
    assert (shippable, copy.stopped) == ((), ("onnxruntime/int8-quantized",))
    assert "onnxruntime/int8-mixed" not in nodes


def test_what_is_not_faster_than_float_does_not_ship_and_says_so(
    copy: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.against_float.compare_speed", lambda *_: SLOW)
    nodes, shippable = copy.grow()
    assert shippable == ()
    assert copy.stopped == ("onnxruntime/int8-quantized", "onnxruntime/int8-mixed")
    assert nodes["onnxruntime/int8-mixed"].status == "not faster"
    assert nodes["onnxruntime/int8-mixed"].verdict == {}
    assert "not shown to be faster" in nodes["onnxruntime/int8-quantized"].facts["fallback"]["why"]
    assert "not shown to be faster" in copy.said.getvalue()


def test_a_graph_that_smoothing_saves_needs_nothing_in_float(copy: Branch) -> None:
    copy.smooth = 0.5
    nodes, (item,) = copy.grow()
    assert nodes["onnxruntime/int8-quantized"].facts["smooth"]["inputs"] > 0
    assert item.artifact.step == "onnxruntime/int8"


def test_a_smoothed_graph_that_is_spoilt_all_the_same_is_mended_with_its_own_weights(
    copy: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUANTIZERS, "onnxruntime", _coarse)
    copy.smooth = 0.5
    _, (item,) = copy.grow()
    assert item.artifact.step == "onnxruntime/int8-mixed"
    assert item.artifact.facts["in_float"] == [SPOILT]


def _coarse(source: Path, folder: Path, *more: Any) -> StepOutput:
    """As the quantizer, but what the spoilt convolution reads is rounded to multiples of its range."""
    output = quantize_ort(source, folder, *more)
    model = onnx.load(str(folder / output.main))
    makers = {name: node for node in model.graph.node for name in node.output}
    reader = next(node for node in model.graph.node if node.name == SPOILT)
    pair = makers[reader.input[0]]
    (scale,) = (tensor for tensor in model.graph.initializer if tensor.name == pair.input[1])
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(255), scale.name))
    onnx.save(model, str(folder / output.main))
    return output


def test_a_mended_graph_has_thresholds_of_its_own_where_these_are_allowed(copy: Branch) -> None:
    copy.refit = True
    nodes, (item,) = copy.grow()
    assert item.artifact.step == "onnxruntime/int8-mixed"
    used = nodes["onnxruntime/int8-mixed"].verdict["operating_points"]
    assert used["refitted"] and item.own is not None
    assert used["candidate"] == vars(item.own.images)
    assert nodes["onnxruntime/int8-quantized"].verdict["operating_points"]["refitted"]


def test_what_need_not_be_faster_than_float_is_timed_and_ships(
    copy: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.against_float.compare_speed", lambda *_: SLOW)
    copy.must_be_faster = False
    nodes, (item,) = copy.grow()
    assert item.artifact.step == "onnxruntime/int8-mixed"
    speed = nodes["onnxruntime/int8-mixed"].facts["speed_against_float"]
    assert not speed["faster"] and not speed["stops"]


def test_a_gate_that_still_fails_ships_nothing(copy: Branch, monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = property(lambda ranking: tuple(item.group for item in reversed(ranking.damages)))
    monkeypatch.setattr(Ranking, "helpful", harmless)
    promise = staticmethod(lambda verdict: Screen(verdict.outcome, True, {}))
    monkeypatch.setattr(Screen, "of", promise)
    nodes, shippable = copy.grow()
    assert shippable == ()
    assert copy.stopped == ("onnxruntime/int8-quantized", "onnxruntime/int8-mixed")
    assert nodes["onnxruntime/int8-mixed"].verdict["look"]["number"] == 2
    assert nodes["onnxruntime/int8-quantized"].facts["fallback"]["in_float"] == []


def test_an_error_of_the_search_leaves_the_branch_stopped(
    copy: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the library fell over")

    monkeypatch.setattr("compress.fallback.run.open_mixer", broken)
    nodes, shippable = copy.grow()
    assert (shippable, copy.stopped) == ((), ("onnxruntime/int8-quantized",))
    assert "the library fell over" in nodes["onnxruntime/int8-quantized"].facts["fallback"]["why"]


def test_the_same_branch_again_gives_the_same_and_makes_nothing_anew(copy: Branch, root: Path) -> None:
    before = _mended("onnxruntime", root).nodes
    nodes, shippable = copy.grow()
    assert [item.artifact.step for item in shippable] == ["onnxruntime/int8-mixed"]
    assert all(node.reused for name, node in nodes.items() if name != "onnxruntime/int8")
    for name, node in nodes.items():
        assert (node.sha256, node.verdict) == (before[name].sha256, before[name].verdict)
        assert node.facts.get("fallback") == before[name].facts.get("fallback")
