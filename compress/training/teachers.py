"""Whom a training follows: one network, or the mean of several."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.zoo.fused import in_words
from runtime.errors import StepError
from runtime.metadata import MetadataSpec

Teacher = nn.Module | Sequence[nn.Module]
"""One network of the zoo's outputs, or several."""


class MeanOfNetworks(nn.Module):
    """Mean logit and mean evidence map of several networks; maps take the size of the first one's."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """image (N, 1, S, S), and facts (N, D) where there are any -> (logit (N, 1), map (N, 1, h, w))."""
        logits, maps = zip(*(network(*inputs) for network in self.networks), strict=True)
        size = maps[0].shape[-2:]
        return torch.stack(logits).mean(dim=0), torch.stack([_resized(one, size) for one in maps]).mean(dim=0)


def one_teacher(teacher: Teacher | None) -> nn.Module | None:
    """What is asked for opinions; None where there is nobody."""
    if teacher is None or isinstance(teacher, nn.Module):
        return teacher
    if not teacher:
        return None
    return teacher[0] if len(teacher) == 1 else MeanOfNetworks(teacher)


def require_same_facts(teacher: Teacher | None, spec: MetadataSpec | None) -> None:
    """Raises StepError for teachers that take other facts of the patients than the data hold.

    spec: of the data. A teacher that looks at the picture alone can be followed with any.
    """
    whole = one_teacher(teacher)
    networks = list(whole.networks) if isinstance(whole, MeanOfNetworks) else [whole]
    others = {_taken(network) for network in networks} - {None, spec}
    if others:
        taken = " and ".join(sorted(in_words(other) for other in others))
        raise StepError(
            f"a teacher takes {taken}, recipe and data give {in_words(spec)}",
            "follow a network that was trained with the same [metadata], or one without",
        )


def _taken(network: nn.Module | None) -> MetadataSpec | None:
    found = getattr(network, "metadata", None)
    return found if isinstance(found, MetadataSpec) else None


def _resized(evidence: Tensor, size: torch.Size) -> Tensor:
    if evidence.shape[-2:] == size:
        return evidence
    return F.interpolate(evidence, list(size), mode="bilinear", align_corners=False)
