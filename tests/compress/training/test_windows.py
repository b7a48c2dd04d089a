"""Windows: half of them hold a fracture, masks belong to pixels, the unknown is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from compress.training.data import LabelledTensors
from compress.training.windows import WindowSampler, window_side_px
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec
from tests.compress.networks import spots

SPEC = PreprocessSpec(size_px=96)


def marked(count: int = 8) -> LabelledTensors:
    """Images in which a pixel is 1 exactly where the mask is, else 0; every other image is fractured."""
    data = spots(count, 96, seed=3)
    tensors = np.kron(data.masks, np.ones((4, 4)))[:, None].astype(np.float32)
    return replace(data, tensors=tensors)


def test_pixels_and_masks_are_cut_and_turned_together() -> None:
    images, masks = WindowSampler(marked(), SPEC).draw(64, np.random.default_rng(0))
    assert images.shape == (64, 1, 32, 32)
    assert masks.shape == (64, 1, 8, 8)
    assert np.array_equal(np.kron(masks.numpy()[:, 0], np.ones((4, 4))), images.numpy()[:, 0])


def test_every_other_window_holds_a_fracture_and_not_always_in_its_middle() -> None:
    _, masks = WindowSampler(marked(), SPEC).draw(80, np.random.default_rng(1))
    holds = masks.amax(dim=(1, 2, 3)).numpy()
    assert holds[::2].all()
    assert 0 < holds[1::2].mean() < 0.6
    middle = masks[::2, 0, 3:5, 3:5].amax(dim=(1, 2)).mean().item()
    assert 0.1 < middle < 0.9


def test_windows_without_a_fracture_are_cut_where_something_is() -> None:
    dark = marked()
    tensors = np.full_like(dark.tensors, -1.0)
    tensors[:, :, 60:90, 60:90] = 0.5
    data = LabelledTensors(tensors, dark.labels, dark.masks)
    images, _ = WindowSampler(data, SPEC).draw(60, np.random.default_rng(2))
    assert (images[1::2] > 0).flatten(1).any(dim=1).float().mean() > 0.9


def test_a_plate_that_is_dark_all_over_still_gives_windows() -> None:
    dark = marked()
    data = LabelledTensors(np.full_like(dark.tensors, -1.0), dark.labels, dark.masks)
    assert len(WindowSampler(data, SPEC).draw(8, np.random.default_rng(2))[0]) == 8


def test_a_fracture_that_nobody_outlined_is_never_drawn() -> None:
    data = marked()
    masks, tensors = data.masks.copy(), data.tensors.copy()
    masks[1], tensors[1] = 0, 7.0
    windows, _ = WindowSampler(LabelledTensors(tensors, data.labels, masks), SPEC).draw(
        200, np.random.default_rng(3)
    )
    assert windows.max() < 7


def test_every_outlined_fracture_gives_one_window_of_it() -> None:
    data = marked(10)
    numbers = np.arange(10, dtype=np.float32)[:, None, None, None]
    sampler = WindowSampler(replace(data, tensors=np.broadcast_to(numbers, data.tensors.shape)), SPEC)
    windows, masks = sampler.every_fracture(np.random.default_rng(0))
    assert windows.amax(dim=(1, 2, 3)).tolist() == [1, 3, 5, 7, 9]
    assert masks.amax(dim=(1, 2, 3)).all()
    assert sampler.fractured(6, np.random.default_rng(0))[1].amax(dim=(1, 2, 3)).all()


def test_healthy_windows_are_of_healthy_images_with_something_under_the_mask() -> None:
    data = marked(20)
    tensors = np.full_like(data.tensors, -1.0)
    tensors[:, :, 40:56, 40:56] = 0.5
    tensors[data.labels > 0.5] = 7.0
    masks = torch.zeros(40, 1, 8, 8)
    for number in range(40):
        row, column = number % 6, number // 7
        masks[number, 0, row : row + 2, column : column + 2] = 1
    sampler = WindowSampler(replace(data, tensors=tensors), SPEC)
    windows = sampler.healthy(masks, np.random.default_rng(1))
    assert windows.shape == (40, 1, 32, 32)
    assert windows.max() < 1
    beneath = torch.nn.functional.interpolate(masks, scale_factor=4) > 0
    assert ((windows > 0) & beneath).flatten(1).any(dim=1).all()


def test_healthy_windows_of_fractured_images_alone_are_refused() -> None:
    data = marked()
    sampler = WindowSampler(replace(data, labels=np.ones(len(data), np.float32)), SPEC)
    with pytest.raises(StepError, match="healthy"):
        sampler.healthy(torch.ones(1, 1, 8, 8), np.random.default_rng(0))


def test_the_same_generator_draws_the_same_windows_and_another_others() -> None:
    sampler = WindowSampler(spots(8, 96, seed=3), SPEC)
    first, again, other = (sampler.draw(8, np.random.default_rng(seed))[0].numpy() for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_data_without_any_box_is_refused() -> None:
    data = marked()
    with pytest.raises(StepError, match="boxes") as caught:
        WindowSampler(replace(data, masks=np.zeros_like(data.masks)), SPEC)
    assert "crop_epochs" in caught.value.hint


def test_an_image_smaller_than_a_window_is_refused() -> None:
    with pytest.raises(StepError):
        WindowSampler(spots(4, 28, seed=1), PreprocessSpec(size_px=28))


@pytest.mark.parametrize(("size_px", "side_px"), [(48, 32), (192, 64), (224, 64), (320, 96), (448, 128)])
def test_a_window_is_about_a_third_of_the_image(size_px: int, side_px: int) -> None:
    assert window_side_px(size_px) == side_px
