"""A photograph of a film -> the film as a radiograph, looked at from straight in front, or why not.

Nothing is guessed. Where no film is found beyond doubt, several are, or one was photographed badly, the
photograph is refused with what to do better. What is read goes on to the checks that every picture goes
through. A film on a light box shows bone bright, so nothing is inverted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.findings import Refusal, RefusalCode
from runtime.photograph_film import Film, find_films
from runtime.photograph_plane import size_of, straightened, view_of
from runtime.photograph_quality import DEFAULT_LIMITS, Shot, ShotLimits, measure_shot, refusal_of_shot
from runtime.radiograph import PHOTOGRAPH, Radiograph

PHOTOGRAPHED = (
    "Read from a photograph of a film, which shows less than the X-ray machine's own file. "
    "Send that file if it can be had."
)
_MOST_PX = 2048
_INSET = 0.004
"""Of the film's sides, left out so that no light from beside it gets in."""
_NOISE, _PATCH_PX, _SEARCH_PX = 3.0, 5, 15
"""In gray values and pixels, as cv2.fastNlMeansDenoising takes them."""
_AGAIN = (
    "Lay the film flat, with the whole film in the picture, no lamp or window reflected in it and the tablet "
    "straight in front, and take the photograph again."
)


class PhotographError(InputError):
    """A photograph that is not read. `refusal`: why, and what to do."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message, refusal.advice)
        self.refusal = refusal


@dataclass(frozen=True, eq=False)
class Rectified:
    """radiograph: the film as a picture of its own. film: where it was in the photograph. shot: how it was
    taken.
    """

    radiograph: Radiograph
    film: Film
    shot: Shot


def rectify(photograph: Radiograph, limits: ShotLimits = DEFAULT_LIMITS) -> Rectified:
    """The film in a photograph. Raises PhotographError for one that is not read."""
    gray = _in_8_bits(photograph)
    film = _the_only(find_films(gray))
    view = view_of(film.corners, photograph.width_px, photograph.height_px)
    shot = measure_shot(gray, film, view)
    if (refusal := refusal_of_shot(shot, limits)) is not None:
        raise PhotographError(refusal)
    straight = straightened(gray, film.corners, size_of(film.corners, view.aspect, _MOST_PX))
    return Rectified(_as_radiograph(photograph, _without_noise(_inside(straight))), film, shot)


def _the_only(films: list[Film]) -> Film:
    if not films:
        message = "No film was found in the photograph, or not all of its edges."
        raise PhotographError(Refusal(RefusalCode.FILM_NOT_FOUND, message, _AGAIN))
    if len(films) > 1:
        message = f"{len(films)} films, or other dark things, lie in the photograph."
        advice = "Photograph one film at a time, with nothing else on the light box."
        raise PhotographError(Refusal(RefusalCode.FILM_SEVERAL, message, advice))
    return films[0]


def _in_8_bits(photograph: Radiograph) -> NDArray[np.uint8]:
    shift = photograph.bit_depth - 8
    gray: NDArray[np.uint8] = np.minimum(photograph.pixels >> shift, 255).astype(np.uint8)
    return gray


def _inside(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = film.shape
    rows, columns = round(_INSET * height), round(_INSET * width)
    inner: NDArray[np.uint8] = film[rows : height - rows, columns : width - columns]
    return inner.copy()


def _without_noise(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A camera's noise and a screen's grid are on no X-ray machine's file, and are what makes a photograph
    strange to a network that knows files. Averaging patches that look alike keeps fine lines.
    """
    return np.asarray(cv2.fastNlMeansDenoising(film, None, _NOISE, _PATCH_PX, _SEARCH_PX), np.uint8)


def _as_radiograph(photograph: Radiograph, film: NDArray[np.uint8]) -> Radiograph:
    """Its scale is gone, and the colour was measured of the whole photograph, most of which is not film."""
    said = replace(photograph.facts, pixel_spacing_mm=None, spacing_origin=None, window=None, declared=False)
    return replace(
        photograph,
        pixels=film.astype(np.uint16),
        bit_depth=8,
        format=PHOTOGRAPH,
        colour_spread=0.0,
        facts=said,
        warnings=(*photograph.warnings, PHOTOGRAPHED),
    )
