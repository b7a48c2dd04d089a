"""Schedules: shapes, ends, and what an optimiser is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.training.course import plan_course
from compress.training.history import Epoch, History
from compress.training.loop import TrainRun, train
from compress.training.optimizer import build_optimizer, steer
from compress.training.options import AverageOptions, OptimizerOptions, ScheduleOptions, TrainOptions
from compress.training.schedule import Phase, cosine, one_cycle
from tests.compress.networks import random_network, spot_data

OPTIONS = TrainOptions(epochs=3, batch_size=16, learning_rate=5e-3)


@given(total=st.integers(1, 3000), rise=st.floats(0.01, 0.9))
def test_every_schedule_rises_to_one_and_then_falls(total: int, rise: float) -> None:
    for course in (cosine, one_cycle):
        values = [course(step, total, rise) for step in range(total)]
        top = values.index(max(values))
        assert values[:top] == sorted(values[:top])
        assert values[top:] == sorted(values[top:], reverse=True)
        assert all(0 < value <= 1 for value in values)
    assert total < 4 or max(values) == pytest.approx(1.0)


def test_one_cycle_starts_at_a_25th_and_ends_at_a_ten_thousandth() -> None:
    values = [one_cycle(step, 1000) for step in range(1000)]
    assert values[0] == pytest.approx(1 / 25)
    assert values[300] == 1.0
    assert values[-1] == pytest.approx(1e-4)


def test_momentum_goes_against_the_learning_rate_under_one_cycle_and_is_left_alone_under_cosine() -> None:
    cycle = Phase(10, 10, 1.0, ScheduleOptions("one_cycle"))
    pairs = [(cycle.rate(e, b), cycle.momentum(e, b)) for e in range(10) for b in range(10)]
    momenta = [momentum for _, momentum in sorted(pairs)]
    assert momenta == sorted(momenta, reverse=True)
    assert min(momenta) == pytest.approx(0.85)
    assert max(momenta) == pytest.approx(0.95)
    assert Phase(10, 10, 1.0, ScheduleOptions()).momentum(0, 0) is None


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_either_optimiser_takes_rate_and_momentum(kind: str) -> None:
    network = random_network("cnn", 48, width=0.5)
    options = replace(OPTIONS, optimizer=OptimizerOptions(kind, momentum=0.8))
    optimizer = build_optimizer(network, options)
    group = optimizer.param_groups[0]
    assert (group["betas"][0] if kind == "adamw" else group["momentum"]) == 0.8
    steer(optimizer, 0.25, 0.6)
    assert (group["betas"][0] if kind == "adamw" else group["momentum"]) == 0.6
    assert group["lr"] == 0.25


def test_one_step_of_sgd_is_nesterovs() -> None:
    network = random_network("cnn", 48, width=0.5)
    options = replace(OPTIONS, weight_decay=0.0, optimizer=OptimizerOptions("sgd", momentum=0.5))
    optimizer = build_optimizer(network, options)
    bias = network.head.classifier.bias
    velocity, expected = 0.0, bias.item()
    for gradient in (1.0, -2.0, 3.0):
        steer(optimizer, 0.1, None)
        bias.grad = torch.full_like(bias, gradient)
        optimizer.step()
        velocity = 0.5 * velocity + gradient
        expected -= 0.1 * (gradient + 0.5 * velocity)
        assert bias.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_every_pair_learns(tmp_path: Path, optimizer: str, schedule: str) -> None:
    rate = 5e-3 if optimizer == "adamw" else 5e-2
    options = TrainOptions(
        epochs=4,
        batch_size=16,
        learning_rate=rate,
        box_weight=0.5,
        optimizer=OptimizerOptions(optimizer),
        schedule=ScheduleOptions(schedule),
    )
    history = train(random_network("cnn", 48), spot_data(), options, TrainRun(tmp_path, seed=1))
    assert history.epochs[-1].loss < 0.8 * history.epochs[0].loss


def test_the_averaged_last_epochs_have_a_constant_rate() -> None:
    options = replace(OPTIONS, epochs=6, average=AverageOptions("swa", swa_epochs=2, swa_rate=0.25))
    course = plan_course(options, images=160)
    assert {course.rate(epoch, batch) for epoch in (4, 5) for batch in range(10)} == {0.25 * 5e-3}
    assert [course.is_level(epoch) for epoch in range(6)] == [False] * 4 + [True] * 2
    assert course.rate(3, 9) < 0.05 * 5e-3


def history_of(*aurocs: float, windows: int = 0) -> History:
    epochs = [Epoch(n, 0.1, 0.5, value, 1e-3, 1.0, n <= windows) for n, value in enumerate(aurocs, 1)]
    return History(tuple(epochs))


def test_stale_epochs_are_those_on_whole_images_since_the_best() -> None:
    assert history_of().stale_epochs == 0
    assert history_of(0.5, 0.9, 0.8, 0.7).stale_epochs == 2
    assert history_of(0.5, 0.9).stale_epochs == 0
    assert history_of(0.9, 0.8, 0.7, windows=3).stale_epochs == 0


def test_training_ends_early_when_patience_is_over(tmp_path: Path) -> None:
    data = spot_data()
    data.fit.labels[:], data.calibration.labels[:] = 0, 1  # what is learnt makes the calibration set worse
    options = replace(OPTIONS, epochs=9, schedule=ScheduleOptions(patience=2))
    history = train(random_network("cnn", 48), data, options, TrainRun(tmp_path, seed=1))
    assert len(history.epochs) == history.best + 2 < 9


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (ScheduleOptions, {"kind": "steps"}),
        (ScheduleOptions, {"rise": 1.0}),
        (ScheduleOptions, {"patience": -1}),
        (OptimizerOptions, {"kind": "lion"}),
        (OptimizerOptions, {"momentum": 1.0}),
        (OptimizerOptions, {"clip_norm": -1.0}),
    ],
)
def test_impossible_schedules_and_optimisers_are_refused(options: type, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        options(**wrong)
