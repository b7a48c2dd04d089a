"""Training with facts of patients: the same images as without, some facts withheld, the same after a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from compress.metadata import Fusion
from compress.steps.train import NETWORK_FILE, finetune_network
from compress.training.batches import Batch, BatchSource
from compress.training.course import plan_course
from compress.training.data import LabelledTensors, TrainData
from compress.training.loop import TrainRun, predict
from compress.training.options import AugmentOptions, AverageOptions, TrainOptions
from compress.training.processes import ALONE, Processes
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network
from compress.zoo.fused import fuse
from runtime.errors import StepError
from runtime.metadata import MetadataSpec
from tests.compress.networks import random_network, spot_data

SEX = MetadataSpec(("sex",))
OPTIONS = TrainOptions(epochs=2, batch_size=16, learning_rate=5e-3)


def informed(data: TrainData, withhold: float = 0.3) -> TrainData:
    """The data, where the sex says what the picture does."""

    def told(part: LabelledTensors) -> LabelledTensors:
        return replace(part, metadata=np.stack([part.labels, 1 - part.labels], axis=1))

    return replace(
        data, fit=told(data.fit), calibration=told(data.calibration), fusion=Fusion(SEX, 0.0, withhold)
    )


def batches(data: TrainData, options: TrainOptions, processes: Processes = ALONE) -> list[Batch]:
    course = plan_course(options, len(data.fit))
    return list(BatchSource(data, options, course, processes).epoch(0, Generator().manual_seed(5)))


def test_with_facts_or_without_the_images_of_a_batch_are_the_same() -> None:
    plain = spot_data(48, 16)
    for alone, told in zip(batches(plain, OPTIONS), batches(informed(plain), OPTIONS), strict=True):
        assert torch.equal(alone.images, told.images) and torch.equal(alone.labels, told.labels)
        assert alone.metadata is None and told.metadata is not None
        known = told.metadata.any(dim=1)
        assert torch.equal(told.metadata[known, 0], told.labels[known])


def test_two_processes_withhold_what_one_would() -> None:
    data = informed(spot_data(48, 16))
    whole = batches(data, OPTIONS)
    shares = [batches(data, OPTIONS, Processes(rank, 2)) for rank in (0, 1)]
    for number, batch in enumerate(whole):
        joined = torch.cat([share[number].metadata for share in shares])  # type: ignore[misc]
        assert torch.equal(joined, batch.metadata)  # type: ignore[arg-type]


def test_windows_are_learned_from_without_facts() -> None:
    options = replace(OPTIONS, epochs=0, crop_epochs=1)
    made = batches(informed(spot_data(48, 16)), options)
    assert made and all(batch.metadata is None for batch in made)


def _trained(folder: Path, data: TrainData, options: TrainOptions = OPTIONS) -> FractureNet:
    network = random_network("cnn", 48, 1, width=0.5)
    finetune_network(network, data, options, TrainRun(folder, seed=3))
    return load_network(folder / NETWORK_FILE)


def test_a_network_learns_to_heed_facts_and_still_answers_without(tmp_path: Path) -> None:
    data = informed(spot_data(96, 48))
    network = _trained(tmp_path, data, replace(OPTIONS, epochs=6))
    assert network.metadata == SEX
    told = predict(network, data.calibration)
    silent = predict(network, replace(data.calibration, metadata=None))
    ill = data.calibration.labels == 1
    assert told[ill].min() > told[~ill].max()
    assert np.isfinite(silent).all() and silent[ill].mean() > silent[~ill].mean()
    turned = replace(data.calibration, metadata=1 - data.calibration.metadata)  # type: ignore[operator]
    assert predict(network, turned)[ill].mean() < told[ill].mean()


def test_averages_of_weights_are_judged_with_facts(tmp_path: Path) -> None:
    data = informed(spot_data(48, 16))
    for kind in ("ema", "swa"):
        options = replace(OPTIONS, average=AverageOptions(kind, swa_epochs=1))
        (tmp_path / kind).mkdir()
        assert _trained(tmp_path / kind, data, options).metadata == SEX


def test_a_student_follows_a_teacher_that_takes_facts_and_one_that_does_not(tmp_path: Path) -> None:
    data = informed(spot_data(48, 16))
    teachers = [_trained(tmp_path, data), random_network("cnn", 48, 2, width=0.5)]
    options = replace(OPTIONS, distill_weight=0.5, augment=AugmentOptions(noise=0.0))
    (tmp_path / "student").mkdir()
    student = random_network("cnn", 48, 4, width=0.5)
    made = finetune_network(student, data, options, TrainRun(tmp_path / "student", 1, teacher=teachers))
    assert "logit_match" in made.facts
    assert load_network(tmp_path / "student" / NETWORK_FILE).metadata == SEX


@pytest.mark.parametrize("taken", [MetadataSpec(("age",)), MetadataSpec(("age", "sex"))])
@pytest.mark.parametrize("weight", [0.0, 0.5])  # at 0 only the scale of its logits is followed
def test_a_teacher_that_takes_other_facts_is_refused(
    tmp_path: Path, taken: MetadataSpec, weight: float
) -> None:
    teachers = [random_network("cnn", 48, 2, width=0.5), fuse(random_network("cnn", 48, 3, width=0.5), taken)]
    run = TrainRun(tmp_path, 1, teacher=teachers)
    options = replace(OPTIONS, distill_weight=weight)
    with pytest.raises(StepError, match=r"a teacher takes age.*, recipe and data give sex"):
        finetune_network(random_network("cnn", 48, 4, width=0.5), informed(spot_data(48, 16)), options, run)
    assert not list(tmp_path.iterdir())


def test_a_teacher_that_takes_facts_is_refused_where_the_data_hold_none(tmp_path: Path) -> None:
    run = TrainRun(tmp_path, 1, teacher=fuse(random_network("cnn", 48, 2, width=0.5), SEX))
    with pytest.raises(StepError, match="recipe and data give no facts of the patient"):
        finetune_network(random_network("cnn", 48, 4, width=0.5), spot_data(48, 16), OPTIONS, run)
