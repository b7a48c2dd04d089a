"""Augmentation: images and masks move together, values stay in range, off is off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from compress.training.augment import augment, change_images, lit_field, move_masks
from compress.training.draws import draw
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
        replace(OFF, shift=0.2),
        replace(OFF, elastic=0.05),
        AugmentOptions(rotate_degrees=20, flip=True, zoom=0.2, exposure=0, noise=0, shift=0.1, elastic=0.03),
    ],
)
def test_the_mask_stays_on_its_lesion(options: AugmentOptions) -> None:
    images, masks = augment(*scene(), options, SPEC, Generator().manual_seed(2))
    lesion = (images + 1) / 2
    assert torch.allclose(centre(lesion), centre(masks), atol=0.03)
    assert not torch.allclose(centre(lesion), centre((scene()[0] + 1) / 2), atol=0.02)


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


ALL = AugmentOptions(shift=0.1, elastic=0.02, contrast=0.3, blur_px=1.5, sharpen=2.0, collimation=0.3)


def test_everything_on_is_reproducible_by_seed_and_differs_from_image_to_image() -> None:
    first, again, other = (augment(*scene(), ALL, SPEC, Generator().manual_seed(n)) for n in (5, 5, 6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert not torch.allclose(first[0][0], first[0][1], atol=1e-2)


def test_a_share_of_the_draws_changes_its_images_as_the_whole_does() -> None:
    images, masks = scene(8)
    draws = draw(8, 64, ALL, Generator().manual_seed(5))
    moved = move_masks(masks, draws)
    whole = change_images(images, moved, draws, ALL, SPEC)
    rows = slice(2, 5)
    part = change_images(images[rows], moved[rows], draws.share(rows), ALL, SPEC)
    assert torch.allclose(whole[rows], part, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("options", [AugmentOptions(), ALL], ids=["usual", "all"])
def test_a_gpu_makes_of_a_draw_what_the_processor_makes_of_it(options: AugmentOptions) -> None:
    images, masks = scene(8)
    draws, cuda = draw(8, 64, options, Generator().manual_seed(5)), torch.device("cuda")
    moved = move_masks(masks, draws)
    here = change_images(images, moved, draws, options, SPEC)
    there = change_images(images.to(cuda), moved.to(cuda), draws.to(cuda), options, SPEC)
    assert there.device.type == "cuda"
    assert torch.allclose(here, there.cpu(), atol=1e-3)


@settings(max_examples=30)
@given(
    borders=st.lists(st.floats(0, 0.5), min_size=4, max_size=4),
    corner=st.tuples(st.integers(0, 14), st.integers(0, 14)),
    size=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_no_border_covers_an_outlined_fracture(
    borders: list[float], corner: tuple[int, int], size: tuple[int, int]
) -> None:
    mask = torch.zeros(1, 1, 16, 16)
    rows, columns = (slice(start, start + length) for start, length in zip(corner, size, strict=True))
    mask[:, :, rows, columns] = 1
    lit = lit_field(mask, torch.tensor([borders]), 64)
    assert lit[0, 0, rows.start * 4 : rows.stop * 4, columns.start * 4 : columns.stop * 4].all()


def test_borders_are_dark_as_wide_as_drawn_and_nowhere_else() -> None:
    lit = lit_field(torch.zeros(1, 1, 16, 16), torch.tensor([[0.25, 0.0, 0.125, 0.5]]), 64)[0, 0]
    expected = torch.zeros(64, 64)
    expected[:32, 16:56] = 1
    assert torch.equal(lit, expected)


def test_collimation_blackens_borders_of_images_and_spares_those_that_are_marked() -> None:
    options = replace(OFF, collimation=0.4)
    images, masks = torch.full((64, 1, 64, 64), 0.5), torch.zeros(64, 1, 16, 16)
    draws = draw(64, 64, options, Generator().manual_seed(1)).sparing(torch.arange(64) < 32)
    changed = change_images(images, masks, draws, options, SPEC)
    assert torch.allclose(changed[:32], images[:32])
    dark = (changed[32:] == -1).float().mean(dim=(1, 2, 3))
    assert 0.1 < dark.mean() < 0.5
    assert torch.allclose(changed[changed > -1], torch.tensor(0.5))
    assert (changed[:, :, 32, 32] > -1).all()


def test_blur_lowers_and_sharpening_raises_detail() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((32, 1, 64, 64), generator=generator) * 0.5 - 0.25
    masks = torch.zeros(32, 1, 16, 16)
    detail = images.diff(dim=-1).abs().mean(dim=(1, 2, 3))
    for options, sign in ((replace(OFF, blur_px=2.0), -1), (replace(OFF, sharpen=2.0), 1)):
        changed, _ = augment(images, masks, options, SPEC, Generator().manual_seed(3))
        change = sign * (changed.diff(dim=-1).abs().mean(dim=(1, 2, 3)) - detail)
        assert (change > -1e-4).all()
        assert 5 < (change > 1e-3).sum() < 27


def test_contrast_keeps_the_darkest_and_the_brightest_and_the_order() -> None:
    ramp = torch.linspace(-0.8, 0.6, 64).expand(4, 1, 64, 64)
    options = replace(OFF, contrast=0.5)
    changed, _ = augment(ramp, torch.zeros(4, 1, 16, 16), options, SPEC, Generator().manual_seed(5))
    assert torch.allclose(changed[..., 0], ramp[..., 0], atol=1e-4)
    assert torch.allclose(changed[..., -1], ramp[..., -1], atol=1e-4)
    assert (changed.diff(dim=-1) >= 0).all()
    assert not torch.allclose(changed, ramp, atol=0.02)


def test_elastic_bending_never_folds() -> None:
    ramp = torch.linspace(-0.9, 0.9, 64).expand(16, 1, 64, 64)
    bent, _ = augment(ramp, torch.zeros(16, 1, 16, 16), replace(OFF, elastic=0.05), SPEC, Generator())
    inner = bent[:, :, 8:-8, 8:-8]
    assert (inner.diff(dim=-1) > 0).all()
    assert not np.allclose(inner, ramp[:, :, 8:-8, 8:-8], atol=0.02)


@pytest.mark.parametrize(
    "wrong",
    [{"shift": 0.6}, {"elastic": 0.1}, {"contrast": -1.0}, {"blur_px": 11.0}, {"collimation": 0.7}],
)
def test_impossible_strengths_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AugmentOptions(**wrong)  # type: ignore[arg-type]
