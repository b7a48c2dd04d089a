"""How often the box is right, in words for a nurse, marked for translation.

Nothing is said more exactly than it is known: a share whose interval is wide is rounded with it, and one of
which little is known is not told at all.
"""

from __future__ import annotations

import math

from device_app.agreement import Share
from device_app.language import gettext
from device_app.limits_text import Limits
from device_app.site_points.cases import Figures
from device_app.site_points.limits import WIDEST, Promise, widened

KNOWN_WIDTH = 0.3
"""An interval that is wider says too little to be told to a nurse."""
_COARSE = 5


def limits_words(limits: Limits | None) -> str:
    """By what the box decides, for the page about the box; "" where that is not known."""
    if limits is None:
        return ""
    if limits.unused:
        return gettext(
            "as released. This clinic has chosen others, which do not count for the engine that is at work "
            "now: its scores mean something else."
        )
    return gettext("chosen by this clinic") if limits.changed else gettext("as released")


def share_words(share: Share, interval: tuple[float, float] | None = None) -> str:
    """Counts, percentage and where the true share probably lies."""
    if share.value is None:
        return gettext("nothing confirmed yet")
    counts = gettext("%(count)s of %(total)s", count=share.count, total=share.total)
    return f"{counts} ({percent_words(share.value, interval or share.interval)})"


def percent_words(value: float, interval: tuple[float, float]) -> str:
    """ "93%, probably between 81% and 98%", in fives where the interval is wide."""
    low, high = interval
    step = 1 if high - low <= WIDEST else _COARSE
    return gettext(
        "%(percent)s%%, probably between %(low)s%% and %(high)s%%",
        percent=rounded(value, step),
        low=step * math.floor(100 * low / step),
        high=min(100, step * math.ceil(100 * high / step)),
    )


def _is_known(interval: tuple[float, float]) -> bool:
    """Whether enough was counted to tell anybody."""
    low, high = interval
    return high - low <= KNOWN_WIDTH


def maker_words(promise: Promise | None) -> str:
    """What the maker's test says; "" where it says nothing."""
    if promise is None:
        return ""
    found = promise.sensitivity
    return gettext(
        "When its maker tested it, this model found %(count)s of %(total)s fractures (%(percent)s). "
        "It called %(none)s of %(others)s pictures without one “no fracture found”.",
        count=found.count,
        total=found.total,
        percent=percent_words(found.value or 0.0, promise.interval(found)),
        none=promise.specificity.count,
        others=promise.specificity.total,
    )


def site_words(figures: Figures, chosen: bool) -> list[str]:
    """How often the box is right at this clinic, as far as that is known.

    chosen: whether the limits were chosen here, by looking at such figures.
    """
    of = widened if chosen else _plain_interval
    return [
        _found_words(figures.sensitivity, of(figures.sensitivity)),
        _alone_words(figures.specificity, of(figures.specificity)),
    ]


def _plain_interval(share: Share) -> tuple[float, float]:
    return share.interval


def _found_words(share: Share, interval: tuple[float, float]) -> str:
    if share.value is None or not _is_known(interval):
        return gettext(
            "How many fractures it finds at this clinic is not known yet. Confirmed so far: %(count)s.",
            count=share.total,
        )
    return gettext(
        "At this clinic, of %(total)s confirmed fractures the box finds %(count)s (%(percent)s).",
        total=share.total,
        count=share.count,
        percent=percent_words(share.value, interval),
    )


def _alone_words(share: Share, interval: tuple[float, float]) -> str:
    if share.value is None or not _is_known(interval):
        return gettext(
            "How often it raises false alarms here is not known yet. Confirmed without one: %(count)s.",
            count=share.total,
        )
    return gettext(
        "Of %(total)s confirmed to have none it calls %(count)s “no fracture found” (%(percent)s).",
        total=share.total,
        count=share.count,
        percent=percent_words(share.value, interval),
    )


def chosen_words() -> str:
    """That the tested limits are not in force."""
    return gettext("This clinic decides by limits of its own since then, not by those that were tested.")


def followed_words() -> str:
    """What such figures rest on."""
    return gettext(
        "Only pictures count of which somebody has stated what it was: fractures in others may have been "
        "missed."
    )


def rounded(value: float, step: int) -> int:
    """Of 100, in steps."""
    return step * round(100 * value / step)
