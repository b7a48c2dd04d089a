"""Olive's user script: its data sets and what it takes for an answer. Imported by Olive alone, by path."""

from __future__ import annotations

from typing import Any

import numpy as np
from olive.data.registry import Registry
from torch.utils.data import Dataset


class _Radiographs(Dataset):  # type: ignore[misc, type-arg, unused-ignore]
    def __init__(self, images: Any, labels: Any) -> None:
        self._images, self._labels = images, labels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, place: int) -> tuple[dict[str, Any], int]:
        return {"image": self._images[place]}, int(self._labels[place])


@Registry.register_dataset()  # type: ignore[untyped-decorator, unused-ignore]
def radiographs(tensors: str, part: str, **_: Any) -> Any:
    """part: calibration or validation."""
    with np.load(tensors) as table:
        images = table[part]
        labels = table["labels"] if part == "validation" else np.zeros(len(images), np.int64)
    return _Radiographs(images, labels)


@Registry.register_post_process()  # type: ignore[untyped-decorator, unused-ignore]
def fractured(output: Any, **_: Any) -> Any:
    """Logits, or a graph's outputs by name, to answers of 0 and 1."""
    logits = output["logit"][:, 0] if hasattr(output, "keys") else output
    return (logits > 0).int()
