"""Training on a task that can be learned in seconds: a bright spot in noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.steps.train import finetune_network, train_network
from compress.training.history import Epoch, History, auroc
from compress.training.loop import TrainRun, positive_weight, predict, train
from compress.training.options import ScheduleOptions, TrainOptions
from compress.training.schedule import cosine
from compress.training.state import STATE_FILE
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network
from compress.zoo.options import ModelOptions
from runtime.errors import StepError
from tests.compress.networks import random_network, spot_data, spots

OPTIONS = TrainOptions(epochs=3, batch_size=16, learning_rate=5e-3, box_weight=0.5)
NARROW = ModelOptions("cnn", width=0.5)


class KilledError(Exception):
    """Stands for the power going off in the middle of a batch."""


def narrow_network(seed: int = 0) -> FractureNet:
    return random_network("cnn", 48, seed, width=0.5)


def kill_at(batch: int) -> Callable[[int, int], None]:
    def advance(done: int, total: int) -> None:
        if done == batch:
            raise KilledError

    return advance


def states_equal(one: FractureNet, two: FractureNet) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_network_learns_the_task_and_points_at_the_place(tmp_path: Path) -> None:
    data = spot_data(fit=160)
    output = train_network(NARROW, data, replace(OPTIONS, epochs=8), TrainRun(tmp_path, seed=1))
    network = load_network(tmp_path / output.main)
    unseen = spots(60, 48, seed=9)
    assert auroc(predict(network, unseen), unseen.labels) > 0.95
    with torch.no_grad():
        evidence = network(torch.from_numpy(unseen.tensors))[1].numpy()[:, 0]
    side = evidence.shape[-1]
    hits = [
        unseen.masks[i, peak // side * 12 // side, peak % side * 12 // side]
        for i, peak in enumerate(evidence.reshape(len(evidence), -1).argmax(axis=1))
        if unseen.labels[i]
    ]
    assert np.mean(hits) > 0.8


def test_the_step_leaves_a_checkpoint_and_json_safe_facts_and_no_state(tmp_path: Path) -> None:
    output = train_network(NARROW, spot_data(), replace(OPTIONS, epochs=2), TrainRun(tmp_path, seed=1))
    assert [path.name for path in tmp_path.iterdir()] == [output.main]
    facts = json.loads(json.dumps(output.facts, allow_nan=False))
    assert len(facts["history"]["loss"]) == len(facts["history"]["seconds"]) == 2
    assert facts["history"]["kept_epoch"] in (1, 2)
    assert facts["macs"] > 0 < facts["parameters"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    networks = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        run = TrainRun(tmp_path / str(number), seed)
        train_network(NARROW, spot_data(48, 24), replace(OPTIONS, epochs=1), run)
        networks.append(load_network(tmp_path / str(number) / "network.pt"))
    assert states_equal(networks[0], networks[1])
    assert not states_equal(networks[0], networks[2])


@pytest.mark.parametrize(
    ("options", "batch"),
    [(OPTIONS, 1), (OPTIONS, 6), (OPTIONS, 17), (replace(OPTIONS, crop_epochs=1, epochs=2), 13)],
    ids=["before the first epoch ends", "at its last batch", "later", "after windows"],
)
def test_a_killed_training_goes_on_and_ends_where_it_would_have_ended(
    tmp_path: Path, options: TrainOptions, batch: int
) -> None:
    data = spot_data()
    whole, resumed = narrow_network(), narrow_network()
    for name in ("whole", "resumed"):
        (tmp_path / name).mkdir()
    expected = train(whole, data, options, TrainRun(tmp_path / "whole", seed=3))
    with pytest.raises(KilledError):
        train(resumed, data, options, TrainRun(tmp_path / "resumed", seed=3, progress=kill_at(batch)))
    restarted = narrow_network()
    history = train(restarted, data, options, TrainRun(tmp_path / "resumed", seed=3))
    assert states_equal(whole, restarted)
    assert [e.loss for e in history.epochs] == [e.loss for e in expected.epochs]


def test_state_of_other_options_is_not_gone_on_with(tmp_path: Path) -> None:
    data = spot_data(48, 24)
    train(narrow_network(), data, replace(OPTIONS, epochs=1), TrainRun(tmp_path, seed=3))
    assert (tmp_path / STATE_FILE).is_file()
    steps: list[int] = []
    run = TrainRun(tmp_path, seed=3, progress=lambda done, total: steps.append(done))
    train(narrow_network(), data, replace(OPTIONS, epochs=1, learning_rate=1e-3), run)
    assert steps == [1, 2, 3]


def test_a_damaged_state_is_refused_and_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(b"torn")
    with pytest.raises(StepError, match=STATE_FILE):
        train(narrow_network(), spot_data(48, 24), OPTIONS, TrainRun(tmp_path, seed=3))
    assert (tmp_path / STATE_FILE).read_bytes() == b"torn"


def test_a_student_that_follows_its_teacher_comes_nearer_to_it_and_leaves_it_unchanged(
    tmp_path: Path,
) -> None:
    data = spot_data()
    teacher, student = narrow_network(seed=0), narrow_network(seed=1)
    before = teacher.state_dict()["features.0.1.running_mean"].clone()
    distance = np.abs(predict(student, data.calibration) - predict(teacher, data.calibration)).mean()
    options = replace(OPTIONS, distill_weight=1.0, epochs=5)
    finetune_network(student, data, options, TrainRun(tmp_path, seed=1, teacher=teacher))
    assert torch.equal(before, teacher.state_dict()["features.0.1.running_mean"])
    after = np.abs(predict(student, data.calibration) - predict(teacher, data.calibration)).mean()
    assert after < 0.5 * distance


def test_a_diverging_training_stops_with_what_to_do(tmp_path: Path) -> None:
    data = spot_data(32, 16)
    data.fit.tensors[:] = np.nan
    with pytest.raises(StepError, match="diverged") as caught:
        train(narrow_network(), data, OPTIONS, TrainRun(tmp_path, seed=1))
    assert "learning_rate" in caught.value.hint


def test_the_kept_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    network, data = narrow_network(), spot_data()
    history = train(network, data, OPTIONS, TrainRun(tmp_path, seed=2))
    best = history.epochs[history.best - 1]
    score = auroc(predict(network, data.calibration), data.calibration.labels)
    assert score == pytest.approx(best.calibration_auroc)
    assert best.calibration_auroc == max(epoch.calibration_auroc for epoch in history.epochs)


def test_the_last_epoch_is_kept_where_it_is_asked_for_though_another_scored_higher(tmp_path: Path) -> None:
    network, data = narrow_network(), spot_data()
    data.calibration.labels[:] = 1 - data.calibration.labels  # the more is learnt, the worse it looks
    options = replace(OPTIONS, keep="last", epochs=4)
    history = train(network, data, options, TrainRun(tmp_path, seed=2))
    last = history.epochs[-1]
    assert history.kept == last.number != history.best
    score = auroc(predict(network, data.calibration), data.calibration.labels)
    assert score == pytest.approx(last.calibration_auroc)


def test_patience_and_keeping_the_last_epoch_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="keep = last"):
        replace(OPTIONS, keep="last", schedule=ScheduleOptions(patience=2))


def test_among_epochs_of_equal_auroc_the_lower_loss_is_best() -> None:
    epochs = [Epoch(n, 0.1, loss, 0.9, 1e-3, 1.0) for n, loss in ((1, 0.5), (2, 0.3), (3, 0.4))]
    assert History(tuple(epochs)).best == 2


def test_epochs_on_windows_come_first_and_are_not_chosen_when_whole_images_follow(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    run = TrainRun(tmp_path, seed=1, progress=lambda done, total: seen.append((done, total)))
    options = replace(OPTIONS, crop_epochs=2, epochs=1)
    history = train(narrow_network(), spot_data(), options, run)
    assert [epoch.on_windows for epoch in history.epochs] == [True, True, False]
    assert history.best == 3
    assert seen == [(number, 30) for number in range(1, 31)]


def test_windows_alone_teach_the_task(tmp_path: Path) -> None:
    network, data = narrow_network(), spot_data(size_px=64)
    history = train(network, data, replace(OPTIONS, crop_epochs=3, epochs=0), TrainRun(tmp_path, seed=1))
    assert history.epochs[-1].calibration_auroc > 0.9


def test_fewer_images_than_a_batch_still_train(tmp_path: Path) -> None:
    history = train(narrow_network(), spot_data(6, 6), OPTIONS, TrainRun(tmp_path, seed=1))
    assert len(history.epochs) == OPTIONS.epochs


def test_progress_counts_every_batch_of_all_epochs(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    run = TrainRun(tmp_path, seed=1, progress=lambda done, total: seen.append((done, total)))
    train(narrow_network(), spot_data(48, 24), replace(OPTIONS, epochs=2), run)
    assert seen == [(number, 6) for number in range(1, 7)]


def test_the_learning_rate_rises_then_falls_to_nearly_nothing() -> None:
    values = [cosine(step, 100) for step in range(100)]
    top = values.index(max(values))
    assert values[:top] == sorted(values[:top])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert max(values) == 1.0
    assert values[0] > 0
    assert values[-1] < 0.01


@pytest.mark.parametrize(("fractured", "healthy", "expected"), [(10, 30, 3.0), (1, 99, 10.0), (0, 5, 5.0)])
def test_the_rarer_class_weighs_more_within_bounds(fractured: int, healthy: int, expected: float) -> None:
    labels = np.array([1.0] * fractured + [0.0] * healthy, np.float32)
    assert positive_weight(labels) == expected
