"""What an engine gets: precisions, and how a quantizer finds its ranges."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from compress.limits import at_least, one_of, within_or_at

PRECISIONS = ("fp32", "fp16", "int8")
METHODS = {
    "onnxruntime": ("minmax", "percentile", "entropy"),
    "openvino": ("minmax", "percentile"),
    "tensorrt": ("minmax", "percentile", "entropy"),
}
"""How each target's quantizer can find its ranges."""


@dataclass(frozen=True)
class TargetOptions:
    """One compile target: onnxruntime | openvino | tensorrt, its precisions and quantizer settings.

    calibration_cases: how many images set the ranges. method: minmax | percentile | entropy.
    must_be_faster: whether an engine in int8 or fp16 may only ship where it is shown to be faster than the
    fp32 engine of the same network. False is for who wants its size alone, a quarter in int8; the times are
    recorded all the same, and the self-test on the box still takes the engine that is fastest there.
    smooth: alpha of SmoothQuant (compress.steps.smooth), above 0 and up to 1: how much of the range of
    outlying channels goes from activations into weights before int8. The paper takes 0.5; 0 leaves it out.
    """

    engine: str
    precisions: tuple[str, ...] = ("fp32", "int8")
    calibration_cases: int = 256
    method: str = "minmax"
    must_be_faster: bool = True
    smooth: float = 0.0

    @property
    def conversion(self) -> dict[str, Any]:
        """What a converted graph depends on (JSON-safe): all but what is asked of its engine afterwards."""
        table = dataclasses.asdict(self)
        del table["must_be_faster"]
        return table if self.smooth else {key: value for key, value in table.items() if key != "smooth"}

    def __post_init__(self) -> None:
        if not self.precisions or len(set(self.precisions)) != len(self.precisions):
            raise ValueError(f"precisions must name different ones, got {list(self.precisions)}")
        for precision in self.precisions:
            one_of("precisions", precision, PRECISIONS)
        if "fp16" in self.precisions and self.engine != "tensorrt":
            raise ValueError(f"fp16 is for tensorrt alone, got it for {self.engine}")
        # An unknown engine is refused where the targets are known.
        if self.engine in METHODS:
            one_of(f"method for {self.engine}", self.method, METHODS[self.engine])
        at_least(32, calibration_cases=self.calibration_cases)
        within_or_at(0, 1, smooth=self.smooth)
