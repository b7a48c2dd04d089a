"""Whether the box can be trusted now, in one look, and the figures behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from device_app.access.gate import access, actor, open_to
from device_app.access.roles import Role
from device_app.intake.sources import sources_of
from device_app.monitoring import charts, words
from device_app.monitoring.book import Expectation, SiteWatch, book_of
from device_app.monitoring.chain import chain_of
from device_app.monitoring.charts import Course, Histogram
from device_app.monitoring.expectation import Expectations
from device_app.monitoring.missing import missing_of
from device_app.monitoring.state import BoxNow, Level, Reason, level, reasons
from device_app.monitoring.weeks import NOTHING, Disagreement, WeekFigures
from device_app.status import utc_of
from device_app.store.database import now_utc
from device_app.store.site_points import decisions
from device_app.store.tallies import begin_anew
from device_app.vitals import Vitals, read_vitals
from device_app.web import kiosk

blueprint = Blueprint("monitor", __name__, url_prefix="/box/watch")
_SHOWN_WEEKS = 53
_RECENT_WEEKS = 4
LEAST_SHOWN = 20
"""Pictures in a week whose figures say nothing of any one of them."""
_PATIENCE_S = 0.5
"""For reading a bundle: nearly always enough, and never long for whoever waits."""
_EXTENSION = "ulna-expectations"


@dataclass(frozen=True)
class Charts:
    """scores: of the latest weeks beside a reference, None before the first picture."""

    scores: Histogram | None
    refused: Course
    fracture: Course


@dataclass(frozen=True)
class Screen:
    """What the page shows. weeks: newest first. refusals, failures, warnings: of the latest weeks.

    held_back: whether weeks are left out that would tell whoever has yet to read a picture what the box said.
    """

    level: Level
    reasons: tuple[Reason, ...]
    vitals: Vitals
    watched: SiteWatch
    expectation: Expectation | None
    charts: Charts
    weeks: tuple[WeekFigures, ...]
    refusals: dict[str, int]
    failures: dict[str, int]
    warnings: dict[str, int]
    held_back: bool


@blueprint.get("/")
@open_to(Role.USER)
def page() -> ResponseReturnValue:
    """The whole page; nothing on it is of a single patient."""
    return render_template("monitor.html", shown=look(), said=words, recent=_RECENT_WEEKS, least=LEAST_SHOWN)


@blueprint.post("/normal")
@open_to(Role.ADMINISTRATOR)
def normal() -> ResponseReturnValue:
    """Somebody has looked and found that all is in order: what comes from now on is what is usual here."""
    database, bundle = kiosk().store.database, _watched().bundle_sha256
    begin_anew(database, actor(), bundle)
    return redirect(url_for("monitor.page"), 303)


def look() -> Screen:
    """How the box is now. Raises StoreError where the database cannot be read."""
    box, expectation = box_now(), expectation_now()
    watched, found = box.watched, reasons(box)
    told = _told(watched)
    shown, recent = told[-_SHOWN_WEEKS:], told[-_RECENT_WEEKS:]
    decided = [one.at_utc for one in decisions(kiosk().store.database, watched.bundle_sha256)]
    return Screen(
        level=level(found),
        reasons=found,
        vitals=box.vitals,
        watched=watched,
        expectation=expectation,
        charts=Charts(
            charts.histogram(charts.added(recent), _reference(watched, expectation)),
            charts.course([week.refused for week in shown]),
            charts.course([week.fracture for week in shown], charts.weeks_of(decided, shown)),
        ),
        weeks=shown[::-1],
        refusals=_together([week.reasons for week in recent]),
        failures=_together([week.failures for week in recent]),
        warnings=_together([week.warnings for week in recent]),
        held_back=len(told) < len(watched.weeks),
    )


def box_now() -> BoxNow:
    """All that is known of the box. Raises StoreError where the database cannot be read."""
    box = kiosk()
    reader, records = box.reader.status(), box.store.records
    return BoxNow(
        reader,
        read_vitals(box.config.data_dir),
        _watched(),
        now_utc(),
        known_utc=_moments(reader.made_utc),
        has_room=records.has_room(),
        queue_full=box.store.queue.counts().waiting >= box.config.max_waiting,
        sources=sources_of(current_app).all(),
        log_changed=chain_of(current_app).changed,
        missing=missing_of(current_app).found.pictures,
    )


def expectation_now() -> Expectation | None:
    """What the bundle at work says of itself; None as long as that is not known."""
    known = current_app.extensions.setdefault(_EXTENSION, Expectations(kiosk().config))
    assert isinstance(known, Expectations)
    return known.of(kiosk().reader.status().bundle_sha256, _PATIENCE_S)


def _watched() -> SiteWatch:
    box = kiosk()
    return book_of(box.store).look(box.reader.status().bundle_sha256, expectation_now())


def _people_read_first() -> bool:
    return access().settings.now().own_read_first


def _told(watched: SiteWatch) -> tuple[WeekFigures, ...]:
    """The weeks that are shown.

    Where people read first, figures that one picture can be seen in would tell what the box said of it: those
    of the week that goes on, of which somebody can look before and after, and those of few pictures.
    """
    if not _people_read_first():
        return watched.weeks
    return tuple(_of_many(week) for week in watched.weeks[:-1] if week.pictures >= LEAST_SHOWN)


def _of_many(week: WeekFigures) -> WeekFigures:
    """Without what was said of a few of its pictures."""
    said = (week.people.own, week.people.outcome)
    return replace(week, people=Disagreement(*(one if one.total >= LEAST_SHOWN else NOTHING for one in said)))


def _moments(text: str) -> tuple[datetime, ...]:
    with suppress(ValueError):
        return (utc_of(text),)
    return ()


def _reference(watched: SiteWatch, expectation: Expectation | None) -> Sequence[float]:
    """Of the site's own first weeks, else the maker's; nothing where neither is known."""
    grows = len(watched.usual) == len(watched.watched)  # the week that goes on is one of them
    own = charts.added(watched.usual[:-1] if grows and _people_read_first() else watched.usual)
    if own or expectation is None or watched.begun_anew:
        return own
    return charts.expected_bins(expectation)


def _together(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total.most_common())
