"""Published state dicts: the names of torchvision's files, gray filters, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from compress import zoo
from compress.zoo.base import FractureNet
from compress.zoo.options import ModelOptions
from runtime.errors import StepError
from tests.compress.networks import small_network, small_options

# Tensors and parameters of torchvision's files, classifier included, and some of their names.
PUBLISHED = {
    "resnet18": (122, 11_689_512, ("conv1.weight", "layer2.0.downsample.1.running_var", "layer4.1.bn2.bias")),
    "resnet50": (320, 25_557_032, ("bn1.weight", "layer1.0.downsample.0.weight", "layer4.2.conv3.weight")),
    "densenet121": (
        727,
        7_978_856,
        (
            "features.denseblock1.denselayer1.norm1.weight",
            "features.denseblock4.denselayer16.conv2.weight",
            "features.transition3.conv.weight",
            "features.norm5.running_mean",
        ),
    ),
}
_DENSE = re.compile(r"(denselayer\d+)\.layers\.(norm|conv)([12])")


def torchvision_names(name: str, network: FractureNet, old: bool = False) -> dict[str, Tensor]:
    """The state of the features as torchvision would have saved it, with a classifier for 1000 classes."""
    state = dict(network.features.state_dict())
    inside = network.head.classifier.in_channels
    if name == "densenet121":
        spelling = r"\1.\2.\3" if old else r"\1.\2\3"
        state = {"features." + _DENSE.sub(spelling, key): value for key, value in state.items()}
    classifier = "classifier" if name == "densenet121" else "fc"
    return state | {
        f"{classifier}.weight": torch.zeros(1000, inside),
        f"{classifier}.bias": torch.zeros(1000),
    }


def write(state: dict[str, Tensor], path: Path) -> str:
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    return str(path)


def with_weights(name: str, path: str, channels: int = 1) -> FractureNet:
    options = small_options(name, channels)
    return zoo.build(ModelOptions(name, path, options.width, channels), 64)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_names_and_counts_are_those_of_the_published_files(name: str) -> None:
    tensors, parameters, some = PUBLISHED[name]
    network = zoo.build(ModelOptions(name, channels=3), 64)
    state = torchvision_names(name, network)
    assert len(state) == tensors
    assert set(some) <= set(state)
    classifier = 1000 * (network.head.classifier.in_channels + 1)
    assert sum(value.numel() for value in network.features.parameters()) + classifier == parameters


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_give_the_published_features_on_gray_images(
    tmp_path: Path, name: str, suffix: str, channels: int
) -> None:
    reference = small_network(name, channels=3)
    path = write(torchvision_names(name, reference), tmp_path / f"weights{suffix}")
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = reference.features(images.repeat(1, 3, 1, 1))
        got = with_weights(name, path, channels).features(images.repeat(1, channels, 1, 1))
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))


def _nested(state: dict[str, Tensor]) -> dict[str, object]:
    return {"epoch": 3, "state_dict": state}


def _without_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize("change", [_nested, _without_counters])
def test_older_ways_to_save_them_are_read_too(
    tmp_path: Path, change: Callable[..., dict[str, Tensor]]
) -> None:
    reference = small_network("densenet121")
    state = torchvision_names("densenet121", reference, old=True)
    network = with_weights("densenet121", write(change(state), tmp_path / "weights.pth"))
    weights = (net.features.denseblock2.denselayer3.layers.conv2.weight for net in (network, reference))
    assert torch.equal(*weights)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    state = torchvision_names("resnet18", small_network("resnet18"))
    del state["layer1.0.bn1.weight"]
    state["layer2.0.conv1.weight"] = torch.zeros(3, 3)
    state["layer5.0.conv1.weight"] = torch.zeros(1)
    with pytest.raises(StepError) as caught:
        with_weights("resnet18", write(state, tmp_path / "weights.pth"))
    message = str(caught.value)
    assert "no layer1.0.bn1.weight" in message
    assert "layer5.0.conv1.weight is not in this network" in message
    assert "layer2.0.conv1.weight: expected (32, 16, 3, 3), got (3, 3)" in message


def test_weights_of_a_deeper_network_are_refused(tmp_path: Path) -> None:
    path = write(torchvision_names("resnet50", small_network("resnet50")), tmp_path / "weights.pth")
    with pytest.raises(StepError, match=r"do not fit.*and \d+ more"):
        with_weights("resnet18", path)


class _Trap:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.witness,)


def test_a_file_that_would_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"conv1.weight": _Trap(tmp_path / "ran")}, tmp_path / "weights.pth")
    with pytest.raises(StepError, match="cannot read the weights"):
        with_weights("resnet18", str(tmp_path / "weights.pth"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["gone.pth", "gone.safetensors", "garbage.pth", "garbage.safetensors"])
def test_a_missing_or_damaged_file_is_a_step_error_with_its_path(tmp_path: Path, name: str) -> None:
    if name.startswith("garbage"):
        (tmp_path / name).write_bytes(b"no weights at all")
    with pytest.raises(StepError, match=re.escape(name)):
        with_weights("resnet18", str(tmp_path / name))


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"accuracy": 0.9}, tmp_path / "weights.pth")
    with pytest.raises(StepError, match="holds no state dict"):
        with_weights("resnet18", str(tmp_path / "weights.pth"))


def test_a_linear_layer_on_a_flattened_image_is_summed_for_gray_too() -> None:
    colour, gray = small_network("ann", channels=3), small_network("ann")
    weights = [net.features[2].weight for net in (colour, gray)]
    assert weights[0].shape[1] == 3 * weights[1].shape[1]
    assert isinstance(gray.features[2], nn.Linear)
