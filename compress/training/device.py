"""What a network is trained on, and with how many bits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from runtime.errors import StepError
from runtime.machine import describe

_BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Of processors that multiply bfloat16 in hardware; others only imitate it, slower than fp32."""


def training_device() -> torch.device:
    """A CUDA device where there is one; of several, the one that torchrun counts as this process's."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextmanager
def on_training_device(network: nn.Module) -> Iterator[None]:
    """There, channels last, which is what CPU kernels compute in: a fifth faster.

    It changes the layout, not the values. However the block ends, the network is again as it came.
    """
    network.to(device=training_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        yield
    finally:
        network.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Within it a GPU takes the kernels that give the same numbers every time, as a CPU's do.

    Torch warns of an operation that has none; between GPUs of two kinds, or versions of torch, numbers differ
    all the same. However the block ends, torch is set again as it was.
    """
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch warns without it
    asked, only_warned = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with _set(torch.backends.cudnn, deterministic=True, benchmark=False):
            yield
    finally:
        torch.use_deterministic_algorithms(asked, warn_only=only_warned)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Within it a GPU keeps all bits of fp32; its convolutions drop some otherwise (TF32)."""
    if device.type != "cuda":
        yield
        return
    with (
        _set(torch.backends.cudnn, allow_tf32=False),
        _set(torch.backends.cuda.matmul, allow_tf32=False),
    ):
        yield


@contextmanager
def _set(owner: Any, **wanted: bool) -> Iterator[None]:
    before = {name: getattr(owner, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


class SideStream:
    """Computes beside the training's own kernels, in another thread; on a CPU there is nothing to it."""

    def __init__(self, device: torch.device) -> None:
        self._stream = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def made(self, make: Callable[[], Tensor]) -> Tensor:
        """What `make` returns, whole: copies to a device wait for its stream, and this one is short."""
        if self._stream is None:
            return make()
        with torch.cuda.stream(self._stream):
            tensor = make()
        self._stream.synchronize()
        tensor.record_stream(torch.cuda.current_stream(tensor.device))
        return tensor


def device_of(network: nn.Module) -> torch.device:
    """Where its weights are."""
    return next(network.parameters()).device


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any(flag in _BF16_FLAGS for flag in describe().cpu_flags)


def resolve_precision(asked: str, device: torch.device) -> str:
    """ "fp32" or "bf16". Raises StepError where bf16 is asked for and the device has it not."""
    if asked == "bf16" and not has_bf16(device):
        raise StepError(f"this {device.type} device has no bfloat16", 'set precision = "auto"')
    if asked == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    return asked


def trained_on(asked: str) -> str:
    """For the record: the device that trainings get here, the precision of this wish, and torch's version."""
    device = training_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else describe().cpu
    return f"{name}, {resolve_precision(asked, device)}, torch {torch.__version__}"


def mixed_precision(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Within it convolutions and products are computed in `precision`; weights and losses stay fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
