"""Gives a fine-tuned network the scale of logits that its teacher has.

Operating points are locked on the original checkpoint. A network that ranks images as well, but whose logits
have another mean or spread, would decide differently at the same thresholds. Matching both moments on
patients that neither was fitted on is an affine map of the logit, and the head takes it up exactly
(compress.zoo.base.Head.rescale).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from torch import nn

from compress.temperature import platt_fit
from compress.training.data import LabelledTensors
from compress.training.device import on_training_device
from compress.training.loop import predict
from compress.zoo.base import FractureNet, Head
from runtime.errors import StepError

_LARGEST_SCALE = 10.0


@dataclass(frozen=True)
class LogitMatch:
    """The map that was folded into the head: logit -> scale * logit + shift."""

    scale: float
    shift: float

    def to_json(self) -> dict[str, float]:
        """For the record of a step."""
        return asdict(self)


def match_logits(network: FractureNet, teacher: nn.Module, data: LabelledTensors) -> LogitMatch:
    """Fold the matching map into `network` in place. The ranking of images does not change.

    Raises StepError where the logits of one network hardly vary: there is nothing to match then.
    """
    wanted, seen = predict(teacher, data).astype(np.float64), predict(network, data).astype(np.float64)
    scale = float(wanted.std() / max(seen.std(), 1e-12))
    if not 1 / _LARGEST_SCALE <= scale <= _LARGEST_SCALE:
        raise StepError(
            f"the fine-tuned logits spread over {seen.std():.3g}, the checkpoint's over {wanted.std():.3g}",
            "train longer, or prune less",
        )
    found = LogitMatch(scale, float(wanted.mean() - scale * seen.mean()))
    fold(network.head, found)
    return found


def calibrate_logits(network: FractureNet, data: LabelledTensors) -> LogitMatch:
    """Fold Platt's scaling into `network` in place; see compress.temperature. Raises StepError as it does."""
    labels = (data.labels > 0.5).astype(np.int64)
    with on_training_device(network):
        seen = predict(network, data)
    found = LogitMatch(*platt_fit(seen.astype(np.float64), labels))
    fold(network.head, found)
    return found


def fold(head: Head, match: LogitMatch) -> None:
    """Put the map into the head."""
    head.rescale(match.scale, match.shift)
