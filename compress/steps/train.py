"""Training and fine-tuning as a step: a network and data in, a checkpoint with its history out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from compress.artifact import StepOutput
from compress.training.data import TrainData
from compress.training.history import History
from compress.training.loop import TrainRun, train
from compress.training.match import LogitMatch, calibrate_logits, match_logits
from compress.training.options import TrainOptions
from compress.training.state import STATE_FILE
from compress.training.teachers import one_teacher, require_same_facts
from compress.zoo import build
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.cost import cost_of
from compress.zoo.fused import with_facts
from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError, StepError

NETWORK_FILE = "network.pt"


def train_network(
    options: ModelOptions,
    data: TrainData,
    train_options: TrainOptions,
    run: TrainRun,
    calibrate: bool = False,
) -> StepOutput:
    """Build a network for the data's input size and train it; the seed also draws its first weights."""
    torch.manual_seed(run.seed)
    return finetune_network(build(options, data.preprocess.size_px), data, train_options, run, calibrate)


def finetune_network(
    network: FractureNet, data: TrainData, options: TrainOptions, run: TrainRun, calibrate: bool = False
) -> StepOutput:
    """Train `network` further; one that follows a teacher takes its teacher's scale of logits.

    Where the data hold facts of the patients, the network takes them from now on (compress.zoo.fused).
    calibrate: without a teacher, give the logits the scale at which their probabilities are right on the
    calibration patients. Of several processes only the first writes. See `trained_output` for the facts.
    Raises StepError for a network or a teacher that takes other facts than the data hold, and RecipeError
    where the options follow a teacher and there is none.
    """
    require_teacher(options, one_teacher(run.teacher) is not None)
    spec = None if data.fusion is None else data.fusion.spec
    require_same_facts(run.teacher, spec)
    network = with_facts(network, spec)
    history = train(network, data, options, run)
    return trained_output(network, data, run, history, _scale(network, data, run, calibrate))


def trained_output(
    network: FractureNet, data: TrainData, run: TrainRun, history: History, match: LogitMatch | None
) -> StepOutput:
    """Write the checkpoint of a training that has ended, and drop the state from which it could go on.

    facts: macs, parameters, trained_on (machine, precision, torch; several where the training moved, none
    without an epoch), history (see History.to_json), logit_match where the scale was changed, mirrors where
    mirror images are looked at, and patches, the digest of what made windows.
    """
    if run.processes.is_first:
        save_network(network, run.folder / NETWORK_FILE)
        (run.folder / STATE_FILE).unlink(missing_ok=True)
    cost = cost_of(network)
    facts: dict[str, Any] = {
        "macs": cost.macs,
        "parameters": cost.parameters,
        "history": history.to_json(),
    }
    if history.trained_on:
        facts["trained_on"] = "; then ".join(history.trained_on)
    if any(one.options.mirror for one in (network, *network.members)):
        facts["mirrors"] = True
    if match is not None:
        facts["logit_match"] = match.to_json()
    if data.patches is not None:
        facts["patches"] = data.patches.digest
    return StepOutput(NETWORK_FILE, "torch", facts=facts)


def require_teacher(options: TrainOptions, is_there: bool) -> None:
    """Raise RecipeError where a teacher is to be followed and there is none."""
    if options.distill_weight and not is_there:
        raise RecipeError(
            f"distill_weight is {options.distill_weight:g}, and no teacher is given",
            "name a checkpoint with --teacher, or set it to 0",
        )


def _scale(network: FractureNet, data: TrainData, run: TrainRun, calibrate: bool) -> LogitMatch | None:
    teacher = one_teacher(run.teacher)
    if teacher is not None:
        return match_logits(network, teacher, data.calibration)
    return calibrate_logits(network, data.calibration) if calibrate else None


def warm_start(path: Path, model: ModelOptions, size_px: int) -> FractureNet:
    """The network of a checkpoint, for another input size where that is asked for.

    Raises StepError where it is not the one that `model` describes, or was pruned and the size differs.
    """
    found = load_network(path)
    found.options = replace(found.options, mirror=model.mirror)  # a way of asking, which no weight depends on
    if replace(found.options, weights="") != replace(model, weights=""):
        raise StepError(
            f"{path} holds {found.options}, the recipe describes {model}",
            "make [model] of the recipe that of the checkpoint",
        )
    if found.size_px == size_px:
        return found
    resized = with_facts(build(replace(model, weights=""), size_px), found.metadata)
    try:
        resized.load_state_dict(found.state_dict())
    except RuntimeError as error:
        raise StepError(
            f"the weights of {path} do not fit an input of {size_px} px, they are of {found.size_px} px",
            "begin with an unpruned checkpoint of a network whose weights do not depend on the size",
        ) from error
    resized.options = found.options
    return resized
