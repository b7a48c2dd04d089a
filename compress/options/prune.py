"""How much of a network goes, of what, and how it is chosen."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import at_least, one_of

IMPORTANCES = ("magnitude", "group_norm", "taylor", "bn_scale")
PRUNE_TARGETS = ("macs", "parameters", "latency")
TWO_FOUR = "2:4"
GLOBAL_SCOPE, LAYER_SCOPE = "global", "layer"


@dataclass(frozen=True)
class PruneOptions:
    """ratio: share of the target to remove; 0 without `sparsity` leaves out pruning and fine-tuning.

    target: macs | parameters | latency, the median of one image in float on this machine in `engine`
    (onnxruntime | openvino). importance: magnitude | group_norm | taylor | bn_scale. scope: global, where all
    groups of channels compete, or layer, where each loses the same share. round_to: channel counts become
    multiples of it. iterations: number of pruning rounds. tolerance: how much the loss may rise, as a share
    of it, where channels of a single group go; what a group can lose so is measured first, and no more is
    taken. 0 looks at no group alone. sparsity: "2:4" sets two of every four weights to zero besides, for
    TensorRT on GPUs whose tensor cores skip them (compress.pruning.two_four); "" does not. must_be_faster:
    whether an engine of the pruned network may only ship where it is shown to be faster than the unpruned.
    """

    ratio: float = 0.4
    importance: str = "group_norm"
    round_to: int = 8
    iterations: int = 4
    target: str = "macs"
    scope: str = GLOBAL_SCOPE
    tolerance: float = 0.0
    engine: str = "onnxruntime"
    sparsity: str = ""
    must_be_faster: bool = True

    @property
    def is_active(self) -> bool:
        """Whether anything is pruned at all."""
        return self.ratio > 0 or bool(self.sparsity)

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise ValueError(f"ratio must be at least 0 and less than 1, got {self.ratio:g}")
        one_of("importance", self.importance, IMPORTANCES)
        one_of("target", self.target, PRUNE_TARGETS)
        one_of("scope", self.scope, (GLOBAL_SCOPE, LAYER_SCOPE))
        one_of("engine", self.engine, ("onnxruntime", "openvino"))
        one_of("sparsity", self.sparsity, ("", TWO_FOUR))
        at_least(1, round_to=self.round_to, iterations=self.iterations)
        if not 0 <= self.tolerance <= 10:
            raise ValueError(f"tolerance must be at least 0 and at most 10, got {self.tolerance:g}")
