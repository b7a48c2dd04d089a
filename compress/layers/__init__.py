"""Layer-wise parity: where in the network does a quantized or compiled model part from its original?

The answer's own fidelity (compress.steps.fidelity) says how much was lost; this says in which layer.
"""

from compress.layers.base import Feed, LayeredModel, LayerTensor
from compress.layers.compare import LayerOptions, compare_cases, compare_layers, first_divergence
from compress.layers.opening import open_layers, open_pair
from compress.layers.parity import LayerParity, LayerSnr

__all__ = [
    "Feed",
    "LayerOptions",
    "LayerParity",
    "LayerSnr",
    "LayerTensor",
    "LayeredModel",
    "compare_cases",
    "compare_layers",
    "first_divergence",
    "open_layers",
    "open_pair",
]
