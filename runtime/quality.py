"""Is this a radiograph, of a part the model knows, well enough exposed? Pure: facts in, judgement out.

Measured on a small copy of the picture, the gray scale stretched as preprocessing stretches it. The limits
were set on 3,139 radiographs of FracAtlas, CR and DX files of other makers, simulated radiographs, and on
photographs, textures, drawings and screens. They refuse what is clearly no radiograph; a gray photograph of
something smooth can pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.body_parts import Fit, fit
from runtime.findings import Refusal, RefusalCode
from runtime.preprocess import value_range
from runtime.radiograph import Radiograph

MAYBE_INVERTED = "The image may be inverted (bone dark instead of bright)."
_GRID_PX = 256
_BORDER_PX = 4
_SOBEL_GAIN = 8.0  # sum of the positive weights of OpenCV's 3x3 Sobel kernel, times two


@dataclass(frozen=True)
class QualityLimits:
    """Limits on what `Appearance` measures; gray values are 0 to 1 after stretching.

    min_side_px: below it no fracture line survives. min_levels: stored gray levels between the 0.5th and
    99.5th percentile. max_colour_spread: in 1/255; a warm or blue photograph of a film has 10 to 20.
    """

    min_side_px: int = 128
    small_side_px: int = 200
    min_levels: float = 8.0
    faint_levels: float = 80.0
    max_blank: float = 0.95
    max_colour_spread: float = 25.0
    tinted_spread: float = 3.0
    max_texture: float = 0.014
    max_evenness: float = 0.89
    max_busy: float = 0.085
    max_slope: float = 0.038
    min_off_plane: float = 0.3
    max_grain: float = 0.24
    flat_entropy_bits: float = 1.6
    drawing_entropy_bits: float = 2.4
    drawing_edges: float = 0.1
    photo_busy: float = 0.052
    photo_ends: float = 0.3
    border_ends: float = 0.1
    plain_border_ends: float = 0.5
    border_mid: float = 0.6
    plain_border: float = 0.08
    bright_dark_area: float = 0.012
    inverted_median: float = 0.7
    inverted_dark_area: float = 0.12
    blur_ratio: float = 0.65


@dataclass(frozen=True)
class Appearance:
    """What the small copy looks like; all figures but `levels` and `entropy_bits` are fractions or 0 to 1.

    texture, busy: median and 90th percentile of what a blur of 1 px removes. evenness: median gradient over
    mean gradient; bones make few strong edges, textures and ramps the same gradient everywhere. slope: mean
    gradient. off_plane: spread left after the best-fitting plane. edges: area of strong gradient. blank:
    area without any. dark, middle, bright: areas below 0.1, 0.25 to 0.85, above 0.9. border_ends: part of
    the picture's border that is dark or bright, as air and collimators are. grain: spread of detail
    of about 2 px over all spread. fineness: spread of the finest detail over that.
    """

    levels: float
    entropy_bits: float
    texture: float
    busy: float
    evenness: float
    slope: float
    off_plane: float
    edges: float
    blank: float
    dark: float
    middle: float
    bright: float
    median: float
    border_ends: float
    border_spread: float
    grain: float
    fineness: float


@dataclass(frozen=True)
class Assessment:
    """`refusal` set: do not answer. `warnings`: plain sentences to show beside an answer."""

    refusal: Refusal | None
    warnings: tuple[str, ...] = ()


DEFAULT_LIMITS = QualityLimits()


def assess(
    radiograph: Radiograph, limits: QualityLimits = DEFAULT_LIMITS, body_parts: tuple[str, ...] = ()
) -> Assessment:
    """Judge one image against the limits and the body parts a model was made for."""
    refusal = _too_small(radiograph, limits)
    if refusal is not None:
        return Assessment(refusal, radiograph.warnings)
    look = measure(radiograph)
    refusal = (
        _no_contrast(look, limits)
        or _not_a_radiograph(look, radiograph.colour_spread, limits)
        or _outside_use(radiograph, body_parts)
    )
    warnings = (
        radiograph.warnings
        if refusal
        else (*radiograph.warnings, *_warn(radiograph, look, limits, body_parts))
    )
    return Assessment(refusal, warnings)


def measure(radiograph: Radiograph) -> Appearance:
    """Measure the picture on a copy whose long side is 256 px."""
    low, high = value_range(radiograph.pixels, 0.5, 99.5)
    unit = _small_copy(radiograph.pixels, low, high)
    fine = cv2.GaussianBlur(unit, (0, 0), 1.0)
    detail = np.abs(unit - fine)
    slope = np.hypot(cv2.Sobel(fine, cv2.CV_32F, 1, 0), cv2.Sobel(fine, cv2.CV_32F, 0, 1)) / _SOBEL_GAIN
    counts, _ = np.histogram(unit, 64, (0.0, 1.0))
    border = _border(unit)
    coarse = fine - cv2.GaussianBlur(unit, (0, 0), 2.0)
    return Appearance(
        levels=high - low,
        entropy_bits=_entropy_bits(counts),
        texture=float(np.median(detail)),
        busy=float(np.percentile(detail, 90)),
        evenness=_ratio(float(np.median(slope)), float(slope.mean())),
        slope=float(slope.mean()),
        off_plane=_off_plane(unit),
        edges=float((slope > 0.1).mean()),
        blank=float((slope < 0.005).mean()),
        dark=float((unit < 0.1).mean()),
        middle=float(((unit > 0.25) & (unit < 0.85)).mean()),
        bright=float((unit > 0.9).mean()),
        median=float(np.median(unit)),
        border_ends=float(((border < 0.2) | (border > 0.85)).mean()),
        border_spread=float(border.std()),
        grain=_ratio(float(coarse.std()), float(unit.std())),
        fineness=_ratio(float((unit - fine).std()), float(coarse.std())),
    )


def _small_copy(pixels: NDArray[np.uint16], low: float, high: float) -> NDArray[np.float32]:
    scale = _GRID_PX / max(pixels.shape)
    size = tuple(max(1, round(side * scale)) for side in reversed(pixels.shape))
    # Enlarging would look like blur; area interpolation keeps a small picture's own sharpness.
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    unit: NDArray[np.float32] = np.clip((small - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return unit


def _border(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    n = _BORDER_PX
    return np.concatenate([part.ravel() for part in (unit[:n], unit[-n:], unit[:, :n], unit[:, -n:])])


def _entropy_bits(counts: NDArray[np.integer]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _off_plane(unit: NDArray[np.float32]) -> float:
    """Spread that a tilted plane leaves unexplained over all spread; 1 for a constant picture."""
    height, width = unit.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    centred = unit - unit.mean()
    total = float((centred**2).sum())
    if total == 0 or height == 1 or width == 1:
        return 1.0
    # x and y are centred and orthogonal on a full grid, so the two slopes separate.
    along_x, along_y = float((centred * x).sum()), float((centred * y).sum())
    explained = along_x**2 / (height * (x**2).sum()) + along_y**2 / (width * (y**2).sum())
    return float(np.sqrt(max(0.0, 1.0 - float(explained) / total)))


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else 0.0


def _too_small(radiograph: Radiograph, limits: QualityLimits) -> Refusal | None:
    side = min(radiograph.height_px, radiograph.width_px)
    if side >= limits.min_side_px:
        return None
    return Refusal(
        RefusalCode.TOO_SMALL,
        f"The image is too small: {radiograph.width_px} x {radiograph.height_px} pixels, "
        f"at least {limits.min_side_px} on each side are needed.",
        "Send the original radiograph instead of a preview or a thumbnail.",
    )


def _no_contrast(look: Appearance, limits: QualityLimits) -> Refusal | None:
    # A ramp is nowhere steep either; it is told apart below.
    blank = look.blank > limits.max_blank and look.evenness < limits.max_evenness
    if look.levels >= limits.min_levels and not blank:
        return None
    return Refusal(
        RefusalCode.NO_CONTRAST,
        "The image shows almost nothing: it is (nearly) all one shade of gray.",
        "Check the exposure and the export, and send the radiograph again or repeat it.",
    )


def _not_a_radiograph(look: Appearance, colour_spread: float, limits: QualityLimits) -> Refusal | None:
    reason = next(_signs_of_something_else(look, colour_spread, limits), None)
    if reason is None:
        return None
    return Refusal(
        RefusalCode.NOT_A_RADIOGRAPH,
        f"This does not look like a radiograph: {reason}.",
        "Check that the right file was chosen. For a photographed film, fill the picture with the film, "
        "without the light box, and avoid reflections.",
    )


def _signs_of_something_else(look: Appearance, colour_spread: float, limits: QualityLimits) -> Iterator[str]:
    if colour_spread > limits.max_colour_spread:
        yield "it is in colour"
    if look.texture > limits.max_texture or look.busy > limits.max_busy or look.grain > limits.max_grain:
        yield "it is covered with fine texture or noise"
    if look.evenness > limits.max_evenness or look.off_plane < limits.min_off_plane:
        yield "its shading has no bones in it"
    if look.slope > limits.max_slope:
        yield "it has strong edges everywhere"
    drawn = look.entropy_bits < limits.drawing_entropy_bits and look.edges > limits.drawing_edges
    if drawn or look.entropy_bits < limits.flat_entropy_bits:
        yield "it looks like a drawing or a screen"
    if look.busy > limits.photo_busy and max(look.dark, look.bright) < limits.photo_ends:
        yield "it looks like a photograph"
    if look.border_ends < limits.border_ends and look.middle > limits.border_mid:
        yield "nothing in it is as dark as air or as bright as a collimator"
    if look.border_ends < limits.plain_border_ends and look.border_spread < limits.plain_border:
        yield "its background is plain gray"


def _outside_use(radiograph: Radiograph, body_parts: tuple[str, ...]) -> Refusal | None:
    stated = radiograph.facts.body_part
    if not body_parts or fit(stated, body_parts) is not Fit.OUTSIDE:
        return None
    return Refusal(
        RefusalCode.BODY_PART,
        f"The file says that it shows: {stated}. This model reads: {', '.join(body_parts)}.",
        "Have a clinician read this radiograph. If the body part is wrong in the file, correct it at the "
        "X-ray system and send the image again.",
    )


def _warn(
    radiograph: Radiograph, look: Appearance, limits: QualityLimits, body_parts: tuple[str, ...]
) -> Iterator[str]:
    stated = radiograph.facts.body_part
    if body_parts and fit(stated, body_parts) is Fit.UNKNOWN:
        said = f"calls the body part {stated!r}" if stated else "does not say which body part it shows"
        yield f"The file {said}; this model reads: {', '.join(body_parts)}."
    if min(radiograph.height_px, radiograph.width_px) < limits.small_side_px:
        yield "The image is small; fine fracture lines may be lost."
    if radiograph.colour_spread > limits.tinted_spread:
        yield "The image is tinted, as a photograph of a film is; send the original file if there is one."
    yield from _warn_of_exposure(radiograph, look, limits)


def _warn_of_exposure(radiograph: Radiograph, look: Appearance, limits: QualityLimits) -> Iterator[str]:
    inverted = look.median > limits.inverted_median and look.dark < limits.inverted_dark_area
    if inverted:
        yield MAYBE_INVERTED
    elif look.dark < limits.bright_dark_area:
        yield "The image is very bright; detail may be lost."
    # A deeper file need not use its range; an 8-bit one was made for a screen.
    if radiograph.bit_depth == 8 and look.levels < limits.faint_levels:
        yield "The image is very dark or faint; detail may be lost."
    if look.fineness < limits.blur_ratio:
        yield "The image is blurred; fine fracture lines may be lost."
