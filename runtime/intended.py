"""Is this a patient, and a view, that a model was made for? Pure: what is said in, refusal or warnings out.

Body parts are judged with the picture (runtime.quality): a file that names one can be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.findings import Refusal, RefusalCode
from runtime.metadata import JOINT, PatientFacts, parse_age, shown
from runtime.words import VIEW_WORDS, as_words, view_word

_ALL_DIGITS = 17
_CLINICIAN = "Have a clinician read this radiograph. If the {} is wrong, correct it and send the image again."


@dataclass(frozen=True)
class Eligibility:
    """`refusal` set: do not answer. `warnings`: what is not known and should be."""

    refusal: Refusal | None = None
    warnings: tuple[str, ...] = ()


def judge_use(
    said: PatientFacts, ages_years: tuple[float, float] | None, views: tuple[str, ...]
) -> Eligibility:
    """What is said of a patient against what a bundle's intended use says; None, (): it says nothing."""
    found = (_judge_age(said.age, ages_years), _judge_view(said.view, views))
    refusal = next((each.refusal for each in found if each.refusal is not None), None)
    return Eligibility(refusal, tuple(text for each in found for text in each.warnings))


def _judge_age(age: str, ages_years: tuple[float, float] | None) -> Eligibility:
    if ages_years is None:
        return Eligibility()
    meant = f"this model was made for patients of {ages_years[0]:g} to {ages_years[1]:g} years"
    years = _years(age)
    if years is None:
        return Eligibility(warnings=(f"The age of the patient is not known; {meant}.",))
    if _is_within(years, ages_years):
        return Eligibility()
    message = f"The patient is said to be {_told(years, ages_years)} years old; {meant}."
    return Eligibility(Refusal(RefusalCode.AGE, message, _CLINICIAN.format("age")))


def _is_within(years: float, ages_years: tuple[float, float]) -> bool:
    """Whoever is 16 years and some months old is 16; half a year is half a year."""
    youngest, oldest = ages_years
    return youngest <= years and (years < oldest + 1 if oldest.is_integer() else years <= oldest)


def _told(years: float, ages_years: tuple[float, float]) -> str:
    """With as few digits as show that it lies outside: nobody is refused for 18 years by a limit of 18."""
    texts = (f"{years:.{digits}g}" for digits in range(3, _ALL_DIGITS))
    return next((text for text in texts if not _is_within(float(text), ages_years)), repr(years))


def _years(age: str) -> float | None:
    try:
        return parse_age(age)
    except ValueError:
        return None  # whoever takes the facts in tells that this is no age


def _judge_view(view: str, views: tuple[str, ...]) -> Eligibility:
    words = [view_word(part) for text in view.split(JOINT) if (part := as_words(text))]
    if not views or any(word in views for word in words):
        return Eligibility()
    meant = f"this model was made for: {', '.join(views)}"
    if words and all(word in VIEW_WORDS for word in words):
        message = f"The view is said to be: {', '.join(words)}; {meant}."
        return Eligibility(Refusal(RefusalCode.VIEW, message, _CLINICIAN.format("view")))
    said = f"The view is called {shown(view)!r}" if words else "The view is not known"
    return Eligibility(warnings=(f"{said}; {meant}.",))
