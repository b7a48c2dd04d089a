"""Visual words: memberships, their evidence, and the cells that they are learned from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compress.classical.sampling import CellSample, Sampler, cell_truth
from compress.classical.words import WordCounts, fit_vocabulary
from compress.training.data import LabelledTensors
from runtime.errors import StepError
from tests.compress.networks import spots

WIDTHS = (3, 2)


def clusters(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors (M, 5) about three centres far apart, with an offset and units of their own; and whose."""
    rng = np.random.default_rng(3)
    owner = np.arange(count) % 3
    centres = np.array([[0, 0, 0, 0, 0], [6, 0, 3, 0, 0], [0, 6, 0, 5, 0]], float)
    points = centres[owner] + rng.normal(0, 0.2, (count, 5))
    return (points * [1, 10, 0.1, 1, 1] + [100, 0, 0, 5, 0]).astype(np.float32), owner


def memberships(vocabulary: torch.nn.Module, descriptors: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return vocabulary(torch.from_numpy(descriptors.T[None, :, :, None].copy()))[0, :, :, 0].numpy().T


def test_every_cluster_gets_a_word_and_memberships_sum_to_one() -> None:
    descriptors, owner = clusters(300)
    shares = memberships(fit_vocabulary(descriptors, WIDTHS, 3, seed=1), descriptors)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    words = [set(shares[owner == cluster].argmax(axis=1)) for cluster in range(3)]
    assert [len(found) for found in words] == [1, 1, 1]
    assert len(set.union(*words)) == 3
    assert shares.max(axis=1).min() > 0.99


def test_the_same_seed_gives_the_same_words() -> None:
    descriptors, _ = clusters(200)
    first, again = (fit_vocabulary(descriptors, WIDTHS, 4, seed=7) for _ in range(2))
    assert torch.equal(first.nearness.weight, again.nearness.weight)


def test_a_feature_that_never_varies_gives_numbers_all_the_same() -> None:
    descriptors, _ = clusters(100)
    descriptors[:, 4] = 2
    assert np.isfinite(memberships(fit_vocabulary(descriptors, WIDTHS, 3, seed=1), descriptors)).all()


def test_more_words_than_descriptors_are_refused() -> None:
    with pytest.raises(StepError, match="5 visual words need at least as many descriptors, got 4"):
        fit_vocabulary(clusters(4)[0], WIDTHS, 5, seed=1)


def test_a_word_of_fractures_speaks_for_one_and_a_rare_word_says_little() -> None:
    evidence = WordCounts(np.array([400.0, 10.0, 1.0]), np.array([300.0, 9000.0, 0.0])).evidence()
    assert evidence[0] > 2
    assert evidence[1] < -2
    assert 0 < evidence[2] < 1


def test_counts_come_from_cells_of_which_the_truth_is_known() -> None:
    descriptors, owner = clusters(300)
    vocabulary = fit_vocabulary(descriptors, WIDTHS, 3, seed=1)
    sample = CellSample(descriptors, fractured=owner == 0, healthy=owner == 1)
    counts = WordCounts.of(sample, vocabulary)
    assert counts.inside.sum() == pytest.approx(100, abs=1e-3)
    assert counts.inside.argmax() != counts.outside.argmax()


def with_masks(masks: np.ndarray) -> LabelledTensors:
    data = spots(4, 32, seed=1)
    return LabelledTensors(data.tensors, data.labels, masks)


def test_a_cell_is_fractured_where_most_of_it_lies_in_a_box_and_healthy_where_none_does() -> None:
    masks = np.zeros((4, 8, 8), np.uint8)
    masks[1, 0, 0] = masks[1, 2:4, 2:4] = 1
    truth = cell_truth(with_masks(masks), 4)
    assert np.argwhere(truth.fractured[1]).tolist() == [[1, 1]]
    assert np.argwhere(~truth.healthy[1]).tolist() == [[0, 0], [1, 1]]
    assert truth.healthy[0].all()
    assert not truth.fractured[0].any()


def test_of_a_fracture_smaller_than_half_a_cell_the_cell_that_holds_most_counts() -> None:
    masks = np.zeros((4, 8, 8), np.uint8)
    masks[1, 0, 0] = 1
    truth = cell_truth(with_masks(masks), 4)
    assert np.argwhere(truth.fractured[1]).tolist() == [[0, 0]]


def test_nothing_is_known_of_the_cells_of_a_fracture_that_nobody_outlined() -> None:
    masks = np.zeros((4, 8, 8), np.uint8)
    masks[1, 0:2, 0:2] = 1
    truth = cell_truth(with_masks(masks), 4)
    assert not truth.healthy[3].any()
    assert not truth.fractured[3].any()


def test_where_nobody_outlined_any_cells_count_as_their_image() -> None:
    truth = cell_truth(with_masks(np.zeros((4, 8, 8), np.uint8)), 4)
    assert truth.fractured[1].all()
    assert truth.fractured[3].all()
    assert truth.healthy[0].all()
    assert not truth.healthy[1].any()


def test_the_cells_in_a_box_are_taken_whatever_the_draw() -> None:
    masks = np.zeros((4, 32, 32), np.uint8)
    masks[1, 4:8, 6:8] = 1
    data = LabelledTensors(np.zeros((4, 1, 128, 128), np.float32), np.array([0, 1, 0, 1], np.float32), masks)
    sampler = Sampler(cell_truth(data, 16), seed=1)
    for number in range(4):
        sampler.take(number, np.full((2, 16, 16), number, np.float32))
    sample = sampler.sample()
    assert sample.fractured.sum() == 2
    assert (sample.descriptors[sample.fractured] == 1).all()
    assert len(sample.descriptors) < 4 * 256
    assert not (sample.healthy & sample.fractured).any()
