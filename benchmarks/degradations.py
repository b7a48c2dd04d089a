"""What goes wrong with a radiograph between the tube and the kiosk, made from a good one.

Every fault takes an 8-bit gray plane and gives the bytes of a file; the same picture gets the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
_TOP = 255
_AIR_TO_METAL = 4.0  # natural logarithm of the range of intensities behind a plate's gray scale
_PHOTONS = 10_000.0
"""In one pixel of air at full dose: a detector's entrance dose of about 2.5 microgray gives some hundreds on
0.1 mm, and a pixel of a plate that was made smaller for sending collects those of several."""


@dataclass(frozen=True)
class Degradation:
    """fault: what went wrong; strength: how much, in words. make: (H, W) uint8 -> bytes of a file."""

    fault: str
    strength: str
    make: Callable[[Plane], bytes]


def every() -> tuple[Degradation, ...]:
    """All of them, weakest first within a fault."""
    return (*_of_the_exposure(), *_of_sharpness(), *_of_sending())


def as_png(pixels: NDArray[np.floating] | Plane) -> bytes:
    """Rounded and cut to 8 bits."""
    whole = np.clip(np.rint(pixels), 0, _TOP).astype(np.uint8)
    return bytes(cv2.imencode(".png", whole)[1].tobytes())


def as_jpeg(pixels: Plane, quality: int) -> bytes:
    """Baseline JPEG of libjpeg's quality 1 to 100."""
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def with_gamma(pixels: Plane, gamma: float) -> bytes:
    """gamma above 1 darkens the middle."""
    return as_png(_TOP * (pixels / _TOP) ** gamma)


def with_clipping(pixels: Plane, share: float, white: bool) -> bytes:
    """The brightest (or darkest) share of the pixels that are not at an end already becomes one shade."""
    inside = pixels[(pixels > 2) & (pixels < _TOP - 2)].astype(np.float64)
    if white:
        return as_png(pixels * (_TOP / np.percentile(inside, 100 * (1 - share))))
    floor = np.percentile(inside, 100 * share)
    return as_png((pixels - floor) * (_TOP / max(1.0, _TOP - floor)))


def with_quantum_noise(pixels: Plane, dose: float) -> bytes:
    """Fewer photons: Poisson noise of the intensities behind the gray values, most of it in dense bone."""
    expected = dose * _PHOTONS * np.exp(-_AIR_TO_METAL * pixels / _TOP)
    counted = np.random.default_rng(int(pixels.sum())).poisson(expected)
    change = np.log(np.maximum(counted, 0.5) / expected) * (_TOP / _AIR_TO_METAL)
    return as_png(pixels - change)


def with_blur(pixels: Plane, sigma_share: float) -> bytes:
    """Gaussian; sigma as a share of the long side."""
    return as_png(cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), sigma_share * max(pixels.shape)))


def with_motion(pixels: Plane, length_share: float) -> bytes:
    """Moved during the exposure, each picture its own way; length as a share of the long side."""
    half = max(1.0, length_share * max(pixels.shape) / 2)
    way = np.random.default_rng(int(pixels.sum())).uniform(0, np.pi)
    reach = int(np.ceil(half)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for step in np.linspace(-half, half, 8 * reach):
        kernel[round(reach + step * np.sin(way)), round(reach + step * np.cos(way))] += 1
    return as_png(cv2.filter2D(pixels.astype(np.float32), -1, kernel / kernel.sum(), borderType=1))


def made_smaller(pixels: Plane, side_px: int) -> bytes:
    """Long side of that many pixels at most."""
    scale = min(1.0, side_px / max(pixels.shape))
    return as_png(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def photographed(pixels: Plane, glare: float) -> bytes:
    """A film on a light box: seen from aside, darker to the corners, a lamp's reflection, blue, as JPEG."""
    height, width = pixels.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    seen = corners * [0.9, 0.92] + np.array([[0.04, 0.05], [0.07, 0.03], [0.05, 0.04], [0.06, 0.05]]) * [
        width,
        height,
    ]
    turn = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    film = cv2.warpPerspective(pixels.astype(np.float32), turn, (width, height), borderValue=235.0)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    film = film * (1 - 0.25 * (x**2 + y**2) / 2) * 0.85 + 18
    film = film + glare * _TOP * np.exp(-((x - 0.35) ** 2 + (y + 0.3) ** 2) / 0.06)
    colours = np.stack([film * 1.06 + 6, film, film * 0.94 - 3], axis=2)
    return as_jpeg(np.clip(np.rint(colours), 0, _TOP).astype(np.uint8), 80)


def _of_the_exposure() -> list[Degradation]:
    return [
        Degradation("untouched", "", as_png),
        *(Degradation("gamma", f"{g:g}", partial(with_gamma, gamma=g)) for g in (0.3, 0.5, 2.0, 3.0)),
        *(
            Degradation("white clipped", f"{s:.0%}", partial(with_clipping, share=s, white=True))
            for s in (0.05, 0.1, 0.2)
        ),
        *(
            Degradation("black clipped", f"{s:.0%}", partial(with_clipping, share=s, white=False))
            for s in (0.2, 0.5, 0.7)
        ),
        *(
            Degradation("noise", f"{d:g} of the dose", partial(with_quantum_noise, dose=d))
            for d in (0.5, 0.1, 0.03)
        ),
    ]


def _of_sharpness() -> list[Degradation]:
    return [
        *(
            Degradation("blur", f"sigma {s:.1%} of the side", partial(with_blur, sigma_share=s))
            for s in (0.002, 0.004, 0.008, 0.016)
        ),
        *(
            Degradation("motion", f"{s:.1%} of the side", partial(with_motion, length_share=s))
            for s in (0.01, 0.02, 0.04)
        ),
    ]


def _of_sending() -> list[Degradation]:
    return [
        *(Degradation("JPEG", f"quality {q}", partial(as_jpeg, quality=q)) for q in (20, 10, 5)),
        *(Degradation("made smaller", f"{s} px", partial(made_smaller, side_px=s)) for s in (300, 200)),
        *(
            Degradation("photographed film", f"glare {g:.0%}", partial(photographed, glare=g))
            for g in (0.0, 0.5)
        ),
    ]
