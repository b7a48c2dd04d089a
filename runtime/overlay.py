"""The radiograph with the answer on it, as PNG bytes.

Nothing is said by colour alone: a solid frame is a suspected fracture, a dotted frame a doubtful place, every
frame has a number, and the panel below says all of it in words.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime import lettering
from runtime.findings import Box, Findings, Verdict
from runtime.lettering import Canvas, Colour, Style
from runtime.preprocess import value_range
from runtime.radiograph import Radiograph
from runtime.wording import NOTICE, headline, next_step, probability_words

_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_PANEL: Colour = (30, 26, 24)
_QUIET: Colour = (178, 172, 168)
_ACCENTS: dict[Verdict, Colour] = {  # blue, green, red
    Verdict.FRACTURE: (64, 110, 255),
    Verdict.DOUBT: (60, 200, 255),
    Verdict.NONE: (150, 200, 130),
    Verdict.UNREADABLE: (200, 190, 185),
}
_MARGIN_PX, _MIN_WIDTH_PX, _BLANK_HEIGHT_PX = 20, 640, 200
_HEADLINE_PX, _TEXT_PX, _SMALL_PX = 26, 17, 14
_LINE = 1.5
_TINT = 0.6
TINT_FROM = 0.25
"""Evidence from which on a picture is tinted."""
_SYMBOL_PX, _DOT_PX, _FRAME_PX = 30, 7, 2


@dataclass(frozen=True)
class OverlayOptions:
    """heat: tint where the network found evidence. long_side_px: of the picture as drawn."""

    heat: bool = False
    long_side_px: int = 960


DEFAULT_OPTIONS = OverlayOptions()


def render(
    radiograph: Radiograph | None, findings: Findings, options: OverlayOptions = DEFAULT_OPTIONS
) -> bytes:
    """PNG bytes of the picture above a panel of words; without a radiograph (unreadable file) a blank one."""
    picture = _blank() if radiograph is None else draw_picture(radiograph, findings, options)
    panel = _panel(findings, max(picture.shape[1], _MIN_WIDTH_PX), options)
    canvas = np.zeros((picture.shape[0] + panel.shape[0], panel.shape[1], 3), np.uint8)
    left = (panel.shape[1] - picture.shape[1]) // 2
    canvas[: picture.shape[0], left : left + picture.shape[1]] = picture
    canvas[picture.shape[0] :] = panel
    done, encoded = cv2.imencode(".png", canvas)
    if not done:
        raise ValueError(f"OpenCV could not encode a canvas of shape {canvas.shape}")
    return bytes(encoded.tobytes())


def to_gray8(radiograph: Radiograph) -> NDArray[np.uint8]:
    """(H, W) uint8 for a screen: the file's window where it has one, else the 0.5th to 99.5th percentile."""
    low, high = value_range(radiograph.pixels, 0.5, 99.5)
    if radiograph.facts.window is not None:
        center, width = radiograph.facts.window
        window_low, window_high = center - width / 2, center + width / 2
        # A window that misses the picture would show one shade only.
        if window_low < high and window_high > low and width < 4 * (high - low):
            low, high = window_low, window_high
    unit = (radiograph.pixels.astype(np.float32) - low) / max(high - low, 1.0)
    gray: NDArray[np.uint8] = (np.clip(unit, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return gray


def draw_picture(radiograph: Radiograph, findings: Findings, options: OverlayOptions) -> Canvas:
    """(H, W, 3) blue, green, red: the radiograph with the places on it, without the panel of words."""
    picture = draw_radiograph(radiograph, options.long_side_px)
    if findings.verdict is Verdict.UNREADABLE:
        return _struck_out(picture)
    if options.heat and findings.evidence is not None:
        picture = tinted(picture, findings.evidence)
    height, width = picture.shape[:2]
    for number, box in enumerate(findings.boxes, start=1):
        _draw_box(
            picture, box, (width / radiograph.width_px, height / radiograph.height_px), number, findings
        )
    return picture


def draw_radiograph(radiograph: Radiograph, long_side_px: int) -> Canvas:
    """(H, W, 3) blue, green, red: the radiograph alone, its longer side as asked for."""
    scale = long_side_px / max(radiograph.height_px, radiograph.width_px)
    size = max(1, round(radiograph.width_px * scale)), max(1, round(radiograph.height_px * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    gray = cv2.resize(to_gray8(radiograph), size, interpolation=kind)
    return np.repeat(np.asarray(gray, np.uint8)[:, :, None], 3, axis=2)


def _blank() -> Canvas:
    return _struck_out(np.full((_BLANK_HEIGHT_PX, _MIN_WIDTH_PX, 3), 60, np.uint8))


def _struck_out(picture: Canvas) -> Canvas:
    """Darkened, with NO RESULT across it: this picture must not be mistaken for one without findings."""
    dimmed: Canvas = (picture * 0.45).astype(np.uint8)
    height, width = dimmed.shape[:2]
    font = lettering.outline_font()
    style = Style(max(18, min(width // 12, height // 4, 64)), _WHITE, bold=True)
    x = (width - lettering.width_px("NO RESULT", style, font)) // 2
    band = style.size_px
    dimmed[max(0, height // 2 - band) : height // 2 + band] = _PANEL
    lettering.draw(dimmed, "NO RESULT", (x, height // 2 + style.size_px // 3), style, font)
    return dimmed


def tinted(picture: Canvas, evidence: NDArray[np.float32]) -> Canvas:
    """The picture with evidence (H', W') in 0 to 1 over the whole of it in colours; below TINT_FROM none."""
    size = picture.shape[1], picture.shape[0]
    resized = np.asarray(cv2.resize(evidence, size, interpolation=cv2.INTER_LINEAR), np.float32)
    strength = np.clip(resized, 0, 1)
    colours = np.asarray(cv2.applyColorMap((strength * 255).astype(np.uint8), cv2.COLORMAP_INFERNO))
    # Weak evidence is everywhere and leaves the picture as it is.
    share = _TINT * np.clip((strength - TINT_FROM) / (1 - TINT_FROM), 0, 1)[:, :, None]
    blended: Canvas = (picture * (1 - share) + colours * share + 0.5).astype(np.uint8)
    return blended


def _draw_box(picture: Canvas, box: Box, scale: tuple[float, float], number: int, findings: Findings) -> None:
    corners = np.array([[box.x0_px, box.y0_px], [box.x1_px, box.y1_px]]) * np.array(scale)
    limit = np.array([picture.shape[1] - 1, picture.shape[0] - 1])
    (x0, y0), (x1, y1) = (np.clip(np.rint(corners), 0, limit)).astype(int).tolist()
    colour = _ACCENTS[findings.verdict]
    _frame(picture, (x0, y0, x1, y1), colour, dotted=findings.verdict is Verdict.DOUBT)
    _tag(picture, str(number), (x0, y0, y1), colour)


def _frame(canvas: Canvas, edges: tuple[int, int, int, int], colour: Colour, dotted: bool) -> None:
    """A frame with a dark rim, so that it shows on bright bone as well."""
    x0, y0, x1, y1 = edges
    if not dotted:
        cv2.rectangle(canvas, (x0, y0), (x1, y1), _BLACK, _FRAME_PX + 2, cv2.LINE_AA)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, _FRAME_PX, cv2.LINE_AA)
        return
    for centre in _dots(edges):
        cv2.circle(canvas, centre, _FRAME_PX + 1, _BLACK, -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, _FRAME_PX, colour, -1, cv2.LINE_AA)


def _dots(edges: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    x0, y0, x1, y1 = edges
    across = np.linspace(x0, x1, max(2, (x1 - x0) // _DOT_PX)).astype(int).tolist()
    down = np.linspace(y0, y1, max(2, (y1 - y0) // _DOT_PX)).astype(int).tolist()
    return [(x, y) for x in across for y in (y0, y1)] + [(x, y) for y in down for x in (x0, x1)]


def _tag(canvas: Canvas, text: str, place: tuple[int, int, int], colour: Colour) -> None:
    """The number above the frame, or below where there is no room above."""
    x0, y0, y1 = place
    font, style = lettering.outline_font(), Style(_TEXT_PX, _BLACK, bold=True)
    width, height = lettering.width_px(text, style, font) + 12, _TEXT_PX + 8
    top = y0 - height - 3 if y0 >= height + 3 else min(y1 + 4, canvas.shape[0] - height)
    left = max(0, min(x0, canvas.shape[1] - width))
    cv2.rectangle(canvas, (left - 1, top - 1), (left + width, top + height), _BLACK, -1)
    cv2.rectangle(canvas, (left, top), (left + width - 1, top + height - 1), colour, -1)
    lettering.draw(canvas, text, (left + 6, top + height - 7), style, font)


def _panel(findings: Findings, width: int, options: OverlayOptions) -> Canvas:
    font = lettering.outline_font()
    accent = Style(_HEADLINE_PX, _ACCENTS[findings.verdict], bold=True)
    indent = _MARGIN_PX + _SYMBOL_PX + 14
    lines: list[tuple[str, Style, int]] = [(headline(findings.verdict), accent, indent)]
    for text, style in _paragraphs(findings, options):
        wrapped = lettering.wrap(text, style, font, width - 2 * _MARGIN_PX)
        lines += [(line, style, _MARGIN_PX) for line in wrapped]
    height = 2 * _MARGIN_PX + round(sum(style.size_px * _LINE for _, style, _ in lines))
    panel: Canvas = np.full((height, width, 3), _PANEL, np.uint8)
    panel[:3] = _ACCENTS[findings.verdict]
    y = float(_MARGIN_PX)
    for line, style, x in lines:
        y += style.size_px * _LINE
        lettering.draw(panel, line, (x, round(y - 0.4 * style.size_px)), style, font)
    _symbol(panel, findings.verdict)
    return panel


def _symbol(panel: Canvas, verdict: Verdict) -> None:
    """The verdict as a shape: solid frame, dotted frame, empty circle, cross."""
    x0, y0 = _MARGIN_PX, _MARGIN_PX + 5
    x1, y1, colour = x0 + _SYMBOL_PX, y0 + _SYMBOL_PX - 4, _ACCENTS[verdict]
    if verdict in (Verdict.FRACTURE, Verdict.DOUBT):
        _frame(panel, (x0, y0, x1, y1), colour, dotted=verdict is Verdict.DOUBT)
    elif verdict is Verdict.NONE:
        cv2.circle(panel, ((x0 + x1) // 2, (y0 + y1) // 2), _SYMBOL_PX // 2 - 2, colour, 2, cv2.LINE_AA)
    else:
        cv2.line(panel, (x0, y0), (x1, y1), colour, 3, cv2.LINE_AA)
        cv2.line(panel, (x0, y1), (x1, y0), colour, 3, cv2.LINE_AA)


def _paragraphs(findings: Findings, options: OverlayOptions) -> list[tuple[str, Style]]:
    plain, quiet = Style(_TEXT_PX, _WHITE), Style(_SMALL_PX, _QUIET)
    found: list[tuple[str, Style]] = []
    if findings.refusal is not None:
        found.append((findings.refusal.message, plain))
    else:
        found.append((f"Probability of a fracture: {probability_words(findings)}", plain))
    found.append((next_step(findings), plain))
    found += [(f"Note: {warning}", quiet) for warning in findings.warnings]
    found += [(text, quiet) for text in _legend(findings, options)]
    source = findings.provenance
    made_by = " ".join(
        filter(None, (source.bundle_name, source.bundle_version, source.engine, source.precision))
    )
    return [
        *found,
        (f"{NOTICE}. {made_by}, image {source.image_sha256[:12]}", Style(_SMALL_PX, _WHITE, bold=True)),
    ]


def _legend(findings: Findings, options: OverlayOptions) -> list[str]:
    legend = []
    if findings.boxes:
        kind = (
            "Dotted frame: doubtful place"
            if findings.verdict is Verdict.DOUBT
            else "Solid frame: suspected place"
        )
        legend.append(f"{kind}; 1 is the strongest.")
    if options.heat and findings.evidence is not None:
        legend.append("Tint: evidence found by the network; the brighter, the more.")
    return legend
