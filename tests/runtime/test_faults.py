"""Each way of spoiling a radiograph is named, in words to act on, and a sound one is not accused."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmarks import degradations as made
from runtime.faults import Fault, FaultKind, explain
from runtime.findings import Refusal, RefusalCode
from runtime.quality import assess
from runtime.radiograph import Radiograph
from tests.bundles import radiograph_pixels


def plate(height_px: int = 454, width_px: int = 373) -> np.ndarray:
    """An 8-bit plate, air above black as most screens show it, with the noise of a full dose."""
    twelve = radiograph_pixels(False, height_px=height_px, width_px=width_px).astype(np.float64)
    smooth = cv2.GaussianBlur(twelve, (0, 0), 1.0)
    return np.clip(np.rint(smooth / 14), 0, 255).astype(np.uint8)


def with_skin(pixels: np.ndarray) -> np.ndarray:
    """Fine structure everywhere, so that sharpness has something to lose."""
    texture = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 6, pixels.shape), (0, 0), 0.6)
    return np.clip(pixels + texture * (pixels > 60), 0, 255).astype(np.uint8)


SOUND = with_skin(plate())


def kinds(data: bytes) -> set[FaultKind]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return {fault.kind for fault in assess(Radiograph(pixels.astype(np.uint16), 8, "0" * 64)).faults}


def test_a_sound_plate_has_no_fault() -> None:
    assert kinds(made.as_png(SOUND)) == set()


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda plane: made.as_jpeg(plane, 5), FaultKind.COMPRESSED),
        (lambda plane: made.as_jpeg(plane, 10), FaultKind.COMPRESSED),
        (lambda plane: made.with_blur(plane, 0.004), FaultKind.BLURRED),
        (lambda plane: made.with_blur(plane, 0.016), FaultKind.BLURRED),
        (lambda plane: made.with_motion(plane, 0.04), FaultKind.BLURRED),
        (lambda plane: made.with_quantum_noise(plane, 0.05), FaultKind.NOISE),
        (lambda plane: made.with_clipping(plane, 0.2, white=True), FaultKind.BRIGHT),
        (lambda plane: made.with_clipping(plane, 0.7, white=False), FaultKind.DARK),
        (lambda plane: made.as_png(plane // 6), FaultKind.FAINT),
        (
            lambda plane: made.as_png(255 - np.pad(plane, ((0, 0), (160, 160)), mode="edge") // 6),
            FaultKind.FAINT,
        ),
        (lambda plane: made.made_smaller(plane, 200), FaultKind.SMALL),
        (
            lambda plane: made.as_png(255 - np.pad(plane, ((0, 0), (160, 160)), mode="edge")),
            FaultKind.INVERTED,
        ),
    ],
)
def test_each_fault_is_found(spoil: Callable[[np.ndarray], bytes], kind: FaultKind) -> None:
    assert kind in kinds(spoil(SOUND))


def test_a_deeper_file_may_leave_most_of_its_range_unused() -> None:
    dim = Radiograph((SOUND // 6).astype(np.uint16), 12, "0" * 64)

    assert not {FaultKind.DARK, FaultKind.FAINT} & {fault.kind for fault in assess(dim).faults}


def test_every_fault_says_what_to_do() -> None:
    spoiled = [
        made.as_jpeg(SOUND, 5),
        made.with_blur(SOUND, 0.008),
        made.with_clipping(SOUND, 0.2, white=True),
        made.with_clipping(SOUND, 0.7, white=False),
        made.made_smaller(SOUND, 200),
    ]
    for data in spoiled:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        for fault in assess(Radiograph(pixels.astype(np.uint16), 8, "0" * 64)).faults:
            assert fault.what.endswith(".") and fault.advice.endswith(".")
            assert fault.warning == f"{fault.what} {fault.advice}"


NOISE = Fault(FaultKind.NOISE, "Under-exposed.", "Repeat.")
SEVERAL = Fault(FaultKind.SEVERAL, "Two.", "Send each.")


def test_a_strange_picture_is_refused_with_what_is_wrong_and_what_to_do_first() -> None:
    refusal = Refusal(RefusalCode.UNFAMILIAR, "Strange.", "Check.")
    explained = explain(refusal, (NOISE, SEVERAL))

    assert explained == Refusal(RefusalCode.UNFAMILIAR, "Strange. Under-exposed.", "Repeat. Check.")


@pytest.mark.parametrize("faults", [(), (SEVERAL,)])
def test_what_explains_nothing_changes_nothing(faults: tuple[Fault, ...]) -> None:
    refusal = Refusal(RefusalCode.UNFAMILIAR, "Strange.", "Check.")

    assert explain(refusal, faults) == refusal
    assert explain(None, faults) is None


def test_a_refusal_for_the_body_part_stays_as_it_is() -> None:
    refusal = Refusal(RefusalCode.BODY_PART, "A chest.", "Have it read.")

    assert explain(refusal, (NOISE,)) == refusal
