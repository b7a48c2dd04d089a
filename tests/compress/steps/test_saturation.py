"""Whether INT8 arithmetic saturates, as engines show it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from compress.steps.quantize import reduces_range
from compress.steps.quantize_ort import measured_range
from compress.steps.saturation import saturates
from runtime import machine

_FLAGS = frozenset(machine.describe().cpu_flags)


def answer_under(isa: str) -> str:
    """Of OpenVINO, whose kernels can be told to leave newer instructions alone."""
    code = "from compress.steps.saturation import saturates; print(saturates('openvino'))"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.skipif("avx512f" not in _FLAGS, reason="this processor has no AVX-512 to be left without VNNI")
def test_kernels_without_vnni_are_seen_to_saturate() -> None:
    assert answer_under("AVX512_CORE") == "True"


@pytest.mark.skipif("avx512_vnni" not in _FLAGS, reason="this processor has no VNNI")
def test_kernels_with_vnni_are_seen_not_to() -> None:
    assert answer_under("AVX512_CORE_VNNI") == "False"
    assert not saturates("onnxruntime")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_what_was_measured_decides_and_the_record_says_so(engine: str) -> None:
    decision = measured_range(engine)
    assert decision.reduce_range == saturates(engine) == reduces_range(engine)
    assert decision.reason.startswith("measured: ")
    assert bool(decision.may_saturate_on) != decision.reduce_range


def test_what_is_asked_for_is_not_measured() -> None:
    assert measured_range("onnxruntime", wanted=True).reason == "asked for"


def test_tensorrt_does_not_saturate_and_an_unknown_engine_cannot_be_asked() -> None:
    assert not reduces_range("tensorrt")
    with pytest.raises(ValueError, match="one of onnxruntime, openvino, got 'tvm'"):
        saturates("tvm")
