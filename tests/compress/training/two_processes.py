"""What two processes do in the test of several processes; started by torchrun with a folder's name.

Each writes RANK.pt: the weights of every training, and what it was told by the others.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from compress.training.data import TrainData
from compress.training.loop import TrainRun, train
from compress.training.options import (
    AugmentOptions,
    AverageOptions,
    ImbalanceOptions,
    OptimizerOptions,
    TrainOptions,
    TransferOptions,
)
from compress.training.processes import Processes, joined_processes
from compress.zoo.base import EvidenceHead, FractureNet
from compress.zoo.options import ModelOptions
from tests.compress.networks import random_network, spot_data

SIZE_PX = 48
OPTIONS = TrainOptions(
    epochs=2,
    crop_epochs=1,
    batch_size=16,
    learning_rate=2e-2,
    box_weight=0.5,
    distill_weight=0.3,
    augment=AugmentOptions(shift=0.05, elastic=0.01, blur_px=1.0, collimation=0.1),
    optimizer=OptimizerOptions("sgd"),
    average=AverageOptions("ema", decay=0.9),
    imbalance=ImbalanceOptions("sampling"),
)
"""SGD: Adam's division by tiny second moments would blow rounding up."""


def smooth_network() -> FractureNet:
    """Without normalisation, whose statistics would be those of a share of the batch."""
    torch.manual_seed(4)
    features = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.Tanh(), nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.Tanh()
    )
    return FractureNet(features, EvidenceHead(8, 1.0), ModelOptions("cnn"), SIZE_PX)


def trained_everything(folder: Path, processes: Processes) -> dict[str, dict[str, Tensor]]:
    """States of three trainings: without normalisation, with frozen normalisation, with learning one."""
    data = spot_data(64, 35, SIZE_PX)
    frozen = replace(OPTIONS, transfer=TransferOptions("head"))
    plain = replace(OPTIONS, average=AverageOptions("swa", swa_epochs=1))
    return {
        "smooth": _trained(smooth_network(), data, OPTIONS, folder / "smooth", processes),
        "frozen": _trained(random_network("cnn", SIZE_PX), data, frozen, folder / "frozen", processes),
        "normalised": _trained(random_network("cnn", SIZE_PX), data, plain, folder / "plain", processes),
    }


def _trained(
    network: FractureNet, data: TrainData, options: TrainOptions, folder: Path, processes: Processes
) -> dict[str, Tensor]:
    if processes.is_first:
        folder.mkdir(exist_ok=True)
    teacher = random_network("cnn", SIZE_PX, seed=9)
    teacher.features[0][0].stride = (1, 1) if network.map_size() != teacher.map_size() else (2, 2)
    history = train(network, data, options, TrainRun(folder, 3, teacher, processes=processes))
    return {**network.state_dict(), "losses": torch.tensor([epoch.loss for epoch in history.epochs])}


def main() -> None:
    """Train, train again in the same folder (which only takes up the finished state), and write."""
    folder = Path(sys.argv[1])
    with joined_processes() as processes:
        states = trained_everything(folder, processes)
        with processes.one_after_the_first():
            pass
        again = trained_everything(folder, processes)
        torch.save({"first": states, "again": again}, folder / f"{processes.rank}.pt")


if __name__ == "__main__":
    main()
