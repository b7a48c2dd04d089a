"""What an exported graph says of the network that it was made from, so that training can go on from it.

A bundle holds graphs and no checkpoint: a box has no use for one. Nearly all weights keep their names on the
way into a graph, and ONNX Runtime's optimiser leaves names and values as they are. What else is needed is
written into the graph's metadata: the options to build the network from, its few numbers that are no weights
(the sharpness of a head, the scale of an ensemble), and where the weights are that lost their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import describe
from runtime.errors import StepError

Holder = tuple[str, bool]
"""Name of an initializer, and whether it holds the weight transposed."""
_KEY = "ulna.network"
_SCHEMA = 1
_EXTRA = "_extra_state"
_WATCHED = "network."
"""What compress.zoo.watched puts before every name."""


@dataclass(frozen=True)
class Origin:
    """network: see compress.zoo.checkpoint.describe. extra: extra states and single numbers by name.
    elsewhere: weights that the graph holds under another name, and whether transposed.
    """

    network: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)
    elsewhere: dict[str, Holder] = field(default_factory=dict)

    def extra_states(self) -> dict[str, Tensor]:
        """As `load_state_dict` takes them."""
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in self.extra.items()}


def write_origin(model: onnx.ModelProto, network: FractureNet) -> None:
    """Put it into the model's metadata, in place. Nothing in it names a file of this machine."""
    table = describe(network)
    table["options"] = _without_path(table["options"])
    if "members" in table:
        table["members"] = [_without_path(options) for options in table["members"]]
    state = network.state_dict()
    held = _initializers(model)
    extra = {name: value.tolist() for name, value in state.items() if _is_number(name, value, held)}
    elsewhere = dict(_elsewhere(held, network))
    said = {"schema": _SCHEMA, "network": table, "extra": extra, "elsewhere": elsewhere}
    entry = model.metadata_props.add()
    entry.key, entry.value = _KEY, json.dumps(said, sort_keys=True)


def read_origin(model: onnx.ModelProto) -> Origin | None:
    """None where the graph says nothing. Raises StepError for what this version does not understand."""
    text = next((entry.value for entry in model.metadata_props if entry.key == _KEY), None)
    if text is None:
        return None
    try:
        table = json.loads(text)
        if table["schema"] != _SCHEMA:
            raise ValueError(f"schema {table['schema']} is not {_SCHEMA}")
        elsewhere = {name: (holder, turned) for name, (holder, turned) in table["elsewhere"].items()}
        return Origin(dict(table["network"]), dict(table["extra"]), elsewhere)
    except (ValueError, KeyError, TypeError) as error:
        raise StepError(
            f"the graph's own description cannot be read: {error}", "use the version of Ulna that made it"
        ) from error


def weights_of(model: onnx.ModelProto, origin: Origin) -> dict[str, Tensor]:
    """The graph's weights under the names that they have in the network, copies of their own."""
    held = _initializers(model)
    named = {
        name: held[key].T if turned else held[key]
        for name, (key, turned) in origin.elsewhere.items()
        if key in held
    }
    return {name: torch.from_numpy(np.array(array, order="C")) for name, array in {**held, **named}.items()}


def _initializers(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    tensors = model.graph.initializer
    return {tensor.name.removeprefix(_WATCHED): numpy_helper.to_array(tensor) for tensor in tensors}


def _elsewhere(
    initializers: Mapping[str, NDArray[np.generic]], network: FractureNet
) -> Iterator[tuple[str, Holder]]:
    """Weights that are there under another name: matrices that were turned, values that two layers share.

    They are found by their values, so whatever is as good as the weight itself may be named. Normalisations
    are left out: where one is not there by name it went into a convolution.
    """
    for path, layer in network.named_modules():
        own = () if isinstance(layer, nn.BatchNorm2d) else layer.named_parameters(path, recurse=False)
        for name, parameter in own:
            if name in initializers:
                continue
            values = parameter.detach().numpy()
            for turned in (False, True):
                wanted = values.T if turned else values
                holder = next((key for key, it in initializers.items() if np.array_equal(it, wanted)), None)
                if holder is not None:
                    yield name, (holder, turned)
                    break


def _is_number(name: str, value: Tensor, held: Mapping[str, NDArray[np.generic]]) -> bool:
    """Extra states, and weights of one value: optimisers put equal ones of those under one name."""
    single = value.numel() == 1 and name in held and np.array_equal(held[name], value.numpy())
    return name.endswith(_EXTRA) or single


def _without_path(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "weights": ""}
