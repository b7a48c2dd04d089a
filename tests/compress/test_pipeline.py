"""The whole tree on data that a tiny network learns: judged, released, self-tested, resumed, stopped."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import numpy_helper
from rich.console import Console

from compress.artifact import StepOutput
from compress.branches import branch_nodes
from compress.datasets.table import TableDataset
from compress.evaluate import EvaluateOptions, evaluate_bundle
from compress.evaluation_tables import evaluation_tables
from compress.faster import Speed
from compress.metrics import PLACE_TITLES
from compress.options.gate import NO_DRIFT_LIMITS, GateOptions, Margins
from compress.options.target import TargetOptions
from compress.pipeline import RunOptions, run_pipeline
from compress.progress import ProgressReporter
from compress.recipe import Recipe, load_recipe
from compress.record import NodeRecord, RunRecord
from compress.report import render
from compress.steps.quantize import QUANTIZERS, quantize_ort
from compress.trunk import trunk_nodes
from compress.zoo.options import ModelOptions
from runtime import selftest
from runtime.bundle import open_bundle
from runtime.errors import GateError, RecipeError, StepError
from runtime.trust import TrustStore, generate_key, save_private_key

from .easy_data import write_easy_data

pytestmark = pytest.mark.slow
RECIPE_FILE = Path(__file__).with_name("easy.toml")
RECIPE = load_recipe(RECIPE_FILE)
OTHER_BYTES_EACH_TIME = {"tensorrt/fp32", "tensorrt/int8"}
"""TensorRT's builder numbers inner values anew in every build; the graph it is given is the same."""
TIMED_OR_DATED = {"step.json", "nodes.json", "observed.json", "manifest.json", "manifest.sig"}
"""Seconds and memory of a step, its latency, and the date of a bundle."""


@dataclass(frozen=True)
class Made:
    """One finished run."""

    folder: Path
    data: Path
    key: Ed25519PrivateKey
    record: RunRecord

    def again(self, recipe: Recipe, folder: Path) -> RunRecord:
        """The recipe on the same data in another or the same folder."""
        return run_pipeline(recipe, RunOptions(folder, self.data, self.key), _quiet())

    @property
    def judged(self) -> list[NodeRecord]:
        """All but the statistics of features and what is only timed, which decide nothing about fractures."""
        return [node for node in self.record.nodes if node.kind not in ("statistics", "timed")]

    def node(self, name: str) -> NodeRecord:
        """By name."""
        return next(node for node in self.record.nodes if node.name == name)


def _quiet() -> ProgressReporter:
    return ProgressReporter(Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("pipeline")
    data, key = write_easy_data(root / "easy"), generate_key()
    record = run_pipeline(RECIPE, RunOptions(root / "run", data, key), _quiet())
    return Made(root / "run", data, key, record)


def test_every_node_is_made_judged_and_recorded(made: Made) -> None:
    names = [node.name for node in (*trunk_nodes(RECIPE), *branch_nodes(RECIPE))]
    assert [node.name for node in made.record.nodes if node.kind != "timed"] == names
    assert {node.kind for node in made.record.nodes if not node.verdict} == {"statistics", "timed"}
    for node in made.record.nodes:
        assert (made.folder / "steps" / node.name / "step.json").is_file()
    for node in made.judged:
        assert node.verdict["outcome"] == "pass", node.name
        written = json.loads((made.folder / "steps" / node.name / "gate" / "verdict.json").read_text())
        assert {"outcome", "checks", "flips"} <= set(written)


def test_an_evaluation_on_the_runs_own_data_is_over_its_test_patients_alone(made: Made) -> None:
    bundle, data = open_bundle(made.folder / "bundle", TrustStore.of(made.key)), TableDataset(made.data)
    splits = made.record.data["splits"]
    unseen = evaluate_bundle(bundle, data)
    assert unseen.data["images"] == splits["test"]["images"]
    assert unseen.left_out == {name: splits[name]["images"] for name in ("fit", "calibration", "gate")}
    every = evaluate_bundle(bundle, data, EvaluateOptions(include_seen=True))
    assert every.data["images"] == len(data.cases)
    assert every.left_out == {}
    assert (unseen.seen, every.seen) == ("left out", "included")
    assert "flatter" in "".join(item for item in evaluation_tables(every) if isinstance(item, str))


def test_the_boxes_shown_to_test_patients_are_in_the_record_and_on_the_card(made: Made) -> None:
    places, split = made.record.test["places"], made.record.data["splits"]["test"]
    healthy = split["images"] - split["fractured"]
    counts = {name: places[name]["n"] for name in PLACE_TITLES}
    assert counts == {"box": split["fractured"], "iou": split["fractured"], "false_boxes": healthy}
    assert places["iou"]["value"] > 0
    card = (made.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert all(f"| {title} | {places[name]['value']:.3f} [" in card for name, title in PLACE_TITLES.items())


def test_pruning_really_removed_work(made: Made) -> None:
    before, after = made.node("train").facts, made.node("finetune").facts
    assert after["macs"] <= 0.85 * before["macs"]
    assert after["parameters"] < before["parameters"]


def test_what_was_pruned_is_timed_in_turns_with_the_unpruned_engine_of_the_same_recipe(made: Made) -> None:
    for engine in ("onnxruntime", "openvino"):
        for precision in ("fp32", "int8"):
            speed = made.node(f"{engine}/{precision}").facts["speed"]
            assert speed["low"] <= speed["ratio"] <= speed["high"]
            assert min(speed["whole_ms"], speed["pruned_ms"]) > 0
            whole = made.node(f"{engine}/{precision}-whole")
            assert whole.kind == "timed"
            assert whole.size_bytes > made.node(f"{engine}/{precision}").size_bytes
    assert made.node("onnxruntime/int8-whole").parent == "onnxruntime/int8-quantized-whole"
    assert "not_measured" in made.node("tensorrt/int8").facts["speed"]


def test_a_pruned_engine_that_is_not_faster_is_reported_and_does_not_ship(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.folder, tmp_path / "run")
    slow = Speed(1.0, 1.1, 1.1, 1.05, 1.2, faster=False)
    fast = Speed(1.0, 0.5, 0.5, 0.4, 0.6, faster=True)
    monkeypatch.setattr(
        "compress.against_float.compare_speed",
        lambda whole, *_: slow if whole.name == "openvino" else fast,
    )
    strict = replace(RECIPE, prune=replace(RECIPE.prune, must_be_faster=True))
    with pytest.raises(GateError, match="gate not passed: openvino/fp32, openvino/int8"):
        made.again(strict, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    status = {node["name"]: node["status"] for node in record["nodes"]}
    assert status["openvino/int8"] == status["openvino/fp32"] == "not faster"
    assert status["onnxruntime/int8"] == "ok"
    shipped = open_bundle(tmp_path / "run" / "bundle", TrustStore.of(made.key)).manifest.engines
    assert {entry.engine for entry in shipped} & {"openvino", "onnxruntime"} == {"onnxruntime"}
    assert "not shown to be faster" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_an_int8_engine_that_is_not_faster_than_float_is_reported_and_does_not_ship(
    made: Made, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Speed(1.0, 1.1, 1.1, 1.05, 1.2, faster=False)
    fast = Speed(1.0, 0.5, 0.5, 0.4, 0.6, faster=True)
    monkeypatch.setattr(
        "compress.against_float.compare_speed",
        lambda before, *_: slow if before.name == "openvino" else fast,
    )
    strict = tuple(replace(target, must_be_faster=True) for target in RECIPE.targets)
    with pytest.raises(GateError, match=r"gate not passed: openvino/int8$"):
        made.again(replace(RECIPE, targets=strict), copy)
    nodes = _recorded(copy)
    assert nodes["openvino/int8"].status == "not faster"
    assert nodes["openvino/fp32"].status == nodes["onnxruntime/int8"].status == "ok"
    assert {"openvino-fp32", "onnxruntime-int8"} <= _engines(copy)
    assert "openvino-int8" not in _engines(copy)
    said = "INT8 did not pay here: 1.10 ms instead of 1.00 ms, 1.10 [1.05, 1.20] of the time"
    assert said in (copy / "report.html").read_text(encoding="utf-8")
    reused = {name for name, node in nodes.items() if node.kind == "quantize" and node.reused}
    assert reused >= {"openvino/int8-quantized", "onnxruntime/int8-quantized"}, "nothing is quantized anew"


def test_every_int8_engine_is_timed_in_turns_with_its_float_engine_where_it_can_run(made: Made) -> None:
    for engine in ("onnxruntime", "openvino"):
        speed = made.node(f"{engine}/int8").facts["speed_against_float"]
        assert speed["low"] <= speed["ratio"] <= speed["high"] and not speed["stops"]
        assert f"{engine}/int8-float" not in {node.name for node in made.record.nodes}
    assert "not_measured" in made.node("tensorrt/int8").facts["speed_against_float"]


def test_every_gate_looks_at_drift_and_fails_for_none_of_the_pruned_networks(made: Made) -> None:
    for node in made.judged:
        if node.name != "train":  # its verdict is about the recipe's floors
            limits = {check["metric"]: check["margin"] for check in node.verdict["drift"]}
            wanted = NO_DRIFT_LIMITS if node.kind == "prune" else RECIPE.gate.drift
            assert limits == asdict(wanted), node.name
            assert {check["outcome"] for check in node.verdict["drift"]} == {"noted"}, node.name


def test_float_formats_repeat_the_exported_logits(made: Made) -> None:
    for name in ("export", "onnxruntime/fp32", "openvino/fp32", "tensorrt/fp32"):
        parity = made.node(name).facts["gate_parity"]
        assert parity["outcome"] == "pass" and parity["n"] > 0, name


def test_the_layers_of_every_quantized_graph_are_compared_once_and_drawn(made: Made) -> None:
    quantized = [node for node in made.record.nodes if node.kind == "quantize"]
    assert quantized
    for node in quantized:
        assert node.facts["layer_parity"]["images"] == 16
        assert (made.folder / "steps" / node.name / "layers.json").is_file()
    assert 'id="layers"' in render(made.record)


def test_an_engine_that_cannot_run_here_says_what_was_run_in_its_place(made: Made) -> None:
    for node in made.judged:
        if node.engine != "tensorrt":
            assert not node.numerics_from and node.latency_ms["p50"] > 0, node.name
        elif node.numerics_from:
            assert ("Q/DQ" in node.numerics_from) == (node.precision == "int8") and not node.latency_ms


def test_the_bundle_opens_with_its_key_and_passes_its_own_golden_cases(made: Made) -> None:
    trust = TrustStore()
    trust.add(made.key.public_key())
    bundle = open_bundle(made.folder / "bundle", trust)
    assert bundle.digest == made.record.release["digest"]
    ran = [result for result in selftest.run(bundle) if result.engine in ("onnxruntime", "openvino")]
    assert len(ran) == 4 and all(result.passed for result in ran), ran
    assert {case.verdict for case in bundle.manifest.golden} >= {"fracture", "none"}
    assert len(bundle.manifest.gates) == len(made.judged)


def test_every_engine_of_a_release_looks_where_its_golden_cases_say_those_left_to_the_device_too(
    made: Made,
) -> None:
    bundle = open_bundle(made.folder / "bundle", TrustStore.of(made.key))
    tolerances = {entry.key: entry.map_tolerance for entry in bundle.manifest.engines}
    assert {"tensorrt_rtx-fp32", "tensorrt_rtx-int8"} < set(tolerances) and all(tolerances.values())
    for case in bundle.manifest.golden:
        assert set(case.maps) == set(tolerances)
    for result in selftest.run(bundle, keys=("onnxruntime-fp32", "openvino-int8")):
        assert result.reason == f"{RECIPE.release.golden_cases} golden cases answered as released"
        assert 0 < (result.worst_map_error or 0) < (tolerances[result.key] or 0)


def test_a_release_whose_maps_cannot_tell_a_wrong_place_says_so(
    made: Made, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.golden_maps.tells_places", lambda grids, tolerance: len(grids) == 0)
    said = io.StringIO()
    alone = replace(RECIPE, targets=RECIPE.targets[:1])
    run_pipeline(
        alone, RunOptions(copy, made.data, made.key), ProgressReporter(Console(file=said, width=200))
    )
    assert "no self-test checks where onnxruntime-fp32, onnxruntime-int8 looks" in said.getvalue()
    bundle = open_bundle(copy / "bundle", TrustStore.of(made.key))
    assert not any(case.maps for case in bundle.manifest.golden)
    (result,) = selftest.run(bundle, keys=("onnxruntime-int8",))
    assert result.passed and result.reason.endswith("the place of findings not among them")


def test_ages_and_views_of_a_recipe_are_in_the_bundle_and_on_the_card(made: Made, copy: Path) -> None:
    use = replace(RECIPE.release, ages_years=(18.0, 65.5), views=("frontal", "lateral"))
    made.again(replace(RECIPE, targets=RECIPE.targets[:1], release=use), copy)
    stated = open_bundle(copy / "bundle", TrustStore.of(made.key)).manifest.intended_use
    assert (stated.ages_years, stated.views) == ((18.0, 65.5), ("frontal", "lateral"))
    card = (copy / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "It is meant for: hand, leg; patients of 18 to 65.5 years; views: frontal, lateral." in card
    plain = open_bundle(made.folder / "bundle", TrustStore.of(made.key)).manifest.intended_use
    assert (plain.ages_years, plain.views) == (None, ())
    assert "It is meant for: hand, leg. " in (made.folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_golden_files_do_not_carry_the_names_of_their_cases(made: Made) -> None:
    trust = TrustStore()
    trust.add(made.key.public_key())
    files = open_bundle(made.folder / "bundle", trust).manifest.files
    assert not [name for name in files if "p0" in name or "p1" in name]


def test_an_unchanged_run_makes_nothing_again_and_says_the_same(made: Made) -> None:
    again = made.again(RECIPE, made.folder)
    assert all(node.reused for node in again.nodes)
    assert [node.sha256 for node in again.nodes] == [node.sha256 for node in made.record.nodes]
    assert [node.verdict for node in again.nodes] == [node.verdict for node in made.record.nodes]
    assert again.operating_points == made.record.operating_points
    assert again.release["digest"] == made.record.release["digest"]


def test_a_run_from_nothing_in_another_process_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    key, data = tmp_path / "key.pem", write_easy_data(tmp_path / "easy")
    save_private_key(made.key, key)
    options = [f"--recipe={RECIPE_FILE}", f"--data={data}", f"--key={key}", f"--out={tmp_path / 'run'}"]
    # Sets of words have another order in every process: a seed of its own makes sure that here too.
    done = subprocess.run(
        [sys.executable, "-m", "runtime.main", "run", *options],
        env=os.environ | {"PYTHONHASHSEED": "20"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    artifacts, others = _artifacts(made.folder), _artifacts(tmp_path / "run")
    assert set(artifacts) == set(others) >= {node.name for node in made.record.nodes}
    assert {name for name in artifacts if artifacts[name] != others[name]} <= OTHER_BYTES_EACH_TIME
    flagged = {node.name for node in made.record.nodes if not node.facts.get("reproducible", True)}
    assert flagged <= OTHER_BYTES_EACH_TIME
    assert _written(made.folder) == _written(tmp_path / "run")


def _artifacts(folder: Path) -> dict[str, str]:
    """sha256 of every step's artifact."""
    steps = folder / "steps"
    found = {path.parent: json.loads(path.read_text()) for path in steps.rglob("step.json")}
    return {path.relative_to(steps).as_posix(): step["artifact"]["sha256"] for path, step in found.items()}


def _written(folder: Path) -> dict[str, str]:
    """sha256 of what else the steps and the bundle consist of, but for what is timed or dated."""
    paths = [path for place in ("steps", "bundle") for path in (folder / place).rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.name not in TIMED_OR_DATED and path.suffix != ".engine"
    }


def test_a_gate_that_does_not_pass_stops_the_trunk_and_releases_nothing(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(made.folder, folder, ignore=shutil.ignore_patterns("bundle"))
    # Nobody can be shown to be better than himself by so much.
    strict = replace(RECIPE, gate=GateOptions(margins=Margins(auroc=-0.5)))
    with pytest.raises(GateError, match="gate not passed: train") as caught:
        made.again(strict, folder)
    assert caught.value.exit_code == 3
    record = RunRecord.from_json(json.loads((folder / "run.json").read_text()))
    assert [node.status for node in record.nodes] == ["stopped"] + ["not run"] * (len(record.nodes) - 1)
    assert json.loads((folder / "steps" / "train" / "gate" / "verdict.json").read_text())["outcome"] == "fail"
    assert not (folder / "bundle").exists() and (folder / "report.html").is_file()


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """The finished run in a folder of its own, to be harmed."""
    shutil.copytree(made.folder, tmp_path / "run")
    return tmp_path / "run"


def _recorded(folder: Path) -> dict[str, NodeRecord]:
    record = RunRecord.from_json(json.loads((folder / "run.json").read_text()))
    return {node.name: node for node in record.nodes}


def _engines(folder: Path) -> set[str]:
    return {path.name for path in (folder / "bundle" / "models").iterdir()}


def test_the_bundle_of_a_former_run_does_not_pass_for_one_that_released_nothing(
    made: Made, copy: Path
) -> None:
    with pytest.raises(GateError):
        made.again(replace(RECIPE, gate=GateOptions(margins=Margins(auroc=-0.5))), copy)
    assert not (copy / "bundle").exists() and (copy / "bundle.former").is_dir()


def test_a_quantizer_that_raises_anything_costs_the_other_branches_nothing(
    made: Made, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> StepOutput:
        raise TypeError("unhashable type: 'Tensor'")

    monkeypatch.setitem(QUANTIZERS, "openvino", broken)
    shutil.rmtree(copy / "steps" / "openvino")
    with pytest.raises(StepError, match="openvino/int8-quantized") as caught:
        made.again(RECIPE, copy)
    nodes = _recorded(copy)
    assert caught.value.exit_code == 1
    assert nodes["openvino/int8-quantized"].status == "failed"
    assert "TypeError" in nodes["openvino/int8-quantized"].facts["error"]
    assert nodes["openvino/int8"].status == "not run"
    assert _engines(copy) == _engines(made.folder) - {"openvino-int8"}


def test_a_graph_that_the_engine_would_misread_stops_its_branch_before_it_is_compiled(
    made: Made, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUANTIZERS, "tensorrt", quantize_ort)  # whose zero points are unsigned
    shutil.rmtree(copy / "steps" / "tensorrt")
    with pytest.raises(StepError, match="tensorrt/int8"):
        made.again(RECIPE, copy)
    nodes = _recorded(copy)
    assert nodes["tensorrt/int8-quantized"].verdict["outcome"] == "pass"
    stopped = nodes["tensorrt/int8"]
    assert stopped.status == "failed" and "UINT8, must be INT8" in stopped.facts["error"]
    assert "tensorrt-zero-point" in {finding["rule"] for finding in stopped.facts["lint"]}
    assert not (copy / "steps" / "tensorrt" / "int8" / "step.json").exists()
    assert not [name for name in _engines(copy) if name.startswith("tensorrt") and "int8" in name]
    assert nodes["tensorrt/fp32"].status == made.node("tensorrt/fp32").status


def test_halves_for_tensorrt_are_judged_by_their_typed_graph_and_ship(made: Made, copy: Path) -> None:
    targets = (TargetOptions("onnxruntime", ("fp32",)), TargetOptions("tensorrt", ("fp16",)))
    record = made.again(replace(RECIPE, targets=targets), copy)
    nodes = {node.name: node for node in record.nodes}
    halved, engine = nodes["tensorrt/fp16-halved"], nodes["tensorrt/fp16"]
    assert engine.parent == halved.name and engine.precision == "fp16"
    for node in (halved, engine):
        assert node.verdict["outcome"] == "pass"
        assert node.numerics_from
    assert any(name.startswith("tensorrt") and name.endswith("fp16") for name in _engines(copy))


def test_graphs_of_our_own_recipes_are_linted_and_clean(made: Made) -> None:
    compiled = [node for node in made.record.nodes if node.kind == "compile"]
    assert compiled and [node.facts["lint"] for node in compiled] == [[]] * len(compiled)


def test_too_few_calibration_images_are_an_error_and_not_a_silent_gap(
    made: Made, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.steps.calibration.MIN_IMAGES", 10_000)
    with pytest.raises(StepError, match="int8-quantized") as caught:
        made.again(RECIPE, copy)
    nodes = _recorded(copy)
    assert caught.value.exit_code == 1
    assert "at least 10000" in nodes["onnxruntime/int8-quantized"].facts["error"]
    assert _engines(copy) == {name for name in _engines(made.folder) if name.endswith("fp32")}


def test_a_model_that_answers_with_no_number_fails_its_gate_and_is_not_shipped(
    made: Made, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: Path, folder: Path, *_: object) -> StepOutput:
        model = onnx.load(str(source))
        for tensor in model.graph.initializer:
            tensor.raw_data = np.full_like(numpy_helper.to_array(tensor), np.nan).tobytes()
        onnx.save(model, str(folder / "model.onnx"))
        return StepOutput("model.onnx", "onnx")

    monkeypatch.setitem(QUANTIZERS, "onnxruntime", broken)
    shutil.rmtree(copy / "steps" / "onnxruntime")
    with pytest.raises(GateError, match="onnxruntime/int8-quantized") as caught:
        made.again(RECIPE, copy)
    verdict = json.loads((copy / "steps/onnxruntime/int8-quantized/gate/verdict.json").read_text())
    assert caught.value.exit_code == 3
    assert (verdict["outcome"], verdict["checks"][0]["metric"]) == ("fail", "answers")
    assert _recorded(copy)["onnxruntime/int8-quantized"].status == "stopped"
    assert _engines(copy) == _engines(made.folder) - {"onnxruntime-int8"}


@pytest.mark.parametrize("name", ["observed.json", "predictions.npz"])
def test_harmed_predictions_are_made_anew(made: Made, copy: Path, name: str) -> None:
    (copy / "steps" / "export" / "gate" / name).write_bytes(b"{")
    again = made.again(RECIPE, copy)
    assert all(node.reused for node in again.nodes)
    assert [node.verdict for node in again.nodes] == [node.verdict for node in made.record.nodes]


def test_a_folder_that_cannot_be_written_is_said_in_one_line(made: Made, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the run's folder should be")
    with pytest.raises(StepError, match="cannot write or read"):
        made.again(RECIPE, tmp_path / "run")


def test_an_impossible_network_is_refused_before_anything_is_computed(made: Made, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no network 'abacus'"):
        made.again(replace(RECIPE, model=ModelOptions("abacus")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_target_is_refused_before_anything_is_computed(made: Made, tmp_path: Path) -> None:
    recipe = replace(RECIPE, targets=(TargetOptions("abacus"),))
    with pytest.raises(RecipeError, match="no target 'abacus'"):
        made.again(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_report_shows_every_node_and_asks_nobody(made: Made) -> None:
    page = (made.folder / "report.html").read_text(encoding="utf-8")
    assert all(node.name in page for node in made.record.nodes)
    assert 'src="http' not in page and 'href="http' not in page


def test_what_the_gate_patients_can_show_is_said_before_anything_is_trained(made: Made) -> None:
    said = io.StringIO()
    options = RunOptions(made.folder, made.data, made.key)
    record = run_pipeline(RECIPE, options, ProgressReporter(Console(file=said, width=200)))
    words = said.getvalue()
    assert words.index("what the gate patients can show") < words.index(record.nodes[0].title)
    kept = json.loads((made.folder / "run.json").read_text())["power"]
    assert kept["conclusion"] in words
    assert [figure["margin"] for figure in kept["figures"]] == [0.2, 0.8, 0.8]
    assert "What these patients can show" in (made.folder / "report.html").read_text()


@pytest.mark.parametrize("missing", ["openvino", "nncf"])
def test_a_missing_toolchain_does_not_keep_the_pipeline_from_starting(missing: str) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None; import compress.pipeline"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
