"""What a network looks like whose tensors are compared: names in order, and a way to ask for some of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.backends.base import TensorInfo

INPUT = "input"
"""Stands for the operator of what the network is given."""

Feed = Mapping[str, NDArray[np.float32]]
"""Inputs of the network for one image: `image` (1, 1, S, S), and `metadata` (1, D) where it takes facts."""
Values = dict[str, NDArray[np.float32]]
"""Tensors of one image by name, of any shape."""
Tap = Callable[[Feed], Values]


@dataclass(frozen=True)
class LayerTensor:
    """A float tensor that depends on the image or on the facts.

    name: the ONNX name, which engines keep. operator: what makes it. inputs: names of those it is made of.
    """

    name: str
    operator: str
    inputs: tuple[str, ...] = ()


class LayeredModel(Protocol):
    """A network that can be looked into.

    Where a quantizer put a pair of quantize and dequantize behind a tensor, the tensor's value is the one
    after the pair, since that is what the next layer reads. The one before it may not even be comparable:
    ONNX Runtime's quantizer drops a Relu that the range of the pair replaces, and gives its name to what the
    convolution makes.
    """

    @property
    def tensors(self) -> tuple[LayerTensor, ...]:
        """In topological order, the inputs first."""
        ...

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What a feed holds."""
        ...

    @property
    def quantized(self) -> bool:
        """Whether any tensor is rounded to integers."""
        ...

    def tap(self, names: Collection[str]) -> Tap:
        """Load the network so that it gives these tensors. Raises BackendError or StepError."""
        ...
