"""Augmentation: images and masks move together, values stay in range, off is off."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from compress.training.augment import augment
from compress.training.options import AugmentOptions
from runtime.preprocess import PreprocessSpec

SPEC = PreprocessSpec(size_px=64)
OFF = AugmentOptions(rotate_degrees=0, flip=False, zoom=0, exposure=0, noise=0)


def scene(count: int = 8) -> tuple[Tensor, Tensor]:
    """A bright square off the middle on black, and the mask of the square."""
    images, masks = torch.full((count, 1, 64, 64), -1.0), torch.zeros(count, 1, 16, 16)
    images[:, :, 16:28, 36:48] = 0.6
    masks[:, :, 4:7, 9:12] = 1
    return images, masks


def centre(planes: Tensor) -> Tensor:
    """(N, 2) centre of mass in -1 to 1."""
    size = planes.shape[-1]
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    mass = planes.sum(dim=(1, 2, 3))
    x = (planes.sum(dim=(1, 2)) * axis).sum(dim=1) / mass
    y = (planes.sum(dim=(1, 3)) * axis).sum(dim=1) / mass
    return torch.stack([x, y], dim=1)


def test_everything_off_changes_nothing() -> None:
    images, masks = scene()
    changed, moved = augment(images, masks, OFF, SPEC, Generator().manual_seed(1))
    assert torch.allclose(images, changed, atol=1e-6)
    assert torch.equal(masks, moved)


@pytest.mark.parametrize(
    "options",
    [
        AugmentOptions(rotate_degrees=40, flip=False, zoom=0, exposure=0, noise=0),
        AugmentOptions(rotate_degrees=0, flip=True, zoom=0, exposure=0, noise=0),
        AugmentOptions(rotate_degrees=0, flip=False, zoom=0.3, exposure=0, noise=0),
        AugmentOptions(rotate_degrees=40, flip=True, zoom=0.3, exposure=0, noise=0),
    ],
)
def test_the_mask_stays_on_its_lesion(options: AugmentOptions) -> None:
    images, masks = augment(*scene(), options, SPEC, Generator().manual_seed(2))
    lesion = (images + 1) / 2
    assert torch.allclose(centre(lesion), centre(masks), atol=0.03)
    assert not torch.allclose(centre(lesion), centre((scene()[0] + 1) / 2), atol=0.05)


def test_the_same_seed_gives_the_same_batch_and_another_seed_another() -> None:
    first, again, other = (
        augment(*scene(), AugmentOptions(), SPEC, Generator().manual_seed(seed))[0] for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_image_of_a_batch_is_changed_in_its_own_way() -> None:
    images, _ = augment(*scene(2), AugmentOptions(), SPEC, Generator().manual_seed(3))
    assert not torch.allclose(images[0], images[1], atol=1e-2)


def test_values_stay_in_the_range_that_preprocessing_gives() -> None:
    spec = PreprocessSpec(size_px=64, mean=0.3, std=0.2)
    options = AugmentOptions(exposure=1.0, noise=0.5)
    images, _ = augment(*scene(), options, spec, Generator().manual_seed(4))
    assert images.min() >= (0 - 0.3) / 0.2 - 1e-5
    assert images.max() <= (1 - 0.3) / 0.2 + 1e-5


def test_exposure_leaves_black_black_and_keeps_the_order_of_brightness() -> None:
    ramp = torch.linspace(-1, 0.4, 64).expand(4, 1, 64, 64)
    options = AugmentOptions(rotate_degrees=0, flip=False, zoom=0, exposure=0.3, noise=0)
    images, _ = augment(ramp, torch.zeros(4, 1, 16, 16), options, SPEC, Generator().manual_seed(5))
    assert torch.allclose(images[..., 0], torch.tensor(-1.0))
    assert (images.diff(dim=-1) >= 0).all()
    assert not torch.allclose(images, ramp, atol=0.02)
