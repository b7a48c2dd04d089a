"""What this processor can do at best: large matrix products, in float and in eight bits."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

_SIDE = 1024
_REPEATS = 20


def float_gflops() -> float:
    """Of a float32 product by torch on all cores that this process may use."""
    import torch

    from compress.training.loop import use_all_cores

    use_all_cores()
    left, right = torch.rand(_SIDE, _SIDE), torch.rand(_SIDE, _SIDE)
    return _best(lambda: torch.mm(left, right))


def eight_bit_gops() -> float:
    """Of a product of unsigned by signed 8-bit values by ONNX Runtime."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    ends = {
        name: helper.make_tensor_value_info(name, kind, [_SIDE, _SIDE])
        for name, kind in (("a", TensorProto.UINT8), ("b", TensorProto.INT8), ("c", TensorProto.INT32))
    }
    node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "product", [ends["a"], ends["b"]], [ends["c"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(0)
    feeds = {
        "a": draw.integers(0, 256, (_SIDE, _SIDE)).astype(np.uint8),
        "b": draw.integers(-128, 128, (_SIDE, _SIDE)).astype(np.int8),
    }
    return _best(lambda: session.run(None, feeds))


def _best(product: Callable[[], object]) -> float:
    """10**9 operations a second (a multiplication and an addition are two), of the fastest of twenty."""
    fastest = float("inf")
    for _ in range(_REPEATS):
        started = time.perf_counter()
        product()
        fastest = min(fastest, time.perf_counter() - started)
    return 2 * _SIDE**3 / fastest / 1e9
