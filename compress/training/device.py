"""What a network is trained on, and with how many bits."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch
from torch import nn

from runtime.errors import StepError
from runtime.machine import describe

_BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Of processors that multiply bfloat16 in hardware; others only imitate it, slower than fp32."""


def training_device() -> torch.device:
    """A CUDA device where there is one; of several, the one that torchrun counts as this process's."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


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
