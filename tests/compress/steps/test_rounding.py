from __future__ import annotations

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from compress.steps.fidelity import compare_backends
from compress.steps.graph import head_nodes
from compress.steps.rounding import QMAX, choose_integers, round_weights
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from tests.compress.steps import graphs


def case(seed: int, groups: int, outputs: int, terms: int, qmax: int):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(groups, outputs, terms)) * 10.0 ** rng.uniform(
        -6, 2, size=(groups, outputs, 1)
    )
    factor = rng.normal(size=(groups, terms, terms)) + 3 * rng.normal(size=(groups, terms, 1))
    covariance = factor @ factor.transpose(0, 2, 1) + 1e-6 * np.eye(terms)
    return weights, covariance, np.abs(weights).max(axis=2, keepdims=True) / qmax


def cost(integers, weights, covariance, steps):
    error = integers * steps - weights
    return np.einsum("goi,gij,goj->go", error, covariance, error)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 12),
    st.sampled_from([7, 64, 127]),
)
def test_no_channel_gets_worse_than_by_nearest_rounding(seed, groups, outputs, terms, qmax):
    weights, covariance, steps = case(seed, groups, outputs, terms, qmax)
    chosen = choose_integers(weights, covariance, steps, qmax)
    before = cost(np.round(weights / steps), weights, covariance, steps)
    assert np.abs(chosen).max() <= qmax
    assert (cost(chosen, weights, covariance, steps) <= before * (1 + 1e-9)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_largest_weight_keeps_the_grid_where_it_is(seed):
    weights, covariance, steps = case(seed, 2, 3, 9, QMAX)
    assert (np.abs(choose_integers(weights, covariance, steps, QMAX)).max(axis=2) == QMAX).all()


def test_two_four_sparsity_outlives_rounding() -> None:
    weights, covariance, _ = case(3, 1, 4, 16, 64)
    weights[..., 1::4] = 0
    weights[..., 2::4] = 0
    integers = choose_integers(weights, covariance, np.abs(weights).max(axis=2, keepdims=True) / 64, 64)
    assert not integers[weights == 0].any()
    assert integers[weights != 0].any()


def test_errors_that_add_up_are_made_to_cancel():
    # All inputs are one: only the sum of the errors counts, and every weight would be rounded up.
    weights = np.array([[[12.7, *[0.07] * 8]]])
    chosen = choose_integers(weights, np.ones((1, 9, 9)) + 1e-6 * np.eye(9), np.array([[[0.1]]]), QMAX)
    nearest = abs(np.round(weights / 0.1).sum() * 0.1 - weights.sum())
    assert abs(chosen.sum() * 0.1 - weights.sum()) < nearest / 4


def test_every_weight_but_the_heads_lies_on_the_grid():
    model = onnx.load_from_string(graphs.depthwise_bytes())
    rounded = round_weights(model, graphs.calibration())
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in rounded.graph.initializer}
    originals = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    head = head_nodes(model)
    for node in (node for node in rounded.graph.node if node.op_type == "Conv"):
        weights = values[node.input[1]]
        if node.name in head:
            np.testing.assert_array_equal(weights, originals[node.input[1]])
            continue
        flat = weights.reshape(len(weights), -1).astype(np.float64)
        steps = np.abs(originals[node.input[1]]).reshape(len(weights), -1).max(axis=1, keepdims=True) / QMAX
        assert np.abs(flat / steps - np.round(flat / steps)).max() < 1e-3


def test_depthwise_layers_keep_more_of_their_answer_than_by_nearest_rounding():
    model = onnx.load_from_string(graphs.depthwise_bytes())
    nearest = onnx.load_from_string(graphs.depthwise_bytes())
    tensors = {tensor.name: tensor for tensor in nearest.graph.initializer}
    for node in (
        node for node in nearest.graph.node if node.op_type == "Conv" and node.name not in head_nodes(model)
    ):
        tensor = tensors[node.input[1]]
        weights = numpy_helper.to_array(tensor)
        steps = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / 15
        tensor.CopyFrom(
            numpy_helper.from_array((np.round(weights / steps) * steps).astype(np.float32), tensor.name)
        )
    rounded = round_weights(model, graphs.calibration(), qmax=15)
    reference, plain, chosen = (
        OrtBackend(ModelFiles(item.SerializeToString())) for item in (model, nearest, rounded)
    )
    unseen = graphs.images(16, seed=5)
    gain = (
        compare_backends(reference, chosen, unseen).map_snr_db
        - compare_backends(reference, plain, unseen).map_snr_db
    )
    assert gain > 2


def test_the_graph_that_was_given_is_not_changed():
    model = graphs.residual()
    round_weights(model, graphs.calibration())
    assert model.SerializeToString() == graphs.residual_bytes()
