"""Precision: what is asked for is what runs, or a refusal."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.training import device
from compress.training.device import (
    full_precision,
    has_bf16,
    mixed_precision,
    repeatable,
    resolve_precision,
    trained_on,
)
from compress.training.loop import TrainRun, predict, train
from compress.training.options import TrainOptions
from runtime.errors import StepError
from runtime.machine import Machine, describe
from tests.compress.networks import random_network, spot_data

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def machine_with(monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    known = replace(describe(), cpu_flags=flags)

    def described() -> Machine:
        return known

    monkeypatch.setattr(device, "describe", described)


def test_a_processor_without_bfloat16_refuses_it_and_auto_takes_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, "avx2", "avx512f")
    with pytest.raises(StepError, match="bfloat16") as caught:
        resolve_precision("bf16", CPU)
    assert "auto" in caught.value.hint
    assert resolve_precision("auto", CPU) == resolve_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_bfloat16_uses_it_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    machine_with(monkeypatch, "avx2", flag)
    assert resolve_precision("bf16", CPU) == resolve_precision("auto", CPU) == "bf16"
    assert resolve_precision("fp32", CPU) == "fp32"


def test_mixed_precision_computes_in_bfloat16_and_keeps_weights_in_fp32() -> None:
    network = random_network("cnn", 48, width=0.5)
    with mixed_precision("bf16", CPU):
        assert network(torch.zeros(1, 1, 48, 48))[1].dtype == torch.bfloat16
    with mixed_precision("fp32", CPU):
        assert network(torch.zeros(1, 1, 48, 48))[1].dtype == torch.float32
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_the_record_names_machine_precision_and_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    machine_with(monkeypatch, "avx2")
    assert trained_on("auto") == f"{describe().cpu}, fp32, torch {torch.__version__}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_on_a_gpu_ends_on_the_processor_and_learns_about_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    options, losses = TrainOptions(epochs=2, batch_size=8, precision=precision), []
    for use_gpu in (True, False):
        if not use_gpu:
            monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        (folder := tmp_path / str(use_gpu)).mkdir()
        network = random_network("cnn", 48, width=0.5)
        here = options if use_gpu else replace(options, precision="fp32")
        history = train(network, spot_data(), here, TrainRun(folder, 3))
        assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
        losses.append([epoch.loss for epoch in history.epochs])
    assert np.allclose(*losses, rtol=0.1)


@pytest.mark.skipif(not has_bf16(CPU), reason="this processor has no bfloat16")
def test_training_in_bfloat16_learns_about_the_same_and_its_answers_are_fp32(tmp_path: Path) -> None:
    histories = {}
    for precision in ("fp32", "bf16"):
        (tmp_path / precision).mkdir()
        options = TrainOptions(epochs=2, batch_size=16, learning_rate=5e-3, precision=precision)
        network = random_network("cnn", 48, width=0.5)
        histories[precision] = train(network, spot_data(), options, TrainRun(tmp_path / precision, seed=1))
        assert predict(network, spot_data().calibration).dtype == np.float32
    full, mixed = ([epoch.loss for epoch in histories[name].epochs] for name in ("fp32", "bf16"))
    assert full != mixed
    assert mixed == pytest.approx(full, rel=0.1)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision"):
        TrainOptions(precision="fp16")


def flags() -> dict[str, bool]:
    """What torch is told of the kernels that it may take."""
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "only warned of": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn deterministic": torch.backends.cudnn.deterministic,
        "cudnn searches": torch.backends.cudnn.benchmark,
        "TF32 convolutions": torch.backends.cudnn.allow_tf32,
        "TF32 products": torch.backends.cuda.matmul.allow_tf32,
    }


def test_on_a_gpu_torch_is_asked_for_kernels_that_repeat_and_is_set_again_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = flags()
    with pytest.raises(KeyError), repeatable(CUDA):
        assert flags() == {
            **before,
            "deterministic": True,
            "only warned of": True,
            "cudnn deterministic": True,
            "cudnn searches": False,
        }
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
        raise KeyError
    assert flags() == before
    with repeatable(CPU):
        assert flags() == before


def test_logits_are_computed_on_a_gpu_with_all_bits_of_fp32() -> None:
    before = flags()
    with full_precision(CUDA):
        assert flags() == {**before, "TF32 convolutions": False, "TF32 products": False}
    assert flags() == before
    with full_precision(CPU):
        assert flags() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_trainings_on_a_gpu_end_with_equal_weights(tmp_path: Path, precision: str) -> None:
    options, ended = TrainOptions(epochs=2, crop_epochs=1, batch_size=8, precision=precision), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        network = random_network("cnn", 48, width=0.5)
        train(network, spot_data(), options, TrainRun(tmp_path / name, 3))
        ended.append(network.state_dict())
    for name, value in ended[0].items():
        assert torch.equal(value, ended[1][name]), name
