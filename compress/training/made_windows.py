"""What may put made windows among those cut from radiographs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from numpy.random import Generator
    from torch import Tensor


class MadeWindows(Protocol):
    """compress.patches.source.MadePatches is one; see there for why healthy windows are made too."""

    @property
    def digest(self) -> str:
        """Of what makes them, and how many."""
        ...

    def replace_some(self, windows: Tensor, masks: Tensor, generator: Generator, rows: slice) -> Tensor:
        """Some of these `rows` of windows (n, 1, w, w) made, the others as they are; masks stay true."""
        ...
