"""Is this a radiograph, of a part the model knows, well enough exposed? Pure: facts in, judgement out.

What is measured is in runtime.appearance and runtime.picture_quality, what only warns in runtime.faults. The
limits here were set on 3,139 radiographs of FracAtlas, CR and DX files of other makers, simulated
radiographs, and on photographs, textures, drawings and screens. They refuse what is clearly no radiograph; a
gray photograph of something smooth can pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

from runtime.appearance import Appearance, copies_of, measure
from runtime.aside import begin
from runtime.body_parts import Fit, fit
from runtime.faults import Fault, FaultKind, FaultLimits, explain, find_faults
from runtime.findings import Refusal, RefusalCode
from runtime.picture_quality import PictureQuality, measure_detail, measure_quality
from runtime.radiograph import Radiograph

__all__ = ["DEFAULT_LIMITS", "Assessment", "QualityLimits", "assess", "doubts_of", "explain"]
_OF_THE_GRAYS = (FaultKind.INVERTED, FaultKind.BRIGHT, FaultKind.DARK)


@dataclass(frozen=True)
class QualityLimits:
    """Limits on what `Appearance` measures; gray values are 0 to 1 after stretching.

    min_side_px: below it no fracture line survives. min_levels: stored gray levels between the 0.5th and
    99.5th percentile. max_colour_spread: in 1/255; a warm or blue photograph of a film has 10 to 20.
    """

    min_side_px: int = 128
    min_levels: float = 8.0
    max_blank: float = 0.95
    max_colour_spread: float = 25.0
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
    faults: FaultLimits = field(default_factory=FaultLimits)


@dataclass(frozen=True)
class Assessment:
    """`refusal` set: do not answer. `warnings`: plain sentences to show beside an answer.

    quality: what was measured, None for a picture too small to measure. faults: what that says is wrong; a
    refusal on other grounds can be explained by it (`explain`).
    """

    refusal: Refusal | None
    warnings: tuple[str, ...] = ()
    quality: PictureQuality | None = None
    faults: tuple[Fault, ...] = ()


DEFAULT_LIMITS = QualityLimits()


def assess(
    radiograph: Radiograph,
    limits: QualityLimits = DEFAULT_LIMITS,
    body_parts: tuple[str, ...] = (),
    aside: Executor | None = None,
) -> Assessment:
    """Judge one image against the limits and the body parts a model was made for.

    aside: does a part of the measuring where it has time for that.
    """
    refusal = _too_small(radiograph, limits)
    if refusal is not None:
        return Assessment(refusal, radiograph.warnings)
    copies = copies_of(radiograph)
    detail = begin(aside, lambda: measure_detail(copies))
    look = measure(copies)
    quality = measure_quality(radiograph, copies, detail())
    faults = tuple(find_faults(radiograph, look, quality, limits.faults))
    refusal = (
        _no_contrast(look, limits)
        or explain(_not_a_radiograph(look, radiograph.colour_spread, limits), faults)
        or _outside_use(radiograph, body_parts)
    )
    noticed = () if refusal else (*_warn_of_use(radiograph, body_parts), *(fault.warning for fault in faults))
    return Assessment(refusal, (*radiograph.warnings, *noticed), quality, faults)


def doubts_of(assessment: Assessment, righted: bool) -> tuple[str, ...]:
    """The warnings that stand beside an answer; where it was read with dark and bright exchanged, what was
    measured of bright and dark is not true of it.
    """
    settled = {fault.warning for fault in assessment.faults if righted and fault.kind in _OF_THE_GRAYS}
    return tuple(text for text in assessment.warnings if text not in settled)


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
        f"It is said to show: {stated}. This model reads: {', '.join(body_parts)}.",
        "Have a clinician read this radiograph. If the body part is wrong, correct it and send the image "
        "again.",
    )


def _warn_of_use(radiograph: Radiograph, body_parts: tuple[str, ...]) -> Iterator[str]:
    stated = radiograph.facts.body_part
    if body_parts and fit(stated, body_parts) is Fit.UNKNOWN:
        said = f"calls the body part {stated!r}" if stated else "does not say which body part it shows"
        yield f"The file {said}; this model reads: {', '.join(body_parts)}."
