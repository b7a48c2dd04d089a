"""The step: one graph with every network's doors, that answers as scikit-learn does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from compress.artifact import StepOutput, digest_files
from compress.classical.engines import refusal
from compress.classical.fit import fit_scale
from compress.classical.options import NAMES, ClassicalOptions
from compress.classical.train import MODEL_FILE, train_classical
from compress.predictions import sigmoid
from compress.training.data import LabelledTensors, TrainData
from compress.training.history import auroc
from runtime.backends.base import LOGIT_NAME, MAP_NAME, Backend, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.detector import Detector, DetectorSpec
from runtime.errors import StepError
from runtime.findings import OperatingPoints, Provenance, Verdict
from runtime.radiograph import Radiograph
from tests.bundles import radiograph_pixels
from tests.compress.networks import spot_data, spots

SIDE = 48
CELLS = SIDE // 8
SMALL = ClassicalOptions(words=12, trees=12, depth=3, learning_rate=0.3, regularisation=0.01)
KINDS = [(name, "ml") for name in NAMES] + [("random_forest", "standard"), ("gradient_boosting", "standard")]


def options(name: str, operators: str) -> ClassicalOptions:
    return replace(SMALL, name=name, operators=operators)


@pytest.fixture(scope="module")
def data() -> TrainData:
    return spot_data(64, 32, SIDE)


@pytest.fixture(scope="module")
def trained(
    data: TrainData, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], tuple[Path, StepOutput]]:
    made = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp("_".join(kind))
        output = train_classical(options(*kind), data, 5, folder)
        made[kind] = (folder / output.main, output)
    return made


def opened(path: Path) -> Backend:
    return OrtBackend(ModelFiles(path.read_bytes()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_doors_are_those_of_every_network(trained, kind) -> None:
    path, output = trained[kind]
    backend = opened(path)
    assert (output.main, output.format) == (MODEL_FILE, "onnx")
    assert [(port.name, port.shape) for port in backend.inputs] == [("image", (None, 1, SIDE, SIDE))]
    assert {port.name: port.shape for port in backend.outputs} == {
        "logit": (None, 1),
        "map": (None, 1, CELLS, CELLS),
    }
    onnx.checker.check_model(onnx.load(path), full_check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_side_of_no_whole_number_of_cells_learns_and_is_run_as_well(kind, tmp_path: Path) -> None:
    output = train_classical(options(*kind), spot_data(64, 32, 50), 5, tmp_path)
    unseen = spots(40, 50, 3)
    answers = opened(tmp_path / output.main).infer({"image": unseen.tensors})
    assert answers[MAP_NAME].shape == (40, 1, 7, 7)
    assert auroc(answers[LOGIT_NAME][:, 0], unseen.labels) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_answers_as_scikit_learn_does(trained, kind) -> None:
    parity = trained[kind][1].facts["parity"]
    assert parity["images"] == 32
    assert parity["probability"] < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_images_are_ranked_and_the_map_peaks_in_the_fracture(trained, kind) -> None:
    unseen = spots(24, SIDE, seed=77)
    outputs = opened(trained[kind][0]).infer({"image": unseen.tensors})
    assert auroc(outputs[LOGIT_NAME][:, 0], unseen.labels) > 0.9
    fractured = np.flatnonzero(unseen.labels)
    touched = unseen.masks.reshape(24, CELLS, 2, CELLS, 2).max(axis=(2, 4)).reshape(24, -1)
    hits = [touched[i, outputs[MAP_NAME][i, 0].argmax()] for i in fractured]
    # What is learned from boxes finds them better than a map that only explains the answer.
    assert np.mean(hits) >= (0.4 if kind[0] == "logistic_regression" else 0.7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_the_map_is_the_logit_in_any_batch(trained, kind) -> None:
    backend, images = opened(trained[kind][0]), spots(5, SIDE, seed=78).tensors
    together = backend.infer({"image": images})
    np.testing.assert_allclose(together[MAP_NAME].mean(axis=(2, 3)), together[LOGIT_NAME], atol=1e-4)
    for number in range(5):
        alone = backend.infer({"image": images[number : number + 1]})
        np.testing.assert_allclose(alone[LOGIT_NAME][0], together[LOGIT_NAME][number], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_an_even_plane_gets_a_finite_answer(trained, kind, value: float) -> None:
    outputs = opened(trained[kind][0]).infer({"image": np.full((1, 1, SIDE, SIDE), value, np.float32)})
    assert np.isfinite(outputs[LOGIT_NAME]).all()
    assert np.isfinite(outputs[MAP_NAME]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_runtimes_detector_reads_a_radiograph_with_it(trained, data: TrainData, kind) -> None:
    spec = DetectorSpec(
        preprocess=data.preprocess,
        operating_points=OperatingPoints(high_sensitivity=0.3, high_specificity=0.7),
        body_parts=("hand",),
        provenance=Provenance("", "b" * 64, "classical", "1.0", "onnxruntime", "fp32", "cpu", "m" * 64),
    )
    radiograph = Radiograph(radiograph_pixels(fractured=True), 12, "0" * 64)
    with Detector(opened(trained[kind][0]), spec) as detector:
        findings = detector.detect(radiograph)
    assert findings.verdict is not Verdict.UNREADABLE
    assert findings.probability is not None
    assert findings.evidence is not None


def test_both_ways_of_writing_trees_give_the_same_answers(trained) -> None:
    images = spots(8, SIDE, seed=79).tensors
    for name in ("random_forest", "gradient_boosting"):
        ml, standard = (opened(trained[name, way][0]).infer({"image": images}) for way in ("ml", "standard"))
        np.testing.assert_allclose(ml[LOGIT_NAME], standard[LOGIT_NAME], atol=2e-3)
        np.testing.assert_allclose(ml[MAP_NAME], standard[MAP_NAME], atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_openvino_runs_every_graph_of_standard_operators_and_says_why_not_the_others(trained, kind) -> None:
    pytest.importorskip("openvino")
    said = refusal("openvino", trained[kind][0])
    if kind[1] == "ml" and kind[0] in ("random_forest", "gradient_boosting"):
        assert "TreeEnsembleClassifier" in said
        assert "openvino cannot read" in said
    else:
        assert said == ""


def test_onnx_runtime_compiles_trees_in_operators_of_its_own_and_tensorrt_names_them(trained) -> None:
    path = trained["random_forest", "ml"][0]
    assert refusal("onnxruntime", path) == ""
    assert "TreeEnsembleClassifier" in refusal("tensorrt", path)


@pytest.mark.parametrize("kind", [("kmeans", "ml"), ("random_forest", "standard")])
def test_tensorrt_for_rtx_builds_graphs_of_standard_operators(trained, kind) -> None:
    pytest.importorskip("tensorrt_rtx")
    assert refusal("tensorrt", trained[kind][0]) == ""


def test_an_engine_that_does_not_exist_is_refused(trained) -> None:
    with pytest.raises(StepError, match="no target 'tvm'"):
        refusal("tvm", trained["kmeans", "ml"][0])


@pytest.mark.parametrize("kind", [("kmeans", "ml"), ("gradient_boosting", "ml")])
def test_the_same_seed_gives_the_same_bytes(trained, data: TrainData, tmp_path: Path, kind) -> None:
    train_classical(options(*kind), data, 5, tmp_path)
    first, again = (digest_files((path,)) for path in (trained[kind][0], tmp_path / MODEL_FILE))
    assert first == again


def test_facts_say_what_was_fitted_and_progress_reaches_its_end(data: TrainData, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    output = train_classical(
        replace(SMALL, name="random_forest", features=("lbp", "hog")),
        data,
        5,
        tmp_path,
        lambda done, total: seen.append((done, total)),
    )
    facts = output.facts
    assert facts["features"] == {"lbp": 20, "hog": 81}
    assert facts["vector"] == 21 * 2 * (20 + 9) + 4
    assert facts["trees"] == SMALL.trees
    assert facts["tree_depth"] <= SMALL.depth
    assert facts["images"] == {"fit": 64, "calibration": 32}
    assert facts["size_bytes"] == (tmp_path / MODEL_FILE).stat().st_size
    assert facts["calibration_auroc"] > 0.6
    assert seen[-1] == (160, 160)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_nothing_but_the_graph_is_left_behind(data: TrainData, tmp_path: Path) -> None:
    train_classical(options("logistic_regression", "ml"), data, 5, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MODEL_FILE]


def test_boxes_are_not_needed(data: TrainData, tmp_path: Path) -> None:
    bare = LabelledTensors(data.fit.tensors, data.fit.labels, np.zeros_like(data.fit.masks))
    output = train_classical(options("kmeans", "ml"), replace(data, fit=bare), 5, tmp_path)
    assert output.facts["calibration_auroc"] > 0.9


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("part", ["fit", "calibration"])
def test_a_set_of_one_class_is_refused(data: TrainData, tmp_path: Path, part: str, label: float) -> None:
    whole = getattr(data, part)
    one_sided = LabelledTensors(whole.tensors, np.full_like(whole.labels, label), whole.masks)
    with pytest.raises(StepError, match=f"the {part} set must hold fractured and healthy"):
        train_classical(SMALL, replace(data, **{part: one_sided}), 5, tmp_path)
    assert not (tmp_path / MODEL_FILE).exists()


def test_the_scale_brings_weighted_scores_back_to_the_share_of_fractures() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(4000) < 0.2).astype(np.float32)
    scores = 3 * (labels + rng.normal(0, 0.8, 4000) + 2)
    scale = fit_scale(scores, labels)
    assert sigmoid(scale.apply(scores)).mean() == pytest.approx(labels.mean(), abs=0.005)


def test_perfectly_separated_calibration_patients_give_a_finite_scale() -> None:
    labels = np.repeat([0, 1], 20).astype(np.float32)
    scale = fit_scale(labels.astype(float) * 2 - 1, labels)
    assert 0.94 < float(sigmoid(scale.apply(np.array([1.0])))[0]) < 0.98


def test_a_model_that_ranks_the_wrong_way_round_is_refused() -> None:
    labels = np.repeat([0, 1], 20).astype(np.float32)
    with pytest.raises(StepError, match="does not mean a fracture"):
        fit_scale(-labels.astype(float), labels)
