"""Facts of the patient between form, database and worker: plain words, which the detector understands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from device_app.store.records import display_text
from runtime import strict
from runtime.errors import BundleFormatError
from runtime.metadata import FIELDS, MetadataSpec, PatientFacts

MAX_FACT_CHARS = 48


def spec_text(spec: MetadataSpec | None) -> str:
    """What the bundle's model asks, as the worker reports it; "" for the picture alone."""
    return "" if spec is None else json.dumps(asdict(spec))


def spec_of_text(text: str) -> MetadataSpec | None:
    """The same back; None for nothing, and for what is no such report."""
    try:
        return strict.build(MetadataSpec, strict.loads(text.encode(), "facts"), "facts") if text else None
    except BundleFormatError:
        return None


def facts_of_form(form: Mapping[str, str], spec: MetadataSpec | None) -> PatientFacts:
    """What was filled in of what the model asks; nothing else is kept of a patient."""
    asked = () if spec is None else spec.fields
    return PatientFacts(**{name: display_text(form.get(name, ""), MAX_FACT_CHARS) for name in asked})


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
