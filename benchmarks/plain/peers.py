"""Two peers with the bundle's weights: eager PyTorch, and ONNX Runtime in FP32 as its examples show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.plain.decoding import tensor_of
from compress.improve.recover import recover
from compress.training.loop import use_all_cores
from compress.zoo.base import FractureNet
from compress.zoo.options import ModelOptions
from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.preprocess import PreprocessSpec

FLOAT = "onnxruntime-fp32"
Answer = Callable[[bytes], float]
"""From a file's bytes to a probability."""


def network_of(bundle: Bundle, sample: bytes) -> FractureNet:
    """The network behind the bundle's FP32 graph. Raises BundleError where it holds none."""
    return recover(float_graph(bundle), ModelOptions(), tensor_of(sample, bundle.manifest.preprocess))


def float_graph(bundle: Bundle) -> bytes:
    """The ONNX file of the FP32 engine."""
    for entry in bundle.manifest.engines:
        if entry.key == FLOAT and entry.runs:
            return bundle.read(entry.main)
    raise BundleError(f"the bundle holds no {FLOAT}", "release one with that target")


def eager_torch(network: FractureNet, spec: PreprocessSpec) -> Answer:
    """On all cores that this process may use."""
    import torch

    use_all_cores()
    network.eval()

    def answer(data: bytes) -> float:
        with torch.inference_mode():
            logit = network(torch.from_numpy(tensor_of(data, spec)))[0]
            return float(torch.sigmoid(logit).item())

    return answer


def plain_onnxruntime(graph: bytes, spec: PreprocessSpec) -> Answer:
    """A session with nothing set."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def answer(data: bytes) -> float:
        logit = float(np.asarray(session.run(["logit"], {name: tensor_of(data, spec)})[0]).reshape(-1)[0])
        return float(1.0 / (1.0 + np.exp(-logit)))

    return answer
