"""Which stages of a network learn in an epoch; the others stay as they are, to the bit.

Frozen stages always reach from the input upwards, so that nothing before the first learning stage needs
autograd: it computes no gradients there and keeps no activations. They run in evaluation mode, since batch
normalisation would otherwise go on adapting its statistics.
"""

from __future__ import annotations

from compress.training.options import TransferOptions
from compress.zoo.base import FractureNet
from runtime.errors import StepError


def frozen_count(options: TransferOptions, stages: int, epoch: int) -> int:
    """How many of `stages`, from the input, are frozen in the epoch with this number (from 1).

    Gradual unfreezing from the head down: Howard & Ruder 2018, "Universal Language Model Fine-tuning for
    Text Classification". Raises StepError where no stage would be left to learn.
    """
    if options.frozen_stages >= stages:
        raise StepError(
            f"frozen_stages = {options.frozen_stages} leaves nothing to learn of {stages} stages",
            f"freeze at most {stages - 1}",
        )
    if options.freeze == "full":
        return options.frozen_stages
    released = 0
    if options.freeze == "gradual":
        released = options.unfreeze_stages * sum(start <= epoch for start in options.unfreeze_epochs)
    return max(options.frozen_stages, stages - 1 - released)


def freeze(network: FractureNet, options: TransferOptions, epoch: int) -> int:
    """Put the network into training mode for this epoch (from 1), but for its frozen stages.

    Returns how many stages are frozen.
    """
    stages = network.stages()
    count = frozen_count(options, len(stages), epoch)
    network.train()
    for number, stage in enumerate(stages):
        stage.requires_grad_(number >= count)
        if number < count:
            stage.eval()
    return count


def thaw(network: FractureNet) -> None:
    """Let every parameter learn again, as the network came."""
    network.requires_grad_(True)
