"""Capsules: the paper's routing in plain loops, and a map that adds up."""

from __future__ import annotations

import numpy as np
import torch

from compress.zoo.capsnet import DigitCapsules, squash
from tests.compress.networks import small_network


def _squash(vector: np.ndarray) -> np.ndarray:
    square = float(vector @ vector)
    return vector * square / (1 + square) / np.sqrt(square + 1e-6)


def _route(votes: np.ndarray) -> np.ndarray:
    """Procedure 1 of the paper over (capsules, entities, 16) votes, three rounds: the digit capsules.

    A capsule is the mean over places here, and there are 4 capsules of different types at each.
    """
    capsules, entities, _ = votes.shape
    logits = np.zeros((capsules, entities))
    for number in range(3):
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        digit = (shares[:, :, None] * votes).sum(axis=0) / (capsules / 4)
        if number < 2:
            squashed = np.stack([_squash(vector) for vector in digit])
            logits += (votes * squashed).sum(axis=2)
    return digit


def test_routing_is_the_papers() -> None:
    torch.manual_seed(0)
    layer = DigitCapsules(types=4)
    primary = torch.randn(1, 4 * 8, 3, 5)
    with torch.no_grad():
        votes = layer.votes(primary).reshape(4, 2, 16, 15).permute(0, 3, 1, 2).reshape(60, 2, 16)
        lengths = layer(primary).mean(dim=(2, 3))[0]
    digit = _route(votes.double().numpy())
    np.testing.assert_allclose(lengths.numpy(), np.linalg.norm(digit, axis=1), atol=1e-4)


def test_places_whose_votes_agree_speak_loudest() -> None:
    torch.manual_seed(0)
    layer = DigitCapsules(types=4)
    primary = torch.randn(1, 32, 6, 6) * 0.2
    primary[0, :, 2:4, 2:4] = torch.randn(32, 1, 1)  # one pattern at four neighbours
    with torch.no_grad():
        evidence = layer(primary)[0, 0]
    others = torch.ones(6, 6, dtype=torch.bool)
    others[2:4, 2:4] = False
    assert evidence[2:4, 2:4].min() > evidence[others].max()


def test_squashing_keeps_the_direction_and_bounds_the_length() -> None:
    vectors = torch.randn(2, 3, 8, 5) * 10
    squashed = squash(vectors, dim=2)
    lengths = squashed.norm(dim=2)
    assert lengths.max() < 1
    assert torch.allclose(torch.cosine_similarity(vectors, squashed, dim=2), torch.ones(2, 3, 5), atol=1e-5)
    assert torch.isfinite(squash(torch.zeros(1, 1, 8, 1), dim=2)).all()


def test_the_logit_is_the_difference_of_the_capsules_lengths() -> None:
    network = small_network("capsnet")
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        lengths = network.features(images).mean(dim=(2, 3))
        logit = network(images)[0][:, 0]
    weight = network.head.classifier.weight.flatten()
    assert weight[0] > 0 > weight[1]
    assert torch.allclose(logit, lengths @ weight, atol=1e-4)
