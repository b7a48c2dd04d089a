"""What is wrong with a radiograph, in words that a nurse can act on. Pure: figures in, sentences out.

White is where few rays came through, black where many did: as on film, a picture that is too white needs more
exposure and one that is too black less, if it is not the window of the export that cuts it off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from runtime.appearance import Appearance
from runtime.findings import Refusal, RefusalCode
from runtime.picture_quality import PictureQuality
from runtime.radiograph import PHOTOGRAPH, Radiograph

MAYBE_INVERTED = "The image may be inverted (bone dark instead of bright)."
_WIDEN = "Send it again with a wider window; if the original is the same, repeat it with {} exposure."
_SCREEN_BITS = 8
_EXPLAINED = (RefusalCode.UNFAMILIAR, RefusalCode.NOT_A_RADIOGRAPH)


class FaultKind(StrEnum):
    """What can be wrong."""

    NOISE = "noise"
    COMPRESSED = "compressed"
    BLURRED = "blurred"
    INVERTED = "inverted"
    BRIGHT = "bright"
    DARK = "dark"
    FAINT = "faint"
    SMALL = "small"
    TINTED = "tinted"
    SEVERAL = "several"


@dataclass(frozen=True)
class Fault:
    """what: one sentence. advice: what to do, "" where the sentence says all."""

    kind: FaultKind
    what: str
    advice: str = ""

    @property
    def warning(self) -> str:
        """Both, as they stand beside an answer."""
        return f"{self.what} {self.advice}".strip()


@dataclass(frozen=True)
class FaultLimits:
    """From where on a picture is told to be faulty.

    Shares are of the picture, gray values 0 to 1 after stretching. min_bright_dark and washed_out_mean only
    count together. small_side_px: 250 px are a third of the pixels that a network of 448 px takes in.

    Of 2,825 radiographs of FracAtlas said to hold one exposure, 2.9% are told to be bright (most are burnt
    out: torsos beside a shoulder, ankles), 1.1% to be dark, 1.0% to be blurred, 0.2% compressed, 0.1% noisy.
    min_own_sharpness is for what comes from an X-ray system or with more than 8 bits: real CR files of hip
    and extremity lie at 0.69 to 0.71, all of that kind at 0.69 to 1.12.
    """

    max_noise: float = 0.0085
    max_blocking: float = 0.0058
    min_sharpness: float = 0.83
    min_own_sharpness: float = 0.6
    min_sharpness_one_way: float = 0.132
    min_fineness: float = 0.65
    max_white: float = 0.036
    max_black: float = 0.64
    bright_dark_area: float = 0.016
    min_bright_dark: float = 0.05
    washed_out_mean: float = 0.34
    faint_levels: float = 80.0
    inverted_median: float = 0.7
    inverted_dark_area: float = 0.12
    small_side_px: int = 250
    tinted_spread: float = 3.0


def find_faults(
    radiograph: Radiograph, look: Appearance, quality: PictureQuality, limits: FaultLimits
) -> Iterator[Fault]:
    """What is wrong with a picture that may well be a radiograph, the most harmful first."""
    faint = _is_faint(radiograph, quality, limits)
    for_screens = radiograph.bit_depth == _SCREEN_BITS
    # Few gray levels make steps that measure like noise.
    if quality.noise > limits.max_noise and not faint:
        yield Fault(
            FaultKind.NOISE, "Under-exposed: noise hides detail.", "Repeat the picture with more exposure."
        )
    # JPEG of this kind has eight bits.
    if quality.blocking > limits.max_blocking and for_screens:
        yield Fault(
            FaultKind.COMPRESSED,
            "Compressed too strongly: blocks of 8 pixels hide fine lines.",
            "Send the original file, or save it at a higher quality.",
        )
    as_it_was_taken = radiograph.facts.declared or radiograph.format == PHOTOGRAPH
    yield from _of_the_detail(look, quality, for_screens and not as_it_was_taken, limits)
    if look.median > limits.inverted_median and look.dark < limits.inverted_dark_area:
        yield Fault(FaultKind.INVERTED, MAYBE_INVERTED)
    else:
        yield from _of_the_ends(look, quality, for_screens and not faint, limits)
    if faint:
        yield Fault(
            FaultKind.FAINT,
            f"The image is very dark or faint: {quality.gray_levels} of 256 grays; detail may be lost.",
            "Send it again with a narrower window, or repeat it with the exposure corrected.",
        )
    yield from _of_the_file(radiograph, quality, limits)
    if quality.fields > 1:
        yield Fault(
            FaultKind.SEVERAL,
            "Two exposures or two limbs lie side by side in this image.",
            "Send each view by itself, or read the answer as one for both.",
        )


def explain(refusal: Refusal | None, faults: tuple[Fault, ...]) -> Refusal | None:
    """A refusal for looking strange, with what was measured to be wrong; every other as it is."""
    named = [fault for fault in faults if fault.kind is not FaultKind.SEVERAL]
    if refusal is None or refusal.code not in _EXPLAINED or not named:
        return refusal
    what = " ".join(fault.what for fault in named)
    todo = " ".join(dict.fromkeys(fault.advice for fault in named if fault.advice))
    if refusal.code is RefusalCode.NOT_A_RADIOGRAPH:
        return replace(refusal, advice=f"{refusal.advice} If it is a radiograph: {what} {todo}".strip())
    return replace(refusal, message=f"{refusal.message} {what}", advice=f"{todo} {refusal.advice}".strip())


def _of_the_detail(
    look: Appearance, quality: PictureQuality, sharpened: bool, limits: FaultLimits
) -> Iterator[Fault]:
    """sharpened: as what was made for screens is. An X-ray system's own picture is softer by nature, and so
    is a photographed film, whose own edges have shown that the photograph is sharp.
    """
    least = limits.min_sharpness if sharpened else limits.min_own_sharpness
    one_way = quality.sharpness_one_way < limits.min_sharpness_one_way
    if one_way or quality.sharpness < least or look.fineness < limits.min_fineness:
        yield Fault(
            FaultKind.BLURRED,
            "The image is blurred, by motion or focus; fine fracture lines may be lost.",
            "Steady the limb and repeat the picture.",
        )


def _of_the_ends(
    look: Appearance, quality: PictureQuality, for_screens: bool, limits: FaultLimits
) -> Iterator[Fault]:
    """Too much white or black. for_screens: of 8 bits, and well used; a deeper file may be black for long."""
    if quality.white_share > limits.max_white:
        what = (
            f"The image is very bright: {quality.white_share:.0%} of it is one white; bone may be burnt out."
        )
        yield Fault(FaultKind.BRIGHT, what, _WIDEN.format("more"))
    elif _is_washed_out(look, limits):
        what = "The image is very bright: even the air beside the limb is gray; detail may be lost."
        yield Fault(FaultKind.BRIGHT, what, _WIDEN.format("more"))
    if for_screens and quality.black_share > limits.max_black:
        share = f"{quality.black_share:.0%} of it is black"
        what = f"The image is very dark: {share}; skin and soft tissue may be lost."
        yield Fault(FaultKind.DARK, what, _WIDEN.format("less"))


def _of_the_file(radiograph: Radiograph, quality: PictureQuality, limits: FaultLimits) -> Iterator[Fault]:
    if quality.short_side_px < limits.small_side_px:
        size = f"{radiograph.width_px} x {radiograph.height_px} pixels"
        yield Fault(
            FaultKind.SMALL,
            f"The image is small ({size}); fine fracture lines may be lost.",
            "Send the original instead of a preview.",
        )
    if radiograph.colour_spread > limits.tinted_spread:
        yield Fault(
            FaultKind.TINTED,
            "The image is tinted, as a photograph of a film is.",
            "Send the original file if there is one.",
        )


def _is_washed_out(look: Appearance, limits: FaultLimits) -> bool:
    bright = look.dark < limits.min_bright_dark and look.mean > limits.washed_out_mean
    return bright or look.dark < limits.bright_dark_area


def _is_faint(radiograph: Radiograph, quality: PictureQuality, limits: FaultLimits) -> bool:
    """A deeper file need not use its range; an 8-bit one was made for a screen."""
    return radiograph.bit_depth == _SCREEN_BITS and quality.gray_levels < limits.faint_levels
