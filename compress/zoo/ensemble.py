"""Several trained networks as one: the mean of their logits and the mean of their evidence maps.

Lakshminarayanan, Pritzel & Blundell 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep
Ensembles". Logits are averaged and not probabilities: a logarithmic opinion pool (Genest & Zidek 1986,
"Combining Probability Distributions: A Critique and an Annotated Bibliography"), in which a member that is
sure is not drowned, and which costs an engine a sum. Coarser maps are resampled to the finest one's cells
first, bilinearly and centre on centre.

Each member pools its own map into its own logit, and only then they are averaged. So the logit is not what
the mean map would pool to, save where every member pools by the mean over maps of one size. Log-mean-exp is
convex: the mean of the pooled logits is never below the pooled mean map, and a fracture which two members
see one cell apart is not averaged away. Logit and map keep one scale: `rescale` moves both alike.

What looks at features (compress.zoo.watched) looks into the first member: their number, and so what their
statistics need in patients, does not grow with the members.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.zoo import ENSEMBLE
from compress.zoo.base import FractureNet, Head, StagedFeatures
from compress.zoo.options import ModelOptions
from compress.zoo.traits import Traits
from runtime.errors import RecipeError
from runtime.metadata import MetadataSpec

TRAITS = Traits(takes_files=True, has_width=False)

_NUDGE = 1 + 1e-6
"""An engine takes the largest whole number of cells below size * factor; 8 * (12 / 8) must not be 11."""


def build(options: ModelOptions, size_px: int) -> FractureNet:
    """The ensemble that `options.weights` names, a file that `ulna ensemble` wrote: see compress.zoo.build.

    Raises RecipeError for anything but an ensemble of this input size, StepError for a damaged file.
    """
    from compress.zoo.checkpoint import load_network

    if not options.weights:
        raise RecipeError(
            "an ensemble is made of trained networks, not built",
            "make one with `ulna ensemble` and name its network.pt in [model] weights",
        )
    network = load_network(Path(options.weights))
    if not network.members:
        raise RecipeError(f"{options.weights} holds no ensemble, but {network.options.name}")
    if network.size_px != size_px:
        raise RecipeError(
            f"the ensemble {options.weights} reads {network.size_px} px, the recipe asks for {size_px} px",
            "set [preprocess] size_px to that of the members",
        )
    if options.mirror and any(member.options.mirror for member in network.members):
        raise RecipeError(
            f"members of {options.weights} look at the mirror image themselves", "leave out [model] mirror"
        )
    network.options = options
    return network


class Ensemble(FractureNet):
    """Two or more networks of one input size.

    forward: image (N, 1, S, S) -> (logit (N, 1), map (N, 1, h, w)), h and w those of the finest map. Facts of
    the patient, a second input, go to the members that take them, who must all take the same.
    """

    def __init__(
        self, members: Sequence[FractureNet], options: ModelOptions = ModelOptions(ENSEMBLE)
    ) -> None:
        sizes = sorted({member.size_px for member in members})
        if len(members) < 2 or len(sizes) != 1:
            raise ValueError(f"an ensemble needs two networks or more of one input size, got {sizes}")
        specs = [member.metadata for member in members if member.metadata is not None]
        if any(spec != specs[0] for spec in specs):
            raise ValueError("members of an ensemble that take facts of the patient must take the same")
        super().__init__(Members(members), MeanHead(), options, sizes[0])
        self.spec = specs[0] if specs else None

    @property
    def members(self) -> tuple[FractureNet, ...]:
        """In the order in which they were given."""
        assert isinstance(self.features, Members)
        return self.features.members

    @property
    def metadata(self) -> MetadataSpec | None:
        """What its members take."""
        return self.spec

    def look(self, image: Tensor, metadata: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See FractureNet.look."""
        logit, evidence = self.head(self.features(self.as_taken(image), metadata))
        return logit, evidence


class Members(StagedFeatures):
    """image (N, 1, S, S) -> each network's (logit, map)."""

    def __init__(self, members: Sequence[FractureNet]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(members)

    @property
    def members(self) -> tuple[FractureNet, ...]:
        """The networks themselves."""
        return tuple(network for network in self.networks if isinstance(network, FractureNet))

    def stages(self) -> list[nn.Module]:
        """Those of every member, one after the other; their heads are stages too."""
        return [stage for member in self.members for stage in member.stages()]

    def forward(self, image: Tensor, metadata: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """One answer a member."""
        return [network(image, metadata) for network in self.networks]


class MeanHead(Head):
    """The members' answers -> (scale * mean logit + shift, scale * mean map + shift).

    Scale and shift are the ensemble's own: calibrating it leaves the members as they were trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = 1.0, 0.0

    def rescale(self, scale: float, shift: float) -> None:
        """See Head.rescale."""
        self.scale, self.shift = self.scale * scale, self.shift * scale + shift

    def get_extra_state(self) -> Tensor:
        """Both belong to the checkpoint."""
        return torch.tensor([self.scale, self.shift], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """As saved."""
        self.scale, self.shift = (float(value) for value in state)

    def forward(self, answers: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Means, maps at the size of the finest."""
        logits, maps = zip(*answers, strict=True)
        cells = max(int(one.shape[-1]) for one in maps)
        return self._mean(logits), self._mean([enlarged(one, cells) for one in maps])

    def _mean(self, values: Sequence[Tensor]) -> Tensor:
        # A sum of two at a time, and no constant that does nothing: each is a node on every engine.
        mean = sum(values[1:], values[0]) * (self.scale / len(values))
        return mean + self.shift if self.shift else mean


def enlarged(evidence: Tensor, cells: int) -> Tensor:
    """A square map (N, 1, h, h) -> (N, 1, cells, cells), h <= cells; the exported graph holds one factor."""
    own = int(evidence.shape[-1])
    if own == cells:
        return evidence
    factor = cells / own if cells % own == 0 else cells / own * _NUDGE
    return F.interpolate(evidence, scale_factor=factor, mode="bilinear", align_corners=False)
