"""A checkpoint behaves as every other engine does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from compress.torch_backend import TorchBackend
from compress.zoo.checkpoint import save_network
from runtime.errors import InferenceError, StepError
from tests.compress.networks import random_network


@pytest.fixture
def backend(tmp_path: Path) -> TorchBackend:
    save_network(random_network("cnn", 48), tmp_path / "network.pt")
    return TorchBackend.from_file(tmp_path / "network.pt")


def images(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 1, 48, 48)).astype(np.float32)


def test_it_answers_as_the_network_does_for_any_batch(backend: TorchBackend) -> None:
    network = random_network("cnn", 48)
    for count in (1, 4):
        answer = backend.infer({"image": images(count)})
        with torch.no_grad():
            logit, evidence = network(torch.from_numpy(images(count)))
        assert np.array_equal(answer["logit"], logit.numpy())
        assert np.array_equal(answer["map"], evidence.numpy())


def test_it_says_what_it_wants_and_gives(backend: TorchBackend) -> None:
    assert [(info.name, info.shape, info.dtype) for info in backend.inputs] == [
        ("image", (None, 1, 48, 48), "float32")
    ]
    assert [(info.name, info.shape) for info in backend.outputs] == [
        ("logit", (None, 1)),
        ("map", (None, 1, 6, 6)),
    ]
    assert (backend.name, backend.device) == ("torch", "cpu")


def test_it_leaves_its_input_alone_and_its_outputs_to_the_caller(backend: TorchBackend) -> None:
    given = images()
    given.flags.writeable = False
    first = backend.infer({"image": given})
    kept = first["logit"].copy()
    first["map"][:] = 0
    second = backend.infer({"image": images(2) * 2})
    assert np.array_equal(first["logit"], kept)
    assert second["map"].any()
    assert np.array_equal(given, images())


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"picture": images()},
        {"image": images().astype(np.float64)},
        {"image": images()[:, :, :40]},
        {"image": images()[0]},
    ],
    ids=["nothing", "another name", "another dtype", "another size", "no batch"],
)
def test_what_the_model_does_not_take_is_refused(backend: TorchBackend, feeds: dict[str, np.ndarray]) -> None:
    with pytest.raises(InferenceError):
        backend.infer(feeds)


def test_a_closed_backend_refuses(backend: TorchBackend) -> None:
    backend.close()
    with pytest.raises(InferenceError, match="closed"):
        backend.infer({"image": images()})


def test_a_missing_checkpoint_is_a_step_error(tmp_path: Path) -> None:
    with pytest.raises(StepError):
        TorchBackend.from_file(tmp_path / "gone.pt")
