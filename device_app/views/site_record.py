"""What this clinic knows of the model at work, for the screens of a request: the one place to ask."""

from __future__ import annotations

from dataclasses import dataclass

from device_app.answers import Answer
from device_app.language import gettext
from device_app.limits_text import Limits, limits_of_text
from device_app.site_points import how_sure
from device_app.site_points.cases import Evidence, Figures, figures_at
from device_app.site_points.limits import Promise, promise_of
from device_app.store.site_cases import Scale, cases_of
from device_app.store.site_points import Decision, last_decision
from device_app.views.monitor import expectation_now
from device_app.web import kiosk
from runtime.findings import OperatingPoints


@dataclass(frozen=True)
class SiteRecord:
    """limits: as the inference process says. decision: the one that counts, None for none.

    promise: None where the bundle says nothing, or nothing about the scale of the engine at work.
    """

    bundle_sha256: str
    limits: Limits
    decision: Decision | None
    evidence: Evidence
    promise: Promise | None

    @property
    def base(self) -> OperatingPoints:
        """The engine's own."""
        return self.limits.own

    @property
    def points(self) -> OperatingPoints:
        """Those that the next picture is decided by."""
        given = None if self.decision is None else self.decision.given
        return given.points if given is not None and given.instead_of == self.base else self.base

    @property
    def chosen(self) -> bool:
        """Whether they were chosen here."""
        return self.points != self.base

    @property
    def spoilt(self) -> bool:
        """Whether what was decided cannot be read, so that nothing is answered."""
        return self.decision is not None and self.decision.spoilt

    @property
    def figures(self) -> Figures:
        """Of the limits in force, on what was followed up."""
        return figures_at(self.evidence.cases, self.points)


def record_now(followed_up_only: bool = False) -> SiteRecord | None:
    """None as long as the inference process has not said what it works with. Raises StoreError.

    followed_up_only: quicker; how much was not followed up is then not known.
    """
    status, database = kiosk().reader.status(), kiosk().store.database
    limits = limits_of_text(status.limits)
    if limits is None or not status.bundle_sha256:
        return None
    evidence = cases_of(database).evidence(Scale(status.bundle_sha256, limits.own), followed_up_only)
    decision = last_decision(database, status.bundle_sha256)
    return SiteRecord(status.bundle_sha256, limits, decision, evidence, _promise(limits))


def sure_words(answer: Answer) -> list[str]:
    """How often answers like this one are right, as far as anybody knows; nothing of another model's."""
    record = record_now(followed_up_only=True)
    if record is None or answer.provenance.get("bundle_sha256") != record.bundle_sha256:
        return []
    if answer.points in (None, record.points):
        return _lines(record)
    return [*_lines(record), gettext("This answer was decided by other limits than today's.")]


def record_words() -> list[str]:
    """The same figures for those who look at people and box; nothing where no model is at work."""
    record = record_now(followed_up_only=True)
    return [] if record is None else _lines(record)


def _lines(record: SiteRecord) -> list[str]:
    maker, own = how_sure.maker_words(record.promise), how_sure.site_words(record.figures, record.chosen)
    by_which = how_sure.chosen_words() if record.chosen else ""
    return [*filter(None, (maker, by_which)), *own, how_sure.followed_words()]


def _promise(limits: Limits) -> Promise | None:
    expectation = expectation_now()
    if expectation is None or expectation.points != limits.own:
        return None
    return promise_of(expectation.answers)
