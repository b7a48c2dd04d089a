"""Holds the features of a network near those of another one while it is trained.

Statistics that tell strange pictures were fitted to features (compress.anomaly); a network whose features
wander is told that familiar radiographs are strange, though its answers are right. What it costs is measured
as the statistics measure it: the distance between both features of the same image, of which 1 is what nearly
all familiar radiographs keep from their mean. Like the teacher's answers (compress.training.losses), features
that are far apart pull no harder than others: the root makes the price of a long way grow with the way, not
with its square (Charbonnier et al. 1994, "Two deterministic half-quadratic regularization algorithms for
computed imaging").
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from compress.zoo.base import FractureNet
from compress.zoo.watched import FeatureTap
from runtime.anomaly import FeatureStatistics


def _as_it_is(value: Tensor) -> Tensor:
    return value


@dataclass(frozen=True, eq=False)
class FeatureTie:
    """own, wanted: features of the network that is trained, and those it must keep, of the same images.

    whitening: (k, F), what makes a difference of features a distance. weight: of the price in the loss.
    """

    own: FeatureTap
    wanted: FeatureTap
    whitening: Tensor
    weight: float

    @property
    def facts(self) -> dict[str, Any]:
        """What a training that goes on must have in common with its beginning."""
        return {"weight": self.weight}

    def loss(self, whole: Callable[[Tensor], Tensor] = _as_it_is) -> Tensor:
        """Of the forward passes that both have just made. whole: a process's share -> all the batch."""
        own, wanted = whole(self.own.take()), whole(self.wanted.take())
        return self.weight * price(own, wanted[: len(own)], self.whitening)


def price(own: Tensor, wanted: Tensor, whitening: Tensor) -> Tensor:
    """Of (N, F) features beside those they should be: nothing where they are the same, then ever more."""
    apart = (own.float() - wanted.float()) @ whitening.to(own.device).T
    return (torch.sqrt(1 + apart.square().sum(dim=1)) - 1).mean()


class Accompanied(nn.Module):
    """A teacher beside whom another network looks at the same images; only the teacher is heard."""

    def __init__(self, teacher: nn.Module, beside: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher
        self.beside = beside

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the teacher says."""
        self.beside(*inputs)
        logit, evidence = self.teacher(*inputs)
        return logit, evidence


@contextmanager
def tied(
    network: FractureNet, teacher: nn.Module, statistics: FeatureStatistics, weight: float
) -> Iterator[tuple[FeatureTie, nn.Module]]:
    """Ties `network` to the features that it has now; gives the tie, and the teacher to train it after.

    Where the teacher has the same weights, its own pass shows them; a pruned network's are those of a copy
    of it, which looks on. Mirror images that a finished network looks at too are left out, since a network in
    training does not look at them.
    """
    network.eval()
    same = isinstance(teacher, FractureNet) and _are_equal(network, teacher)
    before = teacher if isinstance(teacher, FractureNet) and same else copy.deepcopy(network)
    taps = FeatureTap(network), FeatureTap(before)
    try:
        tie = FeatureTie(*taps, torch.from_numpy(statistics.whitening), weight)
        yield tie, teacher if same else Accompanied(teacher, before)
    finally:
        for tap in taps:
            tap.close()


def _are_equal(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return list(mine) == list(theirs) and all(torch.equal(mine[name], theirs[name]) for name in mine)
