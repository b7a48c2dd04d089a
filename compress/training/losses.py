"""What training minimises: the label, the place, and the teacher's opinion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.training.options import TrainOptions

_INSIDE_WEIGHT = 3.0  # cells inside boxes are few, yet many of them show sound bone

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
    loss = _answer_loss(outputs[0], targets.labels, options, positive_weight)
    if options.box_weight:
        loss = loss + options.box_weight * place_loss(outputs[1], targets.labels, targets.masks)
    if targets.teacher is not None and options.distill_weight:
        follow = teacher_loss(outputs, targets.teacher)
        loss = (1 - options.distill_weight) * loss + options.distill_weight * follow
    return loss


def _answer_loss(logit: Tensor, labels: Tensor, options: TrainOptions, positive_weight: float) -> Tensor:
    if options.imbalance.method == "focal":
        soft = _smoothed(labels, options.label_smoothing)
        return focal_loss(logit, soft, options.imbalance.focal_alpha, options.imbalance.focal_gamma)
    return label_loss(logit, labels, positive_weight, options.label_smoothing)


def label_loss(logit: Tensor, labels: Tensor, positive_weight: float, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy; `positive_weight` makes the rarer class count as much as the other."""
    soft = _smoothed(labels, smoothing)
    weight = torch.tensor(positive_weight, device=logit.device)
    return F.binary_cross_entropy_with_logits(logit.flatten(), soft, pos_weight=weight)


def focal_loss(logit: Tensor, labels: Tensor, alpha: float, gamma: float) -> Tensor:
    """Cross-entropy times alpha (1 - alpha for the healthy) times (1 - p)^gamma, p of the true class.

    Lin et al. 2017, "Focal Loss for Dense Object Detection": what is clear already counts little.
    """
    flat = logit.flatten()
    fractured = alpha * labels * torch.sigmoid(-flat) ** gamma * F.softplus(-flat)
    healthy = (1 - alpha) * (1 - labels) * torch.sigmoid(flat) ** gamma * F.softplus(flat)
    return (fractured + healthy).mean()


def _smoothed(labels: Tensor, smoothing: float) -> Tensor:
    return labels * (1 - smoothing) + 0.5 * smoothing


def place_loss(evidence: Tensor, labels: Tensor, masks: Tensor) -> Tensor:
    """Where the fracture is: a choice among all places of an image, and a verdict on each.

    evidence (N, 1, h, w), labels (N,), masks (N, 1, m, m). Fractured images that nobody outlined say nothing
    about the place and are left out.
    """
    inside = F.adaptive_max_pool2d(masks, evidence.shape[-2:]) >= 0.5
    has_box = inside.flatten(1).any(dim=1)
    known = has_box | (labels < 0.5)
    if not known.any():
        return evidence.sum() * 0.0
    verdict = F.binary_cross_entropy_with_logits(
        evidence[known],
        inside[known].float(),
        pos_weight=torch.tensor(_INSIDE_WEIGHT, device=evidence.device),
    )
    return verdict + 0.5 * _choice_loss(evidence[has_box].flatten(1), inside[has_box].flatten(1))


def _choice_loss(cells: Tensor, inside: Tensor) -> Tensor:
    """Minus the log of the softmax's share inside the boxes: what counts is the hottest wrong place."""
    if not len(cells):
        return cells.sum()
    within = cells.masked_fill(~inside, -torch.inf).logsumexp(dim=1)
    return (cells.logsumexp(dim=1) - within).mean()


def teacher_loss(outputs: Outputs, teacher: Outputs) -> Tensor:
    """Follow the teacher's logits and map cells themselves (Ba & Caruana 2014), not its verdicts.

    A decision at a locked threshold survives only where the logit does. Smooth L1, so that a few images on
    which teacher and student are far apart do not drown the rest.
    """
    return F.smooth_l1_loss(outputs[0], teacher[0]) + F.smooth_l1_loss(outputs[1], teacher[1])
