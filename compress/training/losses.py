"""What training minimises: the label, the place, and the teacher's opinion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.recipe import TrainOptions

Outputs = tuple[Tensor, Tensor]
"""(logit (N, 1), map (N, 1, h, w))."""


@dataclass(frozen=True, eq=False)
class Targets:
    """labels (N,), masks (N, 1, m, m) in 0 to 1, and the teacher's outputs where there is one."""

    labels: Tensor
    masks: Tensor
    teacher: Outputs | None = None


def total_loss(outputs: Outputs, targets: Targets, options: TrainOptions, positive_weight: float) -> Tensor:
    """Label and place, mixed with the teacher by `distill_weight`."""
    loss = label_loss(outputs[0], targets.labels, positive_weight, options.label_smoothing)
    if options.box_weight:
        loss = loss + options.box_weight * place_loss(outputs[1], targets.labels, targets.masks)
    if targets.teacher is not None and options.distill_weight:
        follow = teacher_loss(outputs, targets.teacher)
        loss = (1 - options.distill_weight) * loss + options.distill_weight * follow
    return loss


def label_loss(logit: Tensor, labels: Tensor, positive_weight: float, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy; `positive_weight` makes the rarer class count as much as the other."""
    soft = labels * (1 - smoothing) + 0.5 * smoothing
    weight = torch.tensor(positive_weight)
    return F.binary_cross_entropy_with_logits(logit.flatten(), soft, pos_weight=weight)


def place_loss(evidence: Tensor, labels: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy of each map cell with "a fracture box lies here", in and outside the boxes equally.

    Fractured images without a box say nothing about the place and are left out.
    """
    target = (F.adaptive_max_pool2d(masks, evidence.shape[-2:]) >= 0.5).float()
    has_box = target.flatten(1).any(dim=1)
    known = (has_box | (labels < 0.5)).float().view(-1, 1, 1, 1)
    cell = F.binary_cross_entropy_with_logits(evidence, target, reduction="none")
    inside, outside = target * known, (1 - target) * known
    return 0.5 * (_mean(cell, inside) + _mean(cell, outside))


def teacher_loss(outputs: Outputs, teacher: Outputs) -> Tensor:
    """Follow the teacher's logits and map cells themselves (Ba & Caruana 2014), not its verdicts.

    A decision at a locked threshold survives only where the logit does. Smooth L1, so that a few images on
    which teacher and student are far apart do not drown the rest.
    """
    return F.smooth_l1_loss(outputs[0], teacher[0]) + F.smooth_l1_loss(outputs[1], teacher[1])


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1.0)
