"""Edits of a graph: what is put before a tensor or behind an output is all that changes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from compress.faults import graphs
from tests.bundles import gap_network

_IMAGE = np.random.default_rng(1).normal(size=(1, 1, 64, 64)).astype(np.float32)


def _run(graph: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    onnx.checker.check_model(graph)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": _IMAGE}), strict=True))


def test_nodes_behind_an_output_change_that_output_alone() -> None:
    graph = onnx.load_from_string(gap_network(64))
    sound = _run(graph)
    graphs.behind(graph, "logit", [graphs.node("Neg", [graphs.sound("logit")], "logit")])
    edited = _run(graph)
    assert np.array_equal(edited["logit"], -sound["logit"])
    assert np.array_equal(edited["map"], sound["map"])


def test_nodes_before_a_tensor_reach_all_who_read_it() -> None:
    graph = onnx.load_from_string(gap_network(64))
    sound = _run(graph)
    by = graphs.constant(graph, "by", 2.0)
    graphs.before(graph, "image", [graphs.node("Mul", ["image", by], graphs.altered("image"))])
    features = _run(graph)["features"]
    assert np.allclose(features[:, 0], 2 * sound["features"][:, 0], atol=1e-5)  # the mean of the input
