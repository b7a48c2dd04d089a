"""Features: what the papers define, on any image, alike in torch and in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compress.classical.features import DESCRIPTOR_WIDTHS, CellFeatures
from compress.classical.glcm import DISTANCES_PX, STATISTICS, GlcmCells
from compress.classical.graph import export_module
from compress.classical.hog import NOISE_FLOOR, HogCells, normalised_blocks
from compress.classical.lbp import RADII_PX, LbpCells, codes
from compress.classical.options import FEATURES
from runtime.backends.base import ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec
from tests.compress.classical import references

SIDE = 40


def texture(seed: int, side: int = SIDE) -> NDArray[np.float32]:
    """Smooth and rough parts, a flat corner as padding leaves it, in the unit range."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(side) / rng.uniform(1, 4))[:, None] * np.cos(np.arange(side) / rng.uniform(1, 4))
    image = np.clip(0.5 + 0.4 * waves + rng.normal(0, 0.05, (side, side)), 0, 1)
    image[: side // 3, : side // 3] = 0
    return image.astype(np.float32)


def batched(image: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(image)[None, None]


@pytest.mark.parametrize("seed", [1, 2])
def test_hog_votes_are_those_of_a_loop_over_the_pixels(seed: int) -> None:
    image = texture(seed)
    cells = HogCells()(batched(image))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(cells, references.hog_cells(image.astype(float)), atol=1e-6)


def test_a_hog_block_is_the_normalised_neighbourhood_of_its_cell() -> None:
    cells = HogCells()(batched(texture(3)))
    blocks = normalised_blocks(cells)[0].numpy()
    plain = cells[0].permute(1, 2, 0).double().numpy()
    for row, column in ((0, 0), (2, 3), (4, 4)):
        expected = references.hog_block(plain, row, column, NOISE_FLOOR)
        np.testing.assert_allclose(blocks[:, row, column], expected, atol=1e-6)


def test_hog_sees_the_direction_of_an_edge_and_not_its_sign() -> None:
    ramp = np.tile(np.linspace(0.2, 0.8, SIDE, dtype=np.float32), (SIDE, 1))
    upright, mirrored, lying = (
        HogCells()(batched(np.ascontiguousarray(i))) for i in (ramp, ramp[:, ::-1], ramp.T)
    )
    assert upright.sum(dim=(0, 2, 3)).argmax() == 4
    assert torch.allclose(upright.sum(dim=(2, 3)), mirrored.sum(dim=(2, 3)), atol=1e-5)
    assert {int(k) for k in lying.sum(dim=(0, 2, 3)).topk(2).indices} == {0, 8}


def test_a_flat_image_has_no_edges_and_nothing_that_is_not_a_number() -> None:
    features = CellFeatures(FEATURES, PreprocessSpec(size_px=SIDE))
    descriptors, summaries = features(torch.full((1, 1, SIDE, SIDE), -1.0))
    assert torch.isfinite(descriptors).all()
    assert torch.isfinite(summaries).all()
    assert not descriptors[:, : DESCRIPTOR_WIDTHS["hog"]].any()


@pytest.mark.parametrize("radius", RADII_PX)
def test_lbp_codes_are_those_of_a_loop_over_the_pixels(radius: int) -> None:
    image = texture(4)
    found = codes(batched(image), radius)[0, 0].numpy().astype(int)
    np.testing.assert_array_equal(found, references.lbp_codes(image, radius))
    assert set(np.unique(found)) > {0, 4, 8, 9}


def test_lbp_histograms_sum_to_one_and_do_not_change_with_exposure_or_a_quarter_turn() -> None:
    image = texture(5)
    shares = LbpCells()(batched(image))
    brighter = LbpCells()(batched(image * np.float32(0.5)))
    turned = LbpCells()(batched(np.rot90(image).copy()))
    assert torch.allclose(shares[:, :10].sum(dim=1), torch.ones(1, 5, 5))
    assert torch.allclose(shares, brighter)
    assert torch.allclose(torch.rot90(shares, dims=(2, 3)), turned, atol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES_PX)
def test_glcm_counts_are_those_of_a_loop_over_the_pairs(distance: int) -> None:
    image = texture(6, side=24)
    module = GlcmCells()
    shares = module.shares(module.levels(batched(image)), distance)[0, :, 1, 1].numpy().reshape(8, 8)
    expected = references.glcm(image.astype(float), distance, range(24), range(24))
    np.testing.assert_allclose(shares, expected, atol=1e-6)


def test_glcm_statistics_are_haralicks() -> None:
    image = texture(7, side=24)
    found = GlcmCells()(batched(image))[0, :, 1, 1].numpy()
    for start, distance in zip((0, len(STATISTICS)), DISTANCES_PX, strict=True):
        shares = references.glcm(image.astype(float), distance, range(24), range(24))
        expected = references.haralick(shares)
        for name, value in zip(STATISTICS, found[start:], strict=False):
            assert value == pytest.approx(expected[name], abs=2e-3), name


def test_the_top_of_the_range_belongs_to_the_last_level_and_every_pixel_to_one() -> None:
    levels = GlcmCells().levels(batched(np.linspace(0, 1, SIDE**2, dtype=np.float32).reshape(SIDE, SIDE)))
    assert torch.equal(levels.sum(dim=1), torch.ones(1, SIDE, SIDE))
    assert levels[0, 7, -1, -1] == 1
    assert levels[0, 0, 0, 0] == 1


@pytest.mark.parametrize("names", [FEATURES, ("lbp",), ("glcm", "hog")])
def test_onnx_runtime_computes_what_torch_computes_at_any_batch_size(names: tuple[str, ...]) -> None:
    features = CellFeatures(names, PreprocessSpec(size_px=SIDE, mean=0.3, std=0.4))
    model = export_module(features, {"image": torch.zeros(1, 1, SIDE, SIDE)}, ("descriptors", "summaries"))
    backend = OrtBackend(ModelFiles(model.SerializeToString()))
    for count in (1, 3):
        images = np.stack([texture(seed) for seed in range(count)])[:, None] / np.float32(0.4) - np.float32(
            0.75
        )
        expected = features(torch.from_numpy(images))
        got = backend.infer({"image": images})
        for name, wanted in zip(("descriptors", "summaries"), expected, strict=True):
            np.testing.assert_allclose(got[name], wanted.numpy(), atol=2e-5)
    assert got["descriptors"].shape[1] == sum(features.descriptor_widths)


def test_a_side_of_no_whole_number_of_cells_is_resampled_to_the_next_one() -> None:
    image = batched(texture(7, 60))
    stretched = torch.nn.functional.interpolate(image, [64, 64], mode="bilinear", align_corners=False)
    got = CellFeatures(FEATURES, PreprocessSpec(size_px=60))(image)
    for own, expected in zip(got, CellFeatures(FEATURES, PreprocessSpec(size_px=64))(stretched), strict=True):
        assert own.shape[2:] == (8, 8)
        torch.testing.assert_close(own, expected)


def test_an_input_of_too_few_cells_is_refused() -> None:
    with pytest.raises(StepError, match="at least 32 px, got 31 px") as caught:
        CellFeatures(FEATURES, PreprocessSpec(size_px=31))
    assert "size_px" in caught.value.hint
