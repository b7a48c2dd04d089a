"""What each network can be asked for, said beside it and checked in one place."""

from __future__ import annotations

from dataclasses import dataclass

from compress.zoo.options import ModelOptions
from runtime.errors import RecipeError

IMAGENET = "imagenet"


@dataclass(frozen=True)
class Traits:
    """prunable: whether whole channels can be taken out of it (compress.steps.prune).

    pretrained: names of weights that can be had. takes_files: whether weights may be a state dict's path.
    has_width: whether it is built to size. map_strides: those of its evidence map, its own first; () for one
    that has no choice. least_px: smallest input. multiple_px: of what a side must be a multiple for
    its layers; images of other sizes are resampled inside the graph (FractureNet).
    """

    prunable: bool = False
    pretrained: tuple[str, ...] = ()
    takes_files: bool = False
    has_width: bool = True
    map_strides: tuple[int, ...] = ()
    least_px: int = 32
    multiple_px: int = 1

    def require(self, options: ModelOptions, size_px: int) -> None:
        """Raises RecipeError with everything that this network does not have."""
        found = (
            self._width_problem(options),
            self._weights_problem(options),
            self._stride_problem(options),
            self._size_problem(size_px),
        )
        problems = [problem for problem in found if problem]
        if problems:
            raise RecipeError(f"{options.name}: {'; '.join(problems)}", "see [model] in the recipe")

    def multiple(self, options: ModelOptions) -> int:
        """Of what a side must be a multiple: a map finer than its own is fused from all the coarser ones."""
        own = self.map_strides[0] if self.map_strides else 0
        return max(self.multiple_px, own) if options.map_stride not in (0, own) else self.multiple_px

    def _width_problem(self, options: ModelOptions) -> str:
        return "" if self.has_width or options.width == 1 else f"it has one width, 1.0, got {options.width}"

    def _weights_problem(self, options: ModelOptions) -> str:
        known = options.weights in ("", *self.pretrained)
        if known or (self.takes_files and "." in options.weights):
            return ""
        choices = ['""', *(f'"{name}"' for name in self.pretrained)]
        choices += ["the path of a state dict"] if self.takes_files else []
        return f"it has no weights {options.weights!r}, use {' or '.join(choices)}"

    def _stride_problem(self, options: ModelOptions) -> str:
        if options.map_stride in (0, *self.map_strides):
            return ""
        choices = " or ".join(map(str, self.map_strides)) or "0, its own"
        return f"map_stride must be {choices}, got {options.map_stride}"

    def _size_problem(self, size_px: int) -> str:
        return (
            ""
            if size_px >= self.least_px
            else f"the input must be at least {self.least_px} px, got {size_px}"
        )
