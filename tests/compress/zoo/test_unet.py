"""The U-Net: a mask at the stride asked for, with the fine levels in it."""

from __future__ import annotations

import pytest
import torch

from compress import zoo
from compress.zoo.options import ModelOptions


@pytest.mark.parametrize(("map_stride", "cells"), [(0, 24), (4, 24), (2, 48)])
def test_the_mask_has_the_stride_that_was_asked_for(map_stride: int, cells: int) -> None:
    network = zoo.build(ModelOptions("unet", width=0.5, map_stride=map_stride), 96)
    assert network.map_size() == (cells, cells)


@pytest.mark.parametrize("map_stride", [4, 2])
def test_a_pixel_reaches_its_own_cell_through_the_fine_levels(map_stride: int) -> None:
    """Without the connections across, cells inside one coarsest cell could not differ."""
    torch.manual_seed(0)
    network = zoo.build(ModelOptions("unet", map_stride=map_stride), 96)
    image = torch.zeros(1, 1, 96, 96)
    dotted = image.clone()
    dotted[0, 0, 48, 48] = 5.0
    with torch.no_grad():
        change = (network(dotted)[1] - network(image)[1])[0, 0].abs()
    coarse = 16 // map_stride
    place = 48 // map_stride
    inside = change[place : place + coarse, place : place + coarse]
    assert inside.std() > 0.1 * inside.mean()
    peak = divmod(int(change.argmax()), change.shape[1])
    assert max(abs(peak[0] - place), abs(peak[1] - place)) <= 8 // map_stride
