"""What may be said of patient and exposure: whole years, and words of our own vocabulary. Pure.

People type, and files declare, anything at all into such fields, names too; what is no word of ours is left
out.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.body_parts import regions_of
from runtime.metadata import OLDEST_YEARS, PatientFacts, parse_age
from runtime.radiograph import AcquisitionFacts
from runtime.words import VIEW_WORDS, as_words, view_word

OLDEST_TOLD_YEARS = 90
"""Older ages are told as this one: few people reach them, and an age alone can name somebody."""
_SEXES = {
    **dict.fromkeys(("female", "f"), "female"),
    **dict.fromkeys(("male", "m"), "male"),
    **dict.fromkeys(("other", "o"), "other"),
}
_SIDES = ("left", "right", "both")


@dataclass(frozen=True)
class Told:
    """age_years: whole, at most OLDEST_TOLD_YEARS. Everything else is a word of ours, "" where nothing is
    known.

    body_part: a region of runtime.body_parts, "extremity" for several.
    """

    age_years: int | None = None
    sex: str = ""
    body_part: str = ""
    view: str = ""
    laterality: str = ""


def told(said: PatientFacts, file: AcquisitionFacts) -> Told:
    """What a person said goes before what the file says."""
    side = file.laterality or ""
    return Told(
        age_years=next(filter(_known, (_years(said.age), _whole(file.age_years))), None),
        sex=_SEXES.get(said.sex.strip().lower()) or _SEXES.get((file.sex or "").lower(), ""),
        body_part=_part(said.body_part) or _part(file.body_part or ""),
        view=_view(said.view) or _view(file.view or ""),
        laterality=side if side in _SIDES else "",
    )


def _known(years: int | None) -> bool:
    return years is not None


def _years(text: str) -> int | None:
    try:
        return _whole(parse_age(text)) if text.strip() else None
    except ValueError:
        return None


def _whole(years: float | None) -> int | None:
    if years is None or not 0 <= years <= OLDEST_YEARS:
        return None
    return min(int(years), OLDEST_TOLD_YEARS)


def _part(text: str) -> str:
    regions = regions_of(text)
    return next(iter(regions)) if len(regions) == 1 else ("extremity" if regions else "")


def _view(text: str) -> str:
    word = view_word(as_words(text) or "")
    return word if word in VIEW_WORDS else ""
