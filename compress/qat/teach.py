"""Quantization-aware training as a step: a network and its teacher in, the network with other weights out."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace

from torch import nn

from compress.artifact import StepOutput
from compress.pruning.two_four import zeros_held
from compress.qat.options import QatOptions
from compress.qat.simulate import Grid, simulated
from compress.steps.train import trained_output
from compress.training.data import TrainData
from compress.training.loop import TrainRun, train
from compress.training.match import match_logits
from compress.training.teachers import one_teacher, require_same_facts
from compress.training.tie import FeatureTie, tied
from compress.zoo.base import FractureNet
from runtime.anomaly import FeatureStatistics
from runtime.errors import StepError


def teach(
    network: FractureNet,
    data: TrainData,
    options: QatOptions,
    grid: Grid,
    run: TrainRun,
    statistics: FeatureStatistics | None = None,
) -> StepOutput:
    """Train `network` further with simulated quantization, after `run.teacher`; what is written is in float.

    Its logits take the teacher's scale as the quantized network gives them, on the calibration patients. An
    interrupted training goes on from `run.folder`. statistics: of the features of `network` as it is, which
    then stay near; None where nothing looks at them. facts: those of a fine-tuning, the grid, how many layers
    were rounded, and the weight of the features. Raises StepError without a teacher, for one that takes other
    facts of the patients, for a loss that is no longer a number, and for a network without a layer to round.
    """
    teacher = one_teacher(run.teacher)
    if teacher is None:
        raise StepError("quantization-aware training follows the original checkpoint, and none was given")
    require_same_facts(teacher, None if data.fusion is None else data.fusion.spec)
    with (
        _bound(network, teacher, statistics, options) as (tie, followed),
        zeros_held(network),
        simulated(network, grid) as layers,
    ):
        if not layers:
            raise StepError(
                f"{network.options.name} has no convolution or linear layer before its head",
                "set [qat] epochs = 0",
            )
        history = train(network, data, options.training, replace(run, tie=tie, teacher=followed))
        match = match_logits(network, teacher, data.calibration)
    output = trained_output(network, data, run, history, match)
    weight = 0.0 if tie is None else tie.weight
    facts = {"grid": asdict(grid), "rounded_layers": len(layers), "features_weight": weight}
    return replace(output, facts={**output.facts, **facts})


def _bound(
    network: FractureNet, teacher: nn.Module, statistics: FeatureStatistics | None, options: QatOptions
) -> AbstractContextManager[tuple[FeatureTie | None, nn.Module]]:
    if statistics is None or not options.features_weight:
        return nullcontext((None, teacher))
    return tied(network, teacher, statistics, options.features_weight)
