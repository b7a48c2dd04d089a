"""A torch checkpoint as a Backend, so that it is judged through the very same path as every engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.training.loop import use_all_cores
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network
from compress.zoo.watched import WatchedNet
from runtime.backends import feeds as feed_checks
from runtime.backends.base import FEATURES_NAME, INPUT_NAME, LOGIT_NAME, MAP_NAME, METADATA_NAME, TensorInfo
from runtime.errors import InferenceError

NAME = "torch"


class TorchBackend:
    """A network on the CPU; see runtime.backends.base.Backend.

    with_features: also what it sees on the way (compress.zoo.watched).
    """

    name = NAME
    device = "cpu"

    def __init__(self, network: FractureNet, with_features: bool = False) -> None:
        use_all_cores()
        watched: nn.Module = WatchedNet(network) if with_features else network
        self._network: nn.Module | None = watched.eval()
        size, (height, width) = network.size_px, network.map_size()
        self._inputs: tuple[TensorInfo, ...] = (TensorInfo(INPUT_NAME, (None, 1, size, size), "float32"),)
        if network.metadata is not None:
            self._inputs += (TensorInfo(METADATA_NAME, (None, network.metadata.width), "float32"),)
        self._outputs = (
            TensorInfo(LOGIT_NAME, (None, 1), "float32"),
            TensorInfo(MAP_NAME, (None, 1, height, width), "float32"),
            *((TensorInfo(FEATURES_NAME, (None, None), "float32"),) if with_features else ()),
        )

    @classmethod
    def from_file(cls, path: Path) -> TorchBackend:
        """Open a checkpoint. Raises StepError."""
        return cls(load_network(path))

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` wants."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What `infer` gives."""
        return self._outputs

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
        """Run once; see Backend.infer."""
        if self._network is None:
            raise InferenceError(f"{NAME}: the backend is closed")
        checked = feed_checks.check(NAME, self._inputs, feeds)
        try:
            with torch.inference_mode():
                values = self._network(*(torch.tensor(checked[info.name]) for info in self._inputs))
        except RuntimeError as error:
            raise InferenceError(f"{NAME} failed: {feed_checks.reason(error)}") from error
        return {info.name: value.numpy().copy() for info, value in zip(self._outputs, values, strict=True)}

    def close(self) -> None:
        """Free the network; see Backend.close."""
        self._network = None
