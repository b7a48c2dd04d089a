"""What quantization-aware training does to a network that INT8 spoils."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compress.anomaly import SeenFeatures, fit_statistics
from compress.artifact import StepOutput
from compress.options.target import TargetOptions
from compress.qat.options import QatOptions
from compress.qat.simulate import Grid
from compress.qat.teach import teach
from compress.steps.calibration import CalibrationData
from compress.steps.export_onnx import to_onnx
from compress.steps.quantize_ort import quantize_ort
from compress.training.data import LabelledTensors, TrainData
from compress.training.loop import TrainRun, predict
from compress.training.state import STATE_FILE
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network
from compress.zoo.watched import WatchedNet
from runtime.anomaly import FeatureStatistics
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError
from tests.compress.qat.spoilt import AS_THEY_ARE, data, images, spoilt_network

OPTIONS = QatOptions(epochs=5, batch_size=16, learning_rate=3e-4, augment=AS_THEY_ARE)
SHORT = QatOptions(epochs=2, batch_size=32, learning_rate=3e-4, augment=AS_THEY_ARE)
GRID = Grid(symmetric=False)
NEW = images(64, seed=5)
"""Of patients that neither training nor calibration has seen."""


class KilledError(Exception):
    """Stands for the power going off in the middle of a batch."""


@dataclass(frozen=True)
class Answers:
    """Of an INT8 graph for the new patients: logits (N,), maps (N, h, w)."""

    logits: NDArray[np.float32]
    maps: NDArray[np.float32]


def quantized(network: FractureNet, folder: Path) -> Answers:
    """By ONNX Runtime's own recipe, on fit images."""
    folder.mkdir()
    source = folder / "float.onnx"
    source.write_bytes(to_onnx(network).SerializeToString())
    fit = data().fit.tensors[:64]
    calibration = CalibrationData(fit, tuple(map(str, range(len(fit)))))
    output = quantize_ort(source, folder, calibration, TargetOptions("onnxruntime"), reduce_range=False)
    backend = OrtBackend(ModelFiles((folder / output.main).read_bytes()))
    answers = [backend.infer({"image": image[None]}) for image in NEW.tensors]
    return Answers(
        np.concatenate([answer["logit"][:, 0] for answer in answers]),
        np.concatenate([answer["map"][:, 0] for answer in answers]),
    )


@functools.cache
def statistics() -> FeatureStatistics:
    """What tells strange pictures, of the network before its outlier was planted."""
    fit, calibration = (
        SeenFeatures(features(spoilt_network(1.0), images), np.full(len(images), "hand"))
        for images in (data().fit, data().calibration)
    )
    return fit_statistics(fit, calibration, 0.99)


def features(network: FractureNet, images: LabelledTensors) -> NDArray[np.float32]:
    """(N, F) as the exported graph gives them."""
    with torch.no_grad():
        found: torch.Tensor = WatchedNet(network)(torch.from_numpy(np.asarray(images.tensors)))[2]
    return found.numpy()


def way_of_features(folder: Path, weight: float) -> float:
    """How far those of new patients have moved after a training at a rate too high for them; 1 is unusual."""
    options = replace(SHORT, learning_rate=1e-3, batch_size=16, features_weight=weight)
    folder.mkdir()
    run = TrainRun(folder, 3, spoilt_network(1.0))
    output = teach(spoilt_network(1.0), data(), options, GRID, run, statistics())
    apart = features(load_network(folder / output.main), NEW) - features(spoilt_network(1.0), NEW)
    return float(np.median(np.linalg.norm(apart @ statistics().whitening.T, axis=1)))


def taught(folder: Path, options: QatOptions, kill_at: int = 0, on: TrainData | None = None) -> StepOutput:
    def advance(done: int, total: int) -> None:
        if done == kill_at:
            raise KilledError

    folder.mkdir(exist_ok=True)
    run = TrainRun(folder, 3, spoilt_network(), advance)
    return teach(spoilt_network(), on or data(), options, GRID, run, statistics())


def test_int8_of_the_taught_network_is_nearer_to_the_original_than_plain_int8(tmp_path: Path) -> None:
    original = spoilt_network()
    wanted = predict(original, NEW)
    with torch.no_grad():
        wanted_maps = original(torch.from_numpy(np.asarray(NEW.tensors)))[1][:, 0].numpy()
    output = taught(tmp_path / "qat", OPTIONS)
    network = load_network(tmp_path / "qat" / output.main)
    before, after = quantized(original, tmp_path / "plain"), quantized(network, tmp_path / "taught")
    assert np.mean((after.logits - wanted) ** 2) < 0.5 * np.mean((before.logits - wanted) ** 2)
    assert np.mean((after.maps - wanted_maps) ** 2) < np.mean((before.maps - wanted_maps) ** 2)


def test_features_stay_where_statistics_look_for_them(tmp_path: Path) -> None:
    loose, held = way_of_features(tmp_path / "loose", 0.0), way_of_features(tmp_path / "held", 10.0)
    assert 0 < held < 0.7 * loose


def test_a_killed_training_is_not_gone_on_with_at_another_weight_of_features(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        taught(tmp_path / "qat", SHORT, kill_at=6)
    other = replace(SHORT, features_weight=0.0)
    resumed, whole = taught(tmp_path / "qat", other), taught(tmp_path / "whole", other)
    found, wanted = (one.facts["history"]["loss"] for one in (resumed, whole))
    assert found == wanted


def test_what_is_written_is_a_plain_float_network_with_its_history(tmp_path: Path) -> None:
    output = taught(tmp_path / "qat", SHORT)
    network = load_network(tmp_path / "qat" / output.main)
    assert list(network.state_dict()) == list(spoilt_network().state_dict())
    assert len(output.facts["history"]["loss"]) == SHORT.epochs
    assert output.facts["grid"] == {"symmetric": False, "weight_bits": 8}
    assert output.facts["rounded_layers"] > 0
    assert not (tmp_path / "qat" / STATE_FILE).exists()


@pytest.mark.parametrize("batch", [2, 6])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, batch: int) -> None:
    whole = taught(tmp_path / "whole", SHORT)
    with pytest.raises(KilledError):
        taught(tmp_path / "resumed", SHORT, kill_at=batch)
    torch.manual_seed(99)  # whatever the new process drew before
    resumed = taught(tmp_path / "resumed", SHORT)
    expected, found = (
        load_network(tmp_path / name / output.main).state_dict()
        for name, output in (("whole", whole), ("resumed", resumed))
    )
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_only_fit_patients_teach(tmp_path: Path) -> None:
    """Other calibration patients give another scale of the head and nothing else."""
    states = []
    for seed in (2, 8):
        output = taught(tmp_path / str(seed), SHORT, on=data(calibration_seed=seed))
        states.append(load_network(tmp_path / str(seed) / output.main).features.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_the_original_checkpoint_is_not_changed_by_teaching(tmp_path: Path) -> None:
    teacher = spoilt_network()
    before = copy.deepcopy(teacher.state_dict())
    teach(spoilt_network(), data(), SHORT, GRID, TrainRun(tmp_path, 3, teacher))
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_without_a_teacher_nothing_is_trained(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="follows the original checkpoint"):
        teach(spoilt_network(), data(), SHORT, GRID, TrainRun(tmp_path, 3))
