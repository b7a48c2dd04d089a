"""The inverse of a picture's tensor is the tensor of the inverse picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.preprocess import PreprocessSpec, inverted, preprocess
from runtime.radiograph import Radiograph


@given(
    height=st.integers(40, 300),
    width=st.integers(40, 300),
    bits=st.sampled_from([8, 10, 12, 16]),
    mean=st.floats(0.0, 1.0),
    seed=st.integers(0, 1000),
)
def test_it_is_the_tensor_of_the_inverse_picture(
    height: int, width: int, bits: int, mean: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    across = np.linspace(0.1, 0.9, width)[None] * np.linspace(0.5, 1.0, height)[:, None]
    unit = np.clip(across + random.normal(0, 0.03, (height, width)), 0, 1)
    radiograph = Radiograph((unit * ((1 << bits) - 1)).astype(np.uint16), bits, "0" * 64)
    spec = PreprocessSpec(size_px=96, mean=mean, std=0.25)

    turned = inverted(*preprocess(radiograph, spec), spec)
    expected, _ = preprocess(radiograph.inverted(), spec)
    assert turned is not None
    np.testing.assert_allclose(turned, expected, atol=1e-3)


def test_the_tensor_that_was_given_stays_as_it_is() -> None:
    radiograph = Radiograph(np.arange(64 * 48, dtype=np.uint16).reshape(64, 48), 12, "0" * 64)
    spec = PreprocessSpec(size_px=32)
    tensor, placement = preprocess(radiograph, spec)
    before = tensor.copy()
    inverted(tensor, placement, spec)
    assert np.array_equal(tensor, before)


def test_a_spec_that_treats_dark_and_bright_otherwise_has_none() -> None:
    radiograph = Radiograph(np.arange(64 * 48, dtype=np.uint16).reshape(64, 48), 12, "0" * 64)
    spec = PreprocessSpec(size_px=32, low_percentile=1.0, high_percentile=99.5)
    assert inverted(*preprocess(radiograph, spec), spec) is None
