"""Text on images: OpenCV 5's built-in outline font, or the stroke font of OpenCV 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]
Font: TypeAlias = Any
"""cv2.FontFace of OpenCV 5, or None for the stroke font."""

_REGULAR, _BOLD = 400, 650
_STROKE_FONT_HEIGHT_PX = 30.0  # of cv2.FONT_HERSHEY_SIMPLEX at scale 1, ascender to descender


@dataclass(frozen=True)
class Style:
    """size_px: nominal letter height. colour: blue, green, red."""

    size_px: int
    colour: Colour
    bold: bool = False


def outline_font() -> Font:
    """The built-in outline font, None where this OpenCV has none."""
    return cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None


def width_px(text: str, style: Style, font: Font) -> int:
    """How wide the text will be."""
    if font is None:
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _scale(style), _stroke(style))
        return int(width)
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), font, style.size_px, _weight(style))
    return int(width)


def draw(canvas: Canvas, text: str, baseline: tuple[int, int], style: Style, font: Font) -> None:
    """Write on the canvas; `baseline` is (x, y) of the first letter's lower left corner."""
    if font is None:
        plain = text.encode("ascii", "replace").decode()
        face, kind = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA
        cv2.putText(canvas, plain, baseline, face, _scale(style), style.colour, _stroke(style), kind)
        return
    cv2.putText(canvas, text, baseline, style.colour, font, style.size_px, _weight(style))


def wrap(text: str, style: Style, font: Font, limit_px: int) -> list[str]:
    """Break at spaces so that each line fits; a single longer word stays whole."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_px(longer, style, font) <= limit_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _weight(style: Style) -> int:
    return _BOLD if style.bold else _REGULAR


def _scale(style: Style) -> float:
    return style.size_px / _STROKE_FONT_HEIGHT_PX


def _stroke(style: Style) -> int:
    return 2 if style.bold else 1
