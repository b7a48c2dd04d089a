"""How far two networks have gone apart, tensor by tensor, and which layer it was. Pure judgement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compress.layers.base import LayerTensor

DIVERGES_BELOW_DB = 20.0
"""Noise of a tenth of the signal's amplitude. Eight bits keep every tensor of our trained networks of about
ten layers above it (22 to 30 dB at the lowest, in all three recipes); a scale wrong by four or a few bits too
few fall below it at once. EfficientNet-Lite0 of 50 layers falls below it after a fifth of its depth, to 8 dB,
and still passes its gate: so it says where to look, and the gate alone says whether that matters.
"""
EIGHT_BITS_DB = 40.0
"""What eight bits keep of normally distributed values, with a range of four standard deviations to either
side: 10 log10(12 (2^8 / 8)^2) = 40.9 dB. Images quantized by our recipes measure 39 to 47 dB.
"""


@dataclass(frozen=True)
class LayerSnr:
    """One tensor.

    snr_db: with inputs from the whole network, so with the noise of all layers before; None for a single
    value, which has no variance. drop_db: how much lower that is than the lowest of what it was made from.
    """

    name: str
    operator: str
    snr_db: float | None
    drop_db: float | None


@dataclass(frozen=True)
class LayerParity:
    """layers: compared ones, in topological order. missing: tensors of the reference that the candidate has
    not, because it fused or dropped them. images: compared.
    """

    layers: tuple[LayerSnr, ...]
    images: int
    missing: int = 0
    threshold_db: float = DIVERGES_BELOW_DB

    @property
    def first_diverging(self) -> LayerSnr | None:
        """The first in topological order below the threshold."""
        below = (item for item in self.layers if item.snr_db is not None and item.snr_db < self.threshold_db)
        return next(below, None)

    @property
    def worst_drop(self) -> LayerSnr | None:
        """The layer that destroys most; None where none loses anything."""
        losing = [item for item in self.layers if item.drop_db is not None and item.drop_db > 0]
        return max(losing, key=lambda item: item.drop_db or 0.0, default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain values, with what follows from them."""
        found = {"first_diverging": self.first_diverging, "worst_drop": self.worst_drop}
        return {
            **asdict(self),
            **{name: None if item is None else asdict(item) for name, item in found.items()},
        }

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> LayerParity:
        """What `to_json` wrote."""
        layers = tuple(LayerSnr(**row) for row in table["layers"])
        return cls(layers, table["images"], table["missing"], table["threshold_db"])


def with_drops(
    tensors: Sequence[LayerTensor], snr_db: Mapping[str, float | None], ceiling_db: float
) -> tuple[LayerSnr, ...]:
    """The tensors that were measured, each against the lowest of those it was made from, or the ceiling.

    tensors: all of the reference in topological order. What was not measured, or says nothing, is looked
    through to what it was made from. ceiling_db: what a tensor counts as that is better, and what the inputs
    come with: no rounding keeps an exact value exact, and the first layer that rounds would else look worst.
    """
    level: dict[str, float] = {}
    layers = []
    for tensor in tensors:
        before = min((level[name] for name in tensor.inputs if name in level), default=ceiling_db)
        found = snr_db.get(tensor.name)
        level[tensor.name] = before if found is None else min(found, ceiling_db)
        if tensor.name in snr_db:
            drop = None if found is None else round(before - level[tensor.name], 2)
            layers.append(LayerSnr(tensor.name, tensor.operator, found, drop))
    return tuple(layers)
