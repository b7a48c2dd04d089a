"""The usual way from a file to a tensor: Pillow for pictures, pydicom for DICOM, resize, scale to 0 to 1."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess import PreprocessSpec
from runtime.readers.marks import is_dicom


def tensor_of(data: bytes, spec: PreprocessSpec) -> NDArray[np.float32]:
    """(1, 1, S, S), as the network takes it. The long side fills the square."""
    from PIL import Image

    picture = _opened(data)
    size = spec.size_px
    scale = size / max(picture.size)
    shape = tuple(max(1, round(side * scale)) for side in picture.size)
    canvas = Image.new("L", (size, size))
    canvas.paste(
        picture.resize((shape[0], shape[1]), Image.Resampling.BILINEAR),
        ((size - shape[0]) // 2, (size - shape[1]) // 2),
    )
    unit = np.asarray(canvas, np.float32) / 255.0
    return np.ascontiguousarray(((unit - spec.mean) / spec.std)[None, None])


def _opened(data: bytes) -> Any:
    from PIL import Image

    if not is_dicom(data):
        return Image.open(BytesIO(data)).convert("L")
    import pydicom

    values = pydicom.dcmread(BytesIO(data)).pixel_array.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) / max(high - low, 1.0) * 255.0).astype(np.uint8))
