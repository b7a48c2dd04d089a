"""All texture and edge features of one image, written once: for learning and for every engine.

A module without parameters. Each cell of 8 x 8 px has a descriptor (what a visual word stands for) and a
summary (what a classifier of the whole image averages).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compress.classical.glcm import DISTANCES_PX, STATISTICS, GlcmCells
from compress.classical.hog import BLOCK_CELLS, ORIENTATIONS, HogCells, normalised_blocks
from compress.classical.lbp import PATTERNS, RADII_PX, LbpCells
from compress.classical.neighbours import CELL_PX, whole_cells
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec

DESCRIPTOR_WIDTHS = {
    "hog": BLOCK_CELLS * ORIENTATIONS,
    "lbp": PATTERNS * len(RADII_PX),
    "glcm": len(STATISTICS) * len(DISTANCES_PX),
}
LEAST_PX = 4 * CELL_PX
_CENTRE = slice(BLOCK_CELLS // 2 * ORIENTATIONS, (BLOCK_CELLS // 2 + 1) * ORIENTATIONS)


class CellFeatures(nn.Module):
    """image (N, 1, S, S) -> (descriptors (N, D, S / 8, S / 8), summaries (N, C, S / 8, S / 8)).

    A side that is no whole number of cells is resampled to the next one that is; S / 8 is rounded up.

    names: of options.FEATURES, in the order of their channels. The descriptor holds HOG's whole block, the
    summary the cell's own part of it; of LBP and GLCM, which count in the same neighbourhood, both hold all.
    Raises StepError for an input smaller than LEAST_PX.
    """

    def __init__(self, names: tuple[str, ...], spec: PreprocessSpec) -> None:
        super().__init__()
        if spec.size_px < LEAST_PX:
            raise StepError(
                f"classical features want an input of at least {LEAST_PX} px, got {spec.size_px} px",
                "change size_px of the recipe's [preprocess]",
            )
        self.names = names
        self.mean, self.std = spec.mean, spec.std
        kinds: dict[str, type[nn.Module]] = {"hog": HogCells, "lbp": LbpCells, "glcm": GlcmCells}
        self.parts = nn.ModuleDict({name: kinds[name]() for name in names})

    @property
    def descriptor_widths(self) -> tuple[int, ...]:
        """Channels of each kind of feature in the descriptor."""
        return tuple(DESCRIPTOR_WIDTHS[name] for name in self.names)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Descriptors and summaries."""
        unit = whole_cells(image) * self.std + self.mean
        descriptors, summaries = [], []
        for name in self.names:
            cells = self.parts[name](unit)
            if name == "hog":
                cells = normalised_blocks(cells)
            descriptors.append(cells)
            summaries.append(cells[:, _CENTRE] if name == "hog" else cells)
        return torch.cat(descriptors, dim=1), torch.cat(summaries, dim=1)
