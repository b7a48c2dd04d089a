"""The plain English of an answer, in one place. Screens translate it; nothing else invents its own words."""

from __future__ import annotations

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
    if findings.probability is None:
        return "no result"
    percent = 100 * findings.probability
    if percent < 1:
        return "below 1%"
    return "above 99%" if percent > 99 else f"{percent:.0f}%"
