"""Age, sex, body part and view as a network's second input: what was said -> a vector, all of it optional.

Nothing known is a vector of zeros. So a network whose modulation by the vector has no constant part is, told
nothing, the network that looks at the picture alone (compress.zoo.fused). A value that makes no sense, or
that the network has never learned, counts as not known and is told; it never stops an answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.body_parts import words_for
from runtime.radiograph import AcquisitionFacts
from runtime.words import MAX_WORDS_CHARS, as_words, view_word

FIELDS = ("age", "sex", "body_part", "view")
SEXES = ("female", "male")
OLDEST_YEARS = 120.0
MOST_WORDS = 64
JOINT = "+"
"""Between the words of a picture that shows several: "hand+leg", "frontal+lateral"."""

_AGE = re.compile(r"(\d+(?:[.,]\d+)?)\s*([DWMY]?)", re.ASCII)  # half of the world writes a comma
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
_SEXES = {
    "": "",
    "unknown": "",
    "u": "",
    "m": "male",
    "male": "male",
    "f": "female",
    "female": "female",
    "o": "other",
    "other": "other",
}
_JUDGED = ("body_part", "view")
"""Whatever a network takes, these are held against what a bundle was made for."""
_TITLES = {"age": "age", "sex": "sex", "body_part": "body part", "view": "view"}


@dataclass(frozen=True)
class PatientFacts:
    """What is said of a patient and a picture, in the words of whoever says it; "" where nothing is said.

    age: "41" or "10.5" (years), or as DICOM writes it, "041Y", "006M", "003W", "012D". Nothing here can be
    wrong: what makes no sense is found out by MetadataSpec.understand.
    """

    age: str = ""
    sex: str = ""
    body_part: str = ""
    view: str = ""

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def over(self, other: PatientFacts) -> PatientFacts:
        """These facts; where they say nothing, the other's."""
        return PatientFacts(**{name: vars(self)[name].strip() or vars(other)[name] for name in FIELDS})


NOTHING_SAID = PatientFacts()


@dataclass(frozen=True)
class FactsUsed:
    """What a network was told, in its own words, and plain sentences on what it was not told and why."""

    facts: PatientFacts = NOTHING_SAID
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON-safe; age in years, None and "" where nothing was told."""
        said = self.facts
        return {
            "age_years": float(said.age) if said.age else None,
            "sex": said.sex,
            "body_part": said.body_part,
            "view": said.view,
            "notes": list(self.notes),
        }

    def in_words(self) -> str:
        """ "41 years, female, hand, frontal"; "nothing" where nothing is known."""
        said = self.facts
        age = f"{float(said.age):g} years" if said.age else ""
        return ", ".join(filter(None, (age, said.sex, said.body_part, said.view))) or "nothing"


@dataclass(frozen=True)
class MetadataSpec:
    """Which facts a network takes and what they are as numbers; part of a bundle's contract.

    fields: some of FIELDS. body_parts, views: the words that it has learned, empty for a field that it does
    not take. age_scale_years: the age that becomes 1.

    The vector has, in this order and for the fields taken: whether the age is known, age / age_scale_years;
    a place for each of SEXES; one for each body part; one for each view. Raises ValueError for anything that
    contradicts this.
    """

    fields: tuple[str, ...]
    body_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    age_scale_years: float = 40.0

    def __post_init__(self) -> None:
        _require(bool(self.fields), "metadata needs a field")
        _require(
            list(self.fields) == [name for name in FIELDS if name in self.fields],
            f"metadata fields must be some of {', '.join(FIELDS)} in this order, got {list(self.fields)}",
        )
        for name, words in (("body_part", self.body_parts), ("view", self.views)):
            _require(
                (name in self.fields) == bool(words), f"metadata: field {name} and its words go together"
            )
            _require_vocabulary(name, words)
        _require(
            math.isfinite(self.age_scale_years) and self.age_scale_years > 0,
            f"age_scale_years must be positive, got {self.age_scale_years}",
        )

    @property
    def columns(self) -> dict[str, slice]:
        """Where each field lies in the vector."""
        found, start = {}, 0
        for name in self.fields:
            width = 2 if name == "age" else len(self.words(name))
            found[name] = slice(start, start + width)
            start += width
        return found

    @property
    def width(self) -> int:
        """D, of the vector."""
        return int(self.columns[self.fields[-1]].stop)

    def words(self, name: str) -> tuple[str, ...]:
        """The vocabulary of a field; () for the age."""
        known = {"age": (), "sex": SEXES, "body_part": self.body_parts, "view": self.views}
        return known[name]

    def understand(self, said: PatientFacts) -> FactsUsed:
        """What of this the network can be told; fields that it does not take are passed over."""
        used: dict[str, str] = {}
        notes: list[str] = []
        for name in self.fields:
            text = vars(said)[name].strip()
            used[name], note = self._understood(name, text) if text else ("", "")
            notes += [note] if note else []
        return FactsUsed(PatientFacts(**used), tuple(notes))

    def encode(self, said: PatientFacts) -> NDArray[np.float32]:
        """(D,) float32; zeros where nothing is known."""
        told = self.understand(said).facts
        vector = np.zeros(self.width, np.float32)
        for name, columns in self.columns.items():
            text = vars(told)[name]
            if name == "age" and text:
                vector[columns] = 1.0, float(text) / self.age_scale_years
            elif text:
                known, words = self.words(name), text.split(JOINT)
                vector[columns] = [word in words for word in known]
        return vector

    def _understood(self, name: str, text: str) -> tuple[str, str]:
        """(in the network's words, what is wrong with it)."""
        try:
            if name == "age":
                return _age_text(text), ""
            said = [parse_sex(text)] if name == "sex" else _split(text)
        except ValueError as error:
            return "", f"{_TITLES[name]}: {error}; it was not used"
        # An explicit "unknown" is no mistake.
        return ("", "") if said == [""] else self._known_words(name, text, said)

    def _known_words(self, name: str, text: str, said: list[str]) -> tuple[str, str]:
        known = self.words(name)
        matches = {one: _match(name, one, known) for one in said}
        found = {word for words in matches.values() for word in words}
        foreign = [one for one, words in matches.items() if not words] or ([] if said else [shown(text)])
        used = JOINT.join(word for word in known if word in found)
        if not foreign:
            return used, ""
        unknown, choices = shown(", ".join(foreign)), ", ".join(known)
        return used, f"{_TITLES[name]}: the model does not know {unknown!r}, it knows {choices}; not used"


@dataclass(frozen=True)
class Telling:
    """What a person says beside a picture, over what the picture's own file says."""

    given: PatientFacts = NOTHING_SAID
    own: PatientFacts = NOTHING_SAID

    def to(self, spec: MetadataSpec | None) -> FactsUsed | None:
        """What a network of this spec uses of it; None for one that takes nothing and was given nothing."""
        if spec is None:
            unused = tuple(_unused(self.given, ()))
            return FactsUsed(notes=unused) if unused else None
        found = spec.understand(self.given.over(self.own))
        return replace(found, notes=(*found.notes, *_unused(self.given, spec.fields)))


def facts_of(acquisition: AcquisitionFacts) -> PatientFacts:
    """What a file says of its patient and view."""
    return PatientFacts(
        age="" if acquisition.age_years is None else years_text(acquisition.age_years),
        sex=acquisition.sex or "",
        body_part=acquisition.body_part or "",
        view=acquisition.view or "",
    )


def parse_age(text: str) -> float | None:
    """Years from "41", "10.5", "10,5", DICOM's "041Y", "006M", "003W" or "012D"; None for an empty text.

    Raises ValueError for anything else and beyond OLDEST_YEARS.
    """
    if not text:
        return None
    found = _AGE.fullmatch(text.strip().upper())
    years = float(found[1].replace(",", ".")) * _YEARS[found[2]] if found else math.nan
    if not 0 <= years <= OLDEST_YEARS:
        raise ValueError(f"age must be 0 to {OLDEST_YEARS:.0f} years, got {shown(text)!r}")
    return years


def parse_sex(text: str) -> str:
    """ "male", "female", "other", or "" where it is not known. Raises ValueError for anything else."""
    if text.strip().lower() not in _SEXES:
        raise ValueError(f"sex must be male, female, other or empty, got {shown(text)!r}")
    return _SEXES[text.strip().lower()]


def years_text(years: float) -> str:
    """An age as PatientFacts keep it, to a ten-thousandth of a year."""
    return f"{years:.4f}".rstrip("0").rstrip(".")


def shown(text: str) -> str:
    """Somebody's words, fit to be told in a sentence."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return printable if len(printable) <= MAX_WORDS_CHARS else printable[: MAX_WORDS_CHARS - 1] + "…"


def _age_text(text: str) -> str:
    years = parse_age(text)
    assert years is not None
    return years_text(years)


def _split(text: str) -> list[str]:
    return [words for part in text.split(JOINT) if (words := as_words(part)) is not None]


def _match(name: str, words: str, known: tuple[str, ...]) -> tuple[str, ...]:
    if name == "body_part":
        return words_for(words, known)
    word = view_word(words) if name == "view" else words
    return (word,) if word in known else ()


def _unused(given: PatientFacts, taken: tuple[str, ...]) -> Iterator[str]:
    for item in fields(given):
        if vars(given)[item.name].strip() and item.name not in (*taken, *_JUDGED):
            yield f"{_TITLES[item.name]}: this model does not use it"


def _require_vocabulary(name: str, words: tuple[str, ...]) -> None:
    _require(
        len(words) <= MOST_WORDS and len(set(words)) == len(words),
        f"metadata: field {name} needs at most {MOST_WORDS} different words, got {len(words)}",
    )
    for word in words:
        _require(
            as_words(word) == word, f"metadata: {shown(word)!r} is no plain lower-case word of field {name}"
        )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
