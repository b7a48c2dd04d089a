"""Where a marked place is, in words: for whoever does not see it, and for whoever reads a list."""

from __future__ import annotations

from device_app.language import gettext, lazy_gettext
from device_app.readings import Place

_ = lazy_gettext
REGIONS = (
    _("upper left"),
    _("upper middle"),
    _("upper right"),
    _("left"),
    _("middle"),
    _("right"),
    _("lower left"),
    _("lower middle"),
    _("lower right"),
)
"""Of a picture as it lies in its file, row after row; the viewer's places.js counts them alike."""


def region_of(place: Place, size_px: tuple[int, int]) -> int:
    """Which of REGIONS a place's middle lies in, for a picture of that width and height."""
    across = (place.x0_px + place.x1_px) / 2 / size_px[0]
    down = (place.y0_px + place.y1_px) / 2 / size_px[1]
    return 3 * min(2, int(3 * down)) + min(2, int(3 * across))


def place_line(number: int, place: Place, sizes_px: dict[int, tuple[int, int]]) -> str:
    """One line of a list; the picture is named where there are several."""
    facts = {
        "number": number,
        "width": round(place.x1_px - place.x0_px),
        "height": round(place.y1_px - place.y0_px),
    }
    if place.image_id not in sizes_px:
        return gettext("Place %(number)s: %(width)s x %(height)s px", **facts)
    region = str(REGIONS[region_of(place, sizes_px[place.image_id])])
    if len(sizes_px) == 1:
        return gettext("Place %(number)s: %(region)s, %(width)s x %(height)s px", region=region, **facts)
    picture = list(sizes_px).index(place.image_id) + 1
    return gettext(
        "Place %(number)s, picture %(picture)s: %(region)s, %(width)s x %(height)s px",
        region=region,
        picture=picture,
        **facts,
    )


def region_words() -> list[str]:
    """All of them in the language of the request, for the viewer's script."""
    return [str(region) for region in REGIONS]
