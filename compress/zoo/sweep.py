"""A recurrent scan over an image: sideways and back, then down and up.

The order of the scans is ReNet's (Visin et al. 2015, "ReNet: A Recurrent Neural Network Based Alternative to
Convolutional Networks"). The cell is minGRU (Feng et al. 2024, "Were RNNs All We Needed?"): its gate and
candidate depend on the input alone, so all matrix products of a scan are one 1x1 convolution, which every
engine quantizes, and what is unrolled is `state = keep * state + fresh`. Of the GRU (Cho et al. 2014,
"Learning Phrase Representations using RNN Encoder-Decoder") it keeps the candidate's tanh, so that states
stay between -1 and 1, a range that eight bits hold well. ONNX's own GRU has no INT8 form in Q/DQ.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

HORIZONTAL, VERTICAL = 3, 2
"""The axis of (N, C, h, w) that a scan goes along."""
_WAYS = (False, True)
"""Whether a half of the channels goes backward."""
_KEEP_LOGITS = (0.0, 3.0)
"""Half to 95% of a state is kept at first: some channels look near, some far (Tallec & Ollivier 2018, "Can
Recurrent Neural Networks Warp Time?")."""


class Sweep(nn.Module):
    """Both directions along one axis: (N, inside, h, w) -> (N, 2 * hidden, h, w), normalised."""

    def __init__(self, inside: int, hidden: int, axis: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.axis = axis
        self.gates = nn.Conv2d(inside, 2 * hidden, 1)
        self.candidates = nn.Conv2d(inside, 2 * hidden, 1)
        self.normalisation = nn.BatchNorm2d(2 * hidden)
        assert self.gates.bias is not None
        nn.init.uniform_(self.gates.bias, *_KEEP_LOGITS)

    def forward(self, features: Tensor) -> Tensor:
        """Every place has seen its whole row or column."""
        keep = self.gates(features).sigmoid()
        fresh = (1 - keep) * self.candidates(features).tanh()
        pairs = zip(torch.split(keep, self.hidden, 1), torch.split(fresh, self.hidden, 1), _WAYS, strict=True)
        states = [scan(kept, new, self.axis, backward) for kept, new, backward in pairs]
        return cast(Tensor, self.normalisation(torch.cat(states, dim=1)))


def scan(keep: Tensor, fresh: Tensor, axis: int, backward: bool = False) -> Tensor:
    """state = keep * state + fresh along `axis`, from 0; all states, in their places."""
    steps = list(zip(torch.split(keep, 1, axis), torch.split(fresh, 1, axis), strict=True))
    if backward:
        steps.reverse()
    states = [steps[0][1]]
    for kept, new in steps[1:]:
        states.append(kept * states[-1] + new)
    return torch.cat(states[::-1] if backward else states, dim=axis)


def renet_layer(inside: int, hidden: int) -> list[nn.Module]:
    """A sweep along the rows, then one along the columns: every place has seen the whole image."""
    return [Sweep(inside, hidden, HORIZONTAL), Sweep(2 * hidden, hidden, VERTICAL)]
