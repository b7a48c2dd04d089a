"""What decides an engine, as data: told to the builder, part of the name under which the engine is kept."""

from __future__ import annotations

from dataclasses import dataclass

LIBRARIES = ("tensorrt", "tensorrt_rtx")
"""Classic TensorRT and TensorRT for RTX: one API under two names."""

BUILDER_REVISION = 1
"""Raised with every change of the builder that makes other engines from the same spec."""

ENDS = ("min", "opt", "max")

_PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class EngineSpec:
    """Everything beside the graph that decides what an engine computes and on what.

    shapes: of each input, at "min", "opt" and "max". precision: for libraries from before strongly typed
    networks; later ones read it off the graph. sparse: 2:4 zeros may be skipped. capabilities: GPU families
    that `tensorrt_rtx` builds for ("sm89"); classic TensorRT builds for the GPU in the machine.
    workspace_bytes: of GPU memory that a layer may use, 0 for the library's own limit. dla_core: number of
    the deep-learning accelerator (DLA) that takes the layers it can, None for the GPU alone.

    Raises ValueError for values that make no sense.
    """

    shapes: dict[str, dict[str, tuple[int, ...]]]
    precision: str
    sparse: bool = False
    capabilities: tuple[str, ...] = ()
    workspace_bytes: int = 0
    dla_core: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in _PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(_PRECISIONS)}, got {self.precision!r}")
        if self.workspace_bytes < 0:
            raise ValueError(f"workspace_bytes must not be negative, got {self.workspace_bytes}")
        if self.dla_core is not None and self.dla_core < 0:
            raise ValueError(f"dla_core must not be negative, got {self.dla_core}")
        for name, ends in self.shapes.items():
            _require_shapes(name, ends)


def _require_shapes(name: str, ends: dict[str, tuple[int, ...]]) -> None:
    if set(ends) != set(ENDS):
        raise ValueError(f"shapes of {name} must name {', '.join(ENDS)}, got {', '.join(ends)}")
    sizes = list(zip(*(ends[end] for end in ENDS), strict=True))
    if not all(0 < low <= middle <= high for low, middle, high in sizes):
        raise ValueError(f"shapes of {name} must be positive and not fall from min to max, got {ends}")
