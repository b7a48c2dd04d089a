"""Losses: what they reward, what they leave alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from compress.training.losses import Targets, focal_loss, label_loss, place_loss, teacher_loss, total_loss
from compress.training.options import ImbalanceOptions, TrainOptions


def planes() -> tuple[torch.Tensor, torch.Tensor]:
    """Labels of a fractured and a healthy image, and their masks (16 x 16)."""
    masks = torch.zeros(2, 1, 16, 16)
    masks[0, 0, 4:8, 8:12] = 1
    return torch.tensor([1.0, 0.0]), masks


def test_the_label_loss_is_weighted_cross_entropy() -> None:
    logit, labels = torch.tensor([[2.0], [-1.0]]), torch.tensor([1.0, 0.0])
    expected = (3 * F.softplus(torch.tensor(-2.0)) + F.softplus(torch.tensor(-1.0))) / 2
    assert label_loss(logit, labels, 3.0).item() == pytest.approx(expected.item())


def test_smoothing_punishes_a_certain_answer() -> None:
    labels = torch.tensor([1.0])
    sure, careful = torch.tensor([[20.0]]), torch.tensor([[3.0]])
    assert label_loss(sure, labels, 1.0) < label_loss(careful, labels, 1.0)
    assert label_loss(sure, labels, 1.0, 0.1) > label_loss(careful, labels, 1.0, 0.1)


def test_evidence_inside_the_box_costs_less_than_beside_it() -> None:
    labels, masks = planes()
    inside, beside = torch.full((2, 1, 4, 4), -4.0), torch.full((2, 1, 4, 4), -4.0)
    inside[0, 0, 1, 2] = 4.0
    beside[0, 0, 3, 0] = 4.0
    assert place_loss(inside, labels, masks) < 0.05
    assert place_loss(beside, labels, masks) > 2.0


def test_the_hottest_wrong_place_is_what_pulls() -> None:
    """Of a thousand wrong cells the one that would be shown gets the gradient."""
    labels, masks = planes()
    evidence = torch.full((2, 1, 4, 4), -6.0)
    evidence[0, 0, 3, 0] = 3.0
    evidence.requires_grad_()
    place_loss(evidence, labels, masks).backward()
    pull = evidence.grad[0, 0].clone()
    pull[1, 2] = 0.0
    assert pull.argmax() == 12
    assert pull.max() > 10 * pull.sort().values.flatten()[-2]


def test_a_fracture_that_nobody_outlined_says_nothing_about_the_place() -> None:
    labels, masks = torch.tensor([1.0]), torch.zeros(1, 1, 16, 16)
    evidence = torch.randn(1, 1, 4, 4, requires_grad=True)
    loss = place_loss(evidence, labels, masks)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(evidence.grad, torch.zeros_like(evidence))


def test_the_teachers_own_answer_costs_nothing_and_its_opposite_much() -> None:
    logit, evidence = torch.tensor([[2.0]]), torch.randn(1, 1, 4, 4)
    assert teacher_loss((logit, evidence), (logit, evidence)).item() == 0.0
    assert teacher_loss((-logit, -evidence), (logit, evidence)) > 1.0


def test_with_all_weight_on_the_teacher_the_labels_do_not_matter() -> None:
    _, masks = planes()
    outputs, teacher = ((torch.randn(2, 1), torch.randn(2, 1, 4, 4)) for _ in range(2))
    options = TrainOptions(distill_weight=1.0, box_weight=1.0)
    losses = [
        total_loss(outputs, Targets(labels, masks, teacher), options, 2.0).item()
        for labels in (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    ]
    assert losses[0] == losses[1] == pytest.approx(teacher_loss(outputs, teacher).item())


def test_without_a_teacher_its_weight_takes_nothing_from_the_labels() -> None:
    labels, masks = planes()
    outputs = (torch.randn(2, 1), torch.randn(2, 1, 4, 4))
    with_weight, without = TrainOptions(distill_weight=0.9), TrainOptions()
    assert total_loss(outputs, Targets(labels, masks), with_weight, 1.0) == total_loss(
        outputs, Targets(labels, masks), without, 1.0
    )


@given(
    logit=st.floats(-8, 8),
    is_fractured=st.booleans(),
    alpha=st.floats(0.05, 0.95),
    gamma=st.floats(0, 5),
)
def test_the_focal_loss_is_the_published_formula(
    logit: float, is_fractured: bool, alpha: float, gamma: float
) -> None:
    probability = 1 / (1 + math.exp(-logit))
    true = probability if is_fractured else 1 - probability
    weight = alpha if is_fractured else 1 - alpha
    expected = -weight * (1 - true) ** gamma * math.log(true)
    found = focal_loss(torch.tensor([[logit]]), torch.tensor([float(is_fractured)]), alpha, gamma)
    assert found.item() == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_the_focal_loss_forgets_clear_cases_and_not_hard_ones() -> None:
    labels = torch.tensor([1.0])
    clear, hard = torch.tensor([[4.0]]), torch.tensor([[-4.0]])
    plain = label_loss(hard, labels, 1.0) / label_loss(clear, labels, 1.0)
    focal = focal_loss(hard, labels, 0.5, 2.0) / focal_loss(clear, labels, 0.5, 2.0)
    assert focal > 100 * plain


def test_the_total_takes_the_focal_loss_where_it_is_asked_for_and_the_weight_where_not() -> None:
    labels, masks = planes()
    outputs = torch.tensor([[0.3], [-0.8]]), torch.zeros(2, 1, 4, 4)
    targets = Targets(labels, masks)
    focal = TrainOptions(imbalance=ImbalanceOptions("focal", focal_alpha=0.4, focal_gamma=1.5))
    assert total_loss(outputs, targets, focal, 5.0) == focal_loss(outputs[0], labels, 0.4, 1.5)
    assert total_loss(outputs, targets, TrainOptions(), 5.0) == label_loss(outputs[0], labels, 5.0)
