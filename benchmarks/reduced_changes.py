"""One large picture, decoded in full and at reduced size: what quality check and engines make of either."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.reduced_codecs import (
    READINGS,
    Codec,
    Decoded,
    Plate,
    halved_by_means,
    levels_of,
    rounded_anew,
)
from compress.localisation import PixelBox, iou
from runtime.detector import Detector, DetectorSpec
from runtime.findings import Verdict
from runtime.postprocess import locate
from runtime.preprocess import Placement, preprocess
from runtime.quality import assess
from runtime.radiograph import AcquisitionFacts, Radiograph

CONTROL = "full, rounded anew"
"""What changes there is rounding."""
BY_MEANS = "1/2, means of 2 x 2"
"""What changes there is the two steps of the reduction, not a decoder's way of making the first."""


@dataclass(frozen=True)
class Group:
    """What a row is about."""

    kind: str
    codec: str
    reading: str
    engine: str


@dataclass(frozen=True)
class Change:
    """Of one picture and engine, beside the same in full.

    decode_ms, full_ms: of decoding alone, None for what no decoder made. tensor_median, tensor_max, logit: of
    absolute differences. before, after: verdicts. refused: whether the quality check refuses otherwise.
    warnings: that it gives for one of both alone. overlap: IoU of the strongest places, None without them.
    """

    name: str
    decode_ms: float | None
    full_ms: float | None
    tensor_median: float
    tensor_max: float
    logit: float
    before: Verdict
    after: Verdict
    refused: bool
    warnings: tuple[str, ...]
    overlap: float | None

    @property
    def flipped(self) -> bool:
        """Another verdict; "unreadable" is one."""
        return self.before is not self.after

    @property
    def over_full(self) -> float | None:
        """Time as a share of that in full."""
        return self.decode_ms / self.full_ms if self.decode_ms and self.full_ms else None


@dataclass(frozen=True, eq=False)
class _Look:
    """What every engine is shown alike. refusal, warnings: of the quality check."""

    reading: str
    decode_ms: float | None
    radiograph: Radiograph
    tensor: NDArray[np.float32]
    placement: Placement
    refusal: str
    warnings: frozenset[str]


@dataclass(frozen=True)
class _Answer:
    """box: the strongest place as fractions of the picture, comparable across sizes."""

    logit: float
    verdict: Verdict
    box: PixelBox | None


def changes_of(
    plate: Plate, codec: Codec, detectors: Mapping[str, Detector], rounds: int
) -> Iterator[tuple[Group, Change]]:
    """A change an engine and reading other than that in full, CONTROL and BY_MEANS among them."""
    spec = next(iter(detectors.values())).spec
    full, *others = _looks(plate, codec, spec, rounds)
    for key, detector in detectors.items():
        before = _ask(detector, full)
        for look in others:
            group = Group(plate.kind, codec.name, look.reading, key)
            yield group, _change(plate.name, (full, before), (look, _ask(detector, look)))


def decode_in_turns(
    codec: Codec, data: bytes, levels: tuple[int, ...], rounds: int
) -> dict[int, tuple[Decoded, float]]:
    """Of each level the pixels and the median of its milliseconds; every round in another order."""
    pixels: dict[int, Decoded] = {}
    times: dict[int, list[float]] = {level: [] for level in levels}
    for number in range(rounds):
        turn = number % len(levels)
        for level in (*levels[turn:], *levels[:turn]):
            started = time.perf_counter()
            pixels[level] = codec.decode(data, level)
            times[level].append((time.perf_counter() - started) * 1e3)
    return {level: (pixels[level], median(times[level])) for level in levels}


def parity(changes: list[Change], control: list[Change], tolerance: float) -> bool:
    """Every logit within the tolerance, the quality check's judgement the same everywhere, and no more
    verdicts changed than rounding changes.
    """
    within = all(change.logit <= tolerance for change in changes)
    judged_alike = not any(change.refused or change.warnings for change in changes)
    flips, by_rounding = (sum(change.flipped for change in some) for some in (changes, control))
    return within and judged_alike and flips <= by_rounding


def _looks(plate: Plate, codec: Codec, spec: DetectorSpec, rounds: int) -> Iterator[_Look]:
    """In full first."""
    bits = codec.bits or plate.radiograph.bit_depth
    levels = levels_of(plate.radiograph, spec.preprocess.size_px)
    decoded = decode_in_turns(codec, codec.make(plate.radiograph), levels, rounds)
    part = next(iter(spec.body_parts), None)  # no picture is refused for what its file says
    facts = AcquisitionFacts(body_part=part, declared=plate.radiograph.facts.declared)
    full = decoded[0][0]
    shown = [
        *((READINGS[level], *decoded[level]) for level in levels),
        (CONTROL, rounded_anew(full), None),
        (BY_MEANS, halved_by_means(full), None),
    ]
    for reading, pixels, decode_ms in shown:
        # Wavelets of a lower resolution overshoot what the bits can hold.
        inside = np.minimum(pixels, (1 << bits) - 1).astype(np.uint16)
        radiograph = replace(plate.radiograph, pixels=inside, bit_depth=bits, facts=facts)
        yield _look(reading, decode_ms, radiograph, spec)


def _look(reading: str, decode_ms: float | None, radiograph: Radiograph, spec: DetectorSpec) -> _Look:
    tensor, placement = preprocess(radiograph, spec.preprocess)
    judged = assess(radiograph, body_parts=spec.body_parts)
    refusal = "" if judged.refusal is None else str(judged.refusal.code)
    return _Look(reading, decode_ms, radiograph, tensor, placement, refusal, frozenset(judged.warnings))


def _ask(detector: Detector, look: _Look) -> _Answer:
    score = detector.score(look.tensor)
    boxes, _ = locate(score.map, look.placement)
    verdict = detector.detect(look.radiograph).verdict
    if not boxes:
        return _Answer(score.logit, verdict, None)
    best = max(boxes, key=lambda box: box.score)
    width, height = look.radiograph.width_px, look.radiograph.height_px
    box = (best.x0_px / width, best.y0_px / height, best.x1_px / width, best.y1_px / height)
    return _Answer(score.logit, verdict, box)


def _change(name: str, full: tuple[_Look, _Answer], other: tuple[_Look, _Answer]) -> Change:
    (whole, before), (look, after) = full, other
    apart = np.abs(look.tensor - whole.tensor)[0, 0]
    top, left = whole.placement.top_px, whole.placement.left_px
    inner = apart[top : len(apart) - top, left : len(apart) - left]
    return Change(
        name=name,
        decode_ms=look.decode_ms,
        full_ms=None if look.decode_ms is None else whole.decode_ms,
        tensor_median=float(np.median(inner)),
        tensor_max=float(inner.max()),
        logit=abs(after.logit - before.logit),
        before=before.verdict,
        after=after.verdict,
        refused=look.refusal != whole.refusal,
        warnings=tuple(sorted(look.warnings ^ whole.warnings)),
        overlap=iou(before.box, after.box) if before.box and after.box else None,
    )
