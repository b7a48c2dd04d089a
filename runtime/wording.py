"""The plain English of an answer, in one place. Screens translate it; nothing else invents its own words."""

from __future__ import annotations

from runtime.examination import Examination
from runtime.findings import Findings, Verdict

NOTICE = "AI result, not a diagnosis"

_HEADLINES = {
    Verdict.FRACTURE: "Fracture suspected",
    Verdict.DOUBT: "Doubtful: a fracture is possible",
    Verdict.NONE: "No fracture found",
    Verdict.UNREADABLE: "Cannot read this image",
}
_NEXT_STEPS = {
    Verdict.FRACTURE: "Immobilise the limb and have a clinician look at the marked place.",
    Verdict.DOUBT: "Have a clinician read this radiograph; consider a further view.",
    Verdict.NONE: "A fracture can be missed. If pain, swelling or the injury suggest one, refer the patient.",
}
_EXAMINATION_NEXT_STEPS = {
    Verdict.FRACTURE: "Immobilise the limb and have a clinician look at the marked places.",
    Verdict.DOUBT: "Have a clinician read these radiographs; consider a further view.",
    Verdict.NONE: _NEXT_STEPS[Verdict.NONE],
    Verdict.UNREADABLE: "Take the missing view again, or have a clinician read the radiographs.",
}


def headline(verdict: Verdict) -> str:
    """The verdict in words."""
    return _HEADLINES[verdict]


def next_step(findings: Findings) -> str:
    """What to do now, one or two sentences."""
    if findings.refusal is not None:
        return findings.refusal.advice
    return _NEXT_STEPS[findings.verdict]


def probability_words(findings: Findings) -> str:
    """The probability as a percentage that never rounds to certainty."""
    return "no result" if findings.probability is None else chance_words(findings.probability)


def examination_headline(examination: Examination) -> str:
    """The verdict on all views in words."""
    if examination.verdict is Verdict.UNREADABLE:
        return "No answer for this examination"
    return headline(examination.verdict)


def examination_next_step(examination: Examination) -> str:
    """What to do now, one or two sentences."""
    return _EXAMINATION_NEXT_STEPS[examination.verdict]


def examination_notes(examination: Examination) -> tuple[str, ...]:
    """What to know about how the answer came about."""
    notes = []
    if examination.unread:
        count, unread = len(examination.views), len(examination.unread)
        notes.append(f"{unread} of {count} views could not be read.")
    if examination.disagreement:
        notes.append("One view by itself suggests a fracture, the views together do not.")
    return tuple(notes)


def chance_words(probability: float) -> str:
    """A probability as a percentage that never rounds to certainty."""
    percent = 100 * probability
    if percent < 1:
        return "below 1%"
    return "above 99%" if percent > 99 else f"{percent:.0f}%"
