"""Several networks as one: means of logits and maps, one file, one scale of logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from compress import zoo
from compress.training.data import LabelledTensors
from compress.training.loop import predict
from compress.training.match import calibrate_logits
from compress.zoo.base import FractureNet
from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.cost import cost_of
from compress.zoo.ensemble import Ensemble, enlarged
from compress.zoo.options import ModelOptions
from compress.zoo.watched import WatchedNet
from runtime.errors import RecipeError, StepError
from tests.compress.networks import random_network, small_network, spots

SIZE_PX = 64


def mixed() -> Ensemble:
    """Maps of three sizes."""
    return Ensemble([small_network(name, SIZE_PX) for name in ("unet", "cnn", "vit")]).eval()


def seeds(count: int = 3) -> list[FractureNet]:
    return [random_network("cnn", SIZE_PX, seed, width=0.5) for seed in range(count)]


def test_the_logit_is_the_mean_of_the_members_logits() -> None:
    ensemble, images = mixed(), torch.randn(3, 1, SIZE_PX, SIZE_PX)
    with torch.no_grad():
        logits = [member(images)[0] for member in ensemble.members]
        assert torch.allclose(ensemble(images)[0], torch.stack(logits).mean(dim=0), atol=1e-5)


def test_maps_of_one_size_are_averaged_cell_by_cell() -> None:
    members, images = seeds(), torch.randn(2, 1, SIZE_PX, SIZE_PX)
    with torch.no_grad():
        maps = [member(images)[1] for member in members]
        assert torch.allclose(Ensemble(members)(images)[1], torch.stack(maps).mean(dim=0), atol=1e-5)


def test_coarser_maps_come_to_the_finest_ones_cells() -> None:
    ensemble = mixed()
    sizes = [member.map_size() for member in ensemble.members]
    assert len(set(sizes)) == 3
    assert ensemble.map_size() == max(sizes)


@pytest.mark.parametrize(("own", "cells"), [(8, 12), (7, 8), (2, 16), (7, 56), (12, 13), (3, 64)])
def test_an_enlarged_map_has_the_cells_asked_for_and_keeps_a_peak_in_its_place(own: int, cells: int) -> None:
    evidence = torch.zeros(1, 1, own, own)
    evidence[0, 0, 1, own - 2] = 1.0
    large = enlarged(evidence, cells)
    assert large.shape == (1, 1, cells, cells)
    row, column = divmod(int(large.flatten().argmax()), cells)
    assert abs((row + 0.5) / cells - 1.5 / own) <= 0.5 / own + 0.5 / cells
    assert abs((column + 0.5) / cells - (own - 1.5) / own) <= 0.5 / own + 0.5 / cells


def test_the_logit_is_never_below_what_the_mean_map_would_pool_to() -> None:
    from compress.zoo.base import EvidenceHead, pool

    members, images = seeds(), torch.randn(8, 1, SIZE_PX, SIZE_PX)
    head = members[0].head
    assert isinstance(head, EvidenceHead)
    with torch.no_grad():
        logit, evidence = Ensemble(members)(images)
        assert (logit >= pool(evidence, head.sharpness) - 1e-5).all()


def test_a_saved_ensemble_answers_the_same_and_knows_its_members(tmp_path: Path) -> None:
    ensemble = mixed()
    ensemble.head.rescale(1.7, -0.4)
    save_network(ensemble, tmp_path / "network.pt")
    again = load_network(tmp_path / "network.pt")
    images = torch.randn(2, 1, SIZE_PX, SIZE_PX)
    with torch.no_grad():
        for wanted, got in zip(ensemble(images), again(images), strict=True):
            assert torch.equal(wanted, got)
    assert [member.options for member in again.members] == [member.options for member in ensemble.members]
    assert (again.options.name, again.size_px, again.training) == ("ensemble", SIZE_PX, False)


def test_a_checkpoint_of_one_network_holds_no_members(tmp_path: Path) -> None:
    save_network(small_network("cnn"), tmp_path / "network.pt")
    assert "members" not in torch.load(tmp_path / "network.pt", weights_only=True)


def test_an_ensemble_file_that_lost_a_member_is_refused(tmp_path: Path) -> None:
    save_network(mixed(), tmp_path / "network.pt")
    table = torch.load(tmp_path / "network.pt", weights_only=True)
    for members in (table["members"][:1], table["members"][:2]):
        torch.save({**table, "members": members}, tmp_path / "network.pt")
        with pytest.raises(StepError, match="holds no network"):
            load_network(tmp_path / "network.pt")


@pytest.mark.parametrize("scale", [0.4, 3.0])
def test_a_change_of_scale_is_exact_adds_up_and_leaves_the_members_alone(scale: float) -> None:
    ensemble, images = mixed(), torch.randn(2, 1, SIZE_PX, SIZE_PX)
    with torch.no_grad():
        before, own = ensemble(images), ensemble.members[0](images)[0]
        ensemble.head.rescale(scale, -0.7)
        ensemble.head.rescale(2.0, 0.1)
        for old, new in zip(before, ensemble(images), strict=True):
            assert torch.allclose(new, 2 * (scale * old - 0.7) + 0.1, atol=1e-4)
        assert torch.equal(ensemble.members[0](images)[0], own)


def test_calibrated_logits_keep_their_order_and_need_no_second_calibration() -> None:
    ensemble, images = Ensemble(seeds()).eval(), spots(24, SIZE_PX, seed=3)
    ensemble.head.rescale(20.0, 0.0)  # untrained logits hardly vary
    before = predict(ensemble, images)
    calibrate_logits(ensemble, images)
    again = calibrate_logits(ensemble, images)
    assert np.array_equal(np.argsort(before), np.argsort(predict(ensemble, images)))
    assert again.scale == pytest.approx(1.0, abs=1e-3)
    assert again.shift == pytest.approx(0.0, abs=1e-3)


def test_an_ensemble_costs_what_its_members_cost() -> None:
    members = seeds()
    assert cost_of(Ensemble(members)).macs == sum(cost_of(member).macs for member in members)


def test_features_are_those_of_the_first_member() -> None:
    ensemble, images = mixed(), torch.randn(2, 1, SIZE_PX, SIZE_PX)
    with torch.no_grad():
        wanted = WatchedNet(ensemble.members[0])(images)[2]
        assert torch.equal(WatchedNet(ensemble)(images)[2], wanted)


def test_stages_hold_every_parameter_once() -> None:
    ensemble = mixed()
    held = [id(p) for stage in ensemble.stages() for p in stage.parameters()]
    assert sorted(held) == sorted(id(p) for p in ensemble.parameters())


def test_one_network_or_two_sizes_make_no_ensemble() -> None:
    with pytest.raises(ValueError, match="two networks or more"):
        Ensemble(seeds(1))
    with pytest.raises(ValueError, match=r"one input size, got \[32, 64\]"):
        Ensemble([small_network("cnn", 32), small_network("cnn", 64)])


def test_a_recipe_names_an_ensemble_by_its_file(tmp_path: Path) -> None:
    ensemble, options = mixed(), ModelOptions("ensemble", weights=str(tmp_path / "network.pt"))
    save_network(ensemble, tmp_path / "network.pt")
    found = zoo.build(options, SIZE_PX)
    images = torch.randn(1, 1, SIZE_PX, SIZE_PX)
    with torch.no_grad():
        assert torch.equal(found(images)[0], ensemble(images)[0])
    assert found.options == options


@pytest.mark.parametrize(
    ("weights", "size_px", "message"),
    [
        ("", SIZE_PX, "made of trained networks"),
        ("one.pt", SIZE_PX, "holds no ensemble, but cnn"),
        ("network.pt", 32, "reads 64 px, the recipe asks for 32 px"),
    ],
)
def test_a_recipe_that_asks_for_what_is_no_ensemble_is_refused(
    tmp_path: Path, weights: str, size_px: int, message: str
) -> None:
    save_network(mixed(), tmp_path / "network.pt")
    save_network(small_network("cnn"), tmp_path / "one.pt")
    named = str(tmp_path / weights) if weights else ""
    with pytest.raises(RecipeError, match=message):
        zoo.build(ModelOptions("ensemble", weights=named), size_px)


def test_a_student_follows_an_ensemble_and_takes_its_scale(tmp_path: Path) -> None:
    from compress.steps.train import finetune_network
    from compress.training.loop import TrainRun
    from compress.training.options import TrainOptions
    from tests.compress.networks import spot_data

    save_network(Ensemble([random_network("cnn", 48, seed, width=0.5) for seed in (0, 1)]), tmp_path / "e.pt")
    teacher, data = load_network(tmp_path / "e.pt"), spot_data()
    student = random_network("cnn", 48, 2, width=0.5)
    wanted = predict(teacher, data.calibration)
    before = np.abs(predict(student, data.calibration) - wanted).mean()
    options = TrainOptions(epochs=4, batch_size=16, learning_rate=5e-3, distill_weight=1.0)
    finetune_network(student, data, options, TrainRun(tmp_path, seed=1, teacher=[teacher]))
    after = predict(student, data.calibration)
    assert np.abs(after - wanted).mean() < 0.5 * before
    assert after.std() == pytest.approx(wanted.std(), rel=1e-2)


def test_training_of_no_epochs_keeps_the_members_and_calibrates_the_whole(tmp_path: Path) -> None:
    from compress.steps.train import train_network
    from compress.training.loop import TrainRun
    from compress.training.options import TrainOptions
    from tests.compress.networks import spot_data

    ensemble = Ensemble([random_network("cnn", 48, seed, width=0.5) for seed in (0, 1)])
    save_network(ensemble, tmp_path / "e.pt")
    model, data = ModelOptions("ensemble", weights=str(tmp_path / "e.pt")), spot_data()
    run = TrainRun(tmp_path, seed=1, teacher=None)
    facts = train_network(model, data, TrainOptions(epochs=0), run, calibrate=True).facts
    made = load_network(tmp_path / "network.pt")
    match, images = facts["logit_match"], LabelledTensors(**vars(data.calibration))
    wanted = match["scale"] * predict(ensemble, images) + match["shift"]
    np.testing.assert_allclose(predict(made, images), wanted, atol=1e-4)
    for name, tensor in ensemble.members[1].state_dict().items():
        assert torch.equal(made.members[1].state_dict()[name], tensor)
