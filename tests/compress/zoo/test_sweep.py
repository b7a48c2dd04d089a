"""The scan: a plain loop says what it must give."""

from __future__ import annotations

import pytest
import torch

from compress.zoo.sweep import HORIZONTAL, VERTICAL, Sweep, renet_layer, scan


@pytest.mark.parametrize("axis", [HORIZONTAL, VERTICAL])
@pytest.mark.parametrize("backward", [False, True])
def test_a_scan_is_the_recurrence_from_either_end(axis: int, backward: bool) -> None:
    keep, fresh = torch.rand(2, 3, 5, 4), torch.randn(2, 3, 5, 4)
    got = scan(keep, fresh, axis, backward).movedim(axis, 0)
    state = torch.zeros(got.shape[1:])
    steps = list(zip(keep.movedim(axis, 0), fresh.movedim(axis, 0), got, strict=True))
    for kept, new, found in reversed(steps) if backward else steps:
        state = kept * state + new
        assert torch.allclose(found, state, atol=1e-6)


def test_after_a_layer_every_place_has_seen_every_other() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Sequential(*renet_layer(2, 4)).eval()
    features = torch.randn(1, 2, 6, 6)
    moved = features.clone()
    moved[0, :, 5, 0] += 1
    with torch.no_grad():
        change = (layer(moved) - layer(features)).abs().amax(dim=1)
    assert (change > 0).all()


def test_states_stay_within_one_however_long_the_row() -> None:
    torch.manual_seed(0)
    sweep = Sweep(2, 4, HORIZONTAL)
    states: list[torch.Tensor] = []
    sweep.normalisation.register_forward_pre_hook(lambda _, given: states.append(given[0]))
    sweep.eval()(torch.full((1, 2, 1, 200), 50.0))
    assert states[0].abs().max() <= 1
