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
    that has no choice. least_px, multiple_px: input sizes that it takes.
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
        if size_px >= self.least_px and size_px % self.multiple_px == 0:
            return ""
        multiple = f" and a multiple of {self.multiple_px}" if self.multiple_px > 1 else ""
        return f"the input must be at least {self.least_px} px{multiple}, got {size_px}"
