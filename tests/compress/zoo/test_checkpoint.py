"""Checkpoints: what is written is what is read, and nothing else is read."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from compress.zoo.checkpoint import load_network, save_network
from compress.zoo.options import ModelOptions
from runtime.errors import StepError
from tests.compress.networks import networks_of_each_kind, random_network


def test_a_saved_network_answers_the_same_after_loading(tmp_path: Path) -> None:
    for network in networks_of_each_kind(64):
        save_network(network, tmp_path / "network.pt")
        again = load_network(tmp_path / "network.pt")
        images = torch.randn(2, 1, 64, 64)
        with torch.no_grad():
            assert torch.equal(network(images)[0], again(images)[0])
        assert again.options == network.options
        assert again.size_px == 64
        assert not again.training


def test_loading_a_pretrained_network_keeps_its_options_and_fetches_nothing(tmp_path: Path) -> None:
    network = random_network("efficientnet_lite0", 32)
    network.options = ModelOptions("efficientnet_lite0", weights="imagenet")
    save_network(network, tmp_path / "network.pt")
    again = load_network(tmp_path / "network.pt")
    assert again.options.weights == "imagenet"
    assert torch.equal(again.state_dict()["features.1.weight"], network.state_dict()["features.1.weight"])


def test_equal_networks_give_equal_bytes_under_any_name(tmp_path: Path) -> None:
    save_network(random_network("cnn", 48), tmp_path / "one.pt")
    save_network(random_network("cnn", 48), tmp_path / "two.bin")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.bin").read_bytes()


def test_only_the_checkpoint_is_left_in_the_folder(tmp_path: Path) -> None:
    save_network(random_network("cnn", 48), tmp_path / "network.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["network.pt"]


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    save_network(random_network("cnn", 48), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StepError, match=r"network\.pt"):
        load_network(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"gone\.pt"):
        load_network(tmp_path / "gone.pt")


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (witness,)

    torch.save({"schema": 1, "state": Trap()}, tmp_path / "network.pt", pickle_module=pickle)
    with pytest.raises(StepError):
        load_network(tmp_path / "network.pt")
    assert not witness.exists()


def test_a_foreign_torch_file_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, tmp_path / "network.pt")
    with pytest.raises(StepError, match="no checkpoint of this version"):
        load_network(tmp_path / "network.pt")


@pytest.mark.parametrize("missing", ["options", "size_px", "state"])
def test_a_checkpoint_with_a_part_missing_is_refused(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "network.pt"
    save_network(random_network("cnn", 48), path)
    table = torch.load(path, weights_only=True)
    del table[missing]
    torch.save(table, path)
    with pytest.raises(StepError, match=missing):
        load_network(path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    save_network(random_network("cnn", 48), path)
    table = torch.load(path, weights_only=True)
    table["options"]["name"] = "efficientnet_lite0"
    torch.save(table, path)
    with pytest.raises(StepError, match="holds no network"):
        load_network(path)
