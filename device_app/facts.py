"""Facts of the patient between form, database and worker: plain words, which the detector understands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from device_app.status import ReaderStatus
from device_app.store.records import display_text
from runtime import strict
from runtime.body_parts import words_for
from runtime.errors import BundleFormatError
from runtime.metadata import FIELDS, SEXES, MetadataSpec, PatientFacts
from runtime.words import VIEW_WORDS

MAX_FACT_CHARS = 48


ARM_PARTS = ("shoulder", "upper arm", "elbow", "forearm", "wrist", "hand", "finger")
LEG_PARTS = ("hip", "thigh", "knee", "lower leg", "ankle", "foot", "toe")
OTHER_PARTS = ("head", "neck", "chest", "spine")
"""The regions of runtime.body_parts that the body picture shows: all but those that no limb is near to."""
_SHOWN = (*ARM_PARTS, *LEG_PARTS, *OTHER_PARTS)
_ALWAYS = ("body_part", "view")
"""Asked whatever a model takes: they say whether it was made for such a picture, and stand in reports."""


@dataclass(frozen=True)
class Asked:
    """What the form asks of a patient.

    fields: some of runtime.metadata.FIELDS. choices: the words of a field that a model takes; one without any
    is typed, but for the two that have pictures.
    """

    fields: tuple[str, ...] = _ALWAYS
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def words(self, name: str) -> tuple[str, ...]:
        """What can be chosen for a field, () where it is typed or touched on a picture."""
        return self.choices.get(name, ())

    @property
    def body_picture(self) -> bool:
        """Whether all that the model knows of body parts can be said by touching one."""
        known = self.words("body_part")
        return all(any(word in words_for(part, known) for part in _SHOWN) for word in known)

    @property
    def view_pictures(self) -> bool:
        """Whether all views that the model knows have a picture."""
        return set(self.words("view")) <= set(VIEW_WORDS)


NOT_KNOWN_YET = Asked(FIELDS, {"sex": SEXES})
"""While no model has been opened: whatever one may use. Of the rest the answer says that it was not used."""


def asked_by(status: ReaderStatus) -> Asked:
    """What the model in use takes; every field as long as it is not known which model that is."""
    if not status.bundle_sha256:
        return NOT_KNOWN_YET
    spec = spec_of_text(status.asks)
    if spec is None:
        return Asked()
    taken = tuple(name for name in FIELDS if name in (*spec.fields, *_ALWAYS))
    return Asked(taken, {name: spec.words(name) for name in spec.fields})


def spec_text(spec: MetadataSpec | None) -> str:
    """What the bundle's model asks, as the worker reports it; "" for the picture alone."""
    return "" if spec is None else json.dumps(asdict(spec))


def spec_of_text(text: str) -> MetadataSpec | None:
    """The same back; None for nothing, and for what is no such report."""
    try:
        return strict.build(MetadataSpec, strict.loads(text.encode(), "facts"), "facts") if text else None
    except BundleFormatError:
        return None


def facts_of_form(form: Mapping[str, str], asked: Asked) -> PatientFacts:
    """What was filled in of what is asked; nothing else is kept of a patient."""
    return PatientFacts(**{name: display_text(form.get(name, ""), MAX_FACT_CHARS) for name in asked.fields})


def to_text(facts: PatientFacts) -> str:
    """For the database; "" where nothing is said."""
    return json.dumps({name: value for name, value in vars(facts).items() if value}) if facts else ""


def of_text(text: str) -> PatientFacts:
    """The same back. A damaged entry says nothing: it must not keep a picture from being read."""
    try:
        table = strict.loads(text.encode(), "facts") if text else {}
        return PatientFacts(**{name: str(table[name]) for name in FIELDS if name in table})
    except (BundleFormatError, TypeError, ValueError):
        return PatientFacts()
