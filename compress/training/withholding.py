"""Facts of patients that a network is not told, by chance, so that it learns to answer without them."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from compress.metadata import Fusion


def withhold(vectors: NDArray[np.float32], fusion: Fusion, generator: Generator) -> NDArray[np.float32]:
    """(N, D) -> the same with fields of some images, and all of others, at zero, which is not known.

    As in Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", but for
    whole fields, and without making up for it in scale: zero has a meaning here.
    """
    columns = fusion.spec.columns.values()
    kept = generator.random((len(vectors), len(columns))) >= fusion.dropout
    kept &= generator.random((len(vectors), 1)) >= fusion.withhold
    widths = [column.stop - column.start for column in columns]
    return vectors * np.repeat(kept, widths, axis=1).astype(np.float32)
