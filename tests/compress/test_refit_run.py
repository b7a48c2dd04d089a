"""A run whose INT8 engine answers higher than the original: with thresholds of its own it ships, else not."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jsonschema import Draft202012Validator
from onnx import helper, numpy_helper
from rich.console import Console

from compress.artifact import StepOutput
from compress.datasets.table import TableDataset
from compress.evaluate import EvaluateOptions, evaluate_bundle
from compress.evaluation_tables import evaluation_tables
from compress.improve.parent import Parent
from compress.options.anomaly import AnomalyOptions
from compress.options.gate import NO_DRIFT_LIMITS, Margins
from compress.options.operating_points import OperatingPointOptions
from compress.options.prune import PruneOptions
from compress.options.target import TargetOptions
from compress.pipeline import RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import load_recipe
from compress.record import NodeRecord, RunRecord
from compress.report.evaluation import render_evaluation
from compress.report.gallery import Gallery
from compress.report.schema import run_schema
from compress.seen import NOTHING_SEEN
from compress.steps.quantize import QUANTIZERS
from runtime import selftest
from runtime.backends.base import LOGIT_NAME
from runtime.bundle import Bundle, open_bundle
from runtime.errors import GateError
from runtime.findings import OperatingPoints
from runtime.trust import TrustStore, generate_key

from .easy_data import write_easy_data

pytestmark = pytest.mark.slow
RAISED_BY = 12.0
_EASY = load_recipe(Path(__file__).with_name("easy.toml"))
RECIPE = replace(
    _EASY,
    prune=PruneOptions(ratio=0),
    anomaly=AnomalyOptions(quantile=0.0),
    targets=(TargetOptions("onnxruntime", must_be_faster=False),),
    gate=replace(_EASY.gate, margins=Margins(0.2, 0.4, 0.4), drift=NO_DRIFT_LIMITS),
    operating_points=OperatingPointOptions(refit=True),
)
INT8 = "onnxruntime-int8"


def _raise(source: Path, folder: Path, *_: object) -> StepOutput:
    """The same network, all of whose logits lie higher."""
    model = onnx.load(str(source))
    maker = next(node for node in model.graph.node if LOGIT_NAME in node.output)
    maker.output[list(maker.output).index(LOGIT_NAME)] = "plain_logit"
    model.graph.node.append(helper.make_node("Add", ["plain_logit", "raise"], [LOGIT_NAME], name="raised"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(RAISED_BY, np.float32), "raise"))
    onnx.save(model, str(folder / "model.onnx"))
    return StepOutput("model.onnx", "onnx")


@dataclass(frozen=True)
class Made:
    """A finished run."""

    folder: Path
    data: Path
    key: Ed25519PrivateKey
    record: RunRecord

    @property
    def bundle(self) -> Bundle:
        return open_bundle(self.folder / "bundle", TrustStore.of(self.key))

    @property
    def own(self) -> OperatingPoints:
        """What the bundle says of the INT8 engine."""
        found = self.bundle.entry(INT8).operating_points
        assert found is not None
        return found

    def node(self, name: str) -> NodeRecord:
        return next(node for node in self.record.nodes if node.name == name)


def _quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("refit")
    data, key = write_easy_data(root / "easy", patients=180), generate_key()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(QUANTIZERS, "onnxruntime", _raise)
        record = run_pipeline(RECIPE, RunOptions(root / "run", data, key), _quiet())
    return Made(root / "run", data, key, record)


def test_only_what_was_compressed_gets_thresholds_of_its_own(made: Made) -> None:
    refitted = {node.name for node in made.record.nodes if node.verdict.get("operating_points")}
    assert refitted == {"onnxruntime/int8-quantized", "onnxruntime/int8"}
    assert made.bundle.entry("onnxruntime-fp32").operating_points is None
    used = made.node("onnxruntime/int8").verdict["operating_points"]
    assert used["refitted"] and used["candidate"] == vars(made.own)
    assert used["reference"] == made.record.operating_points
    logits = [np.log(chance / (1 - chance)) for chance in (*vars(made.own).values(),)]
    locked = [np.log(chance / (1 - chance)) for chance in made.record.operating_points.values()]
    assert logits == pytest.approx([logit + RAISED_BY for logit in locked], abs=0.05)


def test_the_record_is_as_published_and_the_bundle_says_it_of_each_gate(made: Made) -> None:
    table = json.loads((made.folder / "run.json").read_text(encoding="utf-8"))
    assert not list(Draft202012Validator(run_schema()).iter_errors(table))
    gates = {gate["node"]: gate for gate in made.bundle.manifest.gates}
    assert gates["onnxruntime/int8"]["operating_points"]["candidate"] == vars(made.own)
    assert "operating_points" not in gates["onnxruntime/fp32"]


def test_golden_cases_are_answered_by_each_engine_at_its_own_thresholds(made: Made) -> None:
    results = {result.key: result for result in selftest.run(made.bundle)}
    assert results[INT8].passed and results["onnxruntime-fp32"].passed
    assert made.bundle.entry(INT8).logit_tolerance < 1.0


def test_an_evaluation_is_at_the_thresholds_in_use_and_says_whose(made: Made) -> None:
    data = TableDataset(made.data)
    plain = evaluate_bundle(made.bundle, data, EvaluateOptions(engine="onnxruntime-fp32"))
    moved = evaluate_bundle(made.bundle, data, EvaluateOptions(engine=INT8))
    assert moved.operating_points == made.own
    assert vars(plain.operating_points) == made.record.operating_points
    assert moved.verdicts == plain.verdicts
    assert moved.bundle["thresholds"] == "the engine's own, re-fitted" and "thresholds" not in plain.bundle
    said = "Thresholds: the engine's own, re-fitted."
    assert said in list(evaluation_tables(moved)) and said not in list(evaluation_tables(plain))
    assert "(the engine&#39;s own, re-fitted)" in render_evaluation(moved, Gallery((), (), 0, 0))


def test_final_figures_are_at_the_thresholds_that_ship(made: Made) -> None:
    test, entry = made.record.test, made.bundle.entry(made.record.test["engine"])
    used = made.bundle.manifest.points_of(entry)
    assert {name: point["threshold"] for name, point in test["points"].items()} == vars(used)
    assert ("operating_points" in test) is (entry.operating_points is not None)


def test_a_person_who_reads_report_or_card_sees_them(made: Made) -> None:
    words = f"high-sensitivity point {made.own.high_sensitivity:.4f} in place of "
    report = (made.folder / "report.html").read_text(encoding="utf-8")
    assert words in report
    assert "re-fitted for onnxruntime/int8-quantized, onnxruntime/int8; see each step" in report
    card = (made.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- onnxruntime/int8: its own, re-fitted on " in card and words in card


def test_a_model_that_goes_on_learning_begins_at_the_thresholds_of_its_float_graph(made: Made) -> None:
    manifest = made.bundle.manifest
    points = OperatingPoints(0.2, 0.6)
    engines = tuple(
        replace(entry, operating_points=points) if entry.precision == "fp32" else entry
        for entry in manifest.engines
    )
    bundle = replace(made.bundle, manifest=replace(manifest, engines=engines))
    parent = Parent(bundle, RECIPE, NOTHING_SEEN, b"")
    assert parent.operating_points == points
    assert Parent(made.bundle, RECIPE, NOTHING_SEEN, b"").operating_points == manifest.operating_points
    assert parent.examination == manifest.examination


def test_without_own_thresholds_the_same_engine_does_not_ship(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUANTIZERS, "onnxruntime", _raise)
    locked = replace(RECIPE, operating_points=OperatingPointOptions())
    copy = made.folder.with_name("locked")
    shutil.copytree(made.folder, copy)
    with pytest.raises(GateError, match="onnxruntime/int8-quantized"):
        run_pipeline(locked, RunOptions(copy, made.data, made.key), _quiet())
    bundle = open_bundle(copy / "bundle", TrustStore.of(made.key))
    assert [entry.key for entry in bundle.manifest.engines] == ["onnxruntime-fp32"]
    assert b"examination_points" not in (copy / "bundle" / "manifest.json").read_bytes()
    record = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    assert all("operating_points" not in node["verdict"] for node in record["nodes"])
