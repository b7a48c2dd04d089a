"""A training between two epochs, on disk: what it takes to go on with the same numbers after a kill."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from compress.training.history import Epoch, History
from compress.zoo.checkpoint import read_safely, write_atomically

STATE_FILE = "training.pt"


@dataclass(frozen=True, eq=False)
class TrainState:
    """Weights, the optimiser's and the average's state, the weights to keep so far and the epochs done."""

    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    average: dict[str, Any]
    kept: dict[str, Tensor]
    history: History


def save_state(folder: Path, basis: dict[str, Any], state: TrainState) -> None:
    """Write atomically; `basis` is what must be equal for a run to go on from it."""
    table = {
        "schema": 1,
        "basis": basis,
        "network": state.network,
        "optimizer": state.optimizer,
        "average": state.average,
        "kept": state.kept,
        "keeps_last": state.history.keeps_last,
        "epochs": [asdict(epoch) for epoch in state.history.epochs],
    }
    write_atomically(folder / STATE_FILE, table)


def read_state(folder: Path, basis: dict[str, Any]) -> TrainState | None:
    """What a run of this basis left, None where there is none. Raises StepError for a damaged file."""
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    table = read_safely(path)
    if table["basis"] != basis:
        return None
    history = History(tuple(Epoch(**row) for row in table["epochs"]), table["keeps_last"])
    return TrainState(table["network"], table["optimizer"], table["average"], table["kept"], history)
