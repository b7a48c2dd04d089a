"""The weekly figures of a store, kept up to date: each row is read once, however often somebody looks."""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from device_app.monitoring.weeks import WeekCount, WeekFigures, WeekName, disagreement
from device_app.store import Store
from device_app.store.database import Database
from device_app.store.tallies import Row, judged_after, normal_from, rows_after
from runtime.drift import DEFAULTS, Alarm, BundleReference, Drift, DriftOptions, WeekOfAnswers, watch
from runtime.expected import ExpectedAnswers
from runtime.findings import OperatingPoints

OPTIONS: DriftOptions = DEFAULTS
LATE = timedelta(minutes=10)
"""How far a clock goes back where it is only set right, or where two pictures ended nearly together."""


@dataclass(frozen=True)
class Expectation:
    """What a bundle says of itself. answers: None for a bundle that says nothing of what to expect."""

    bundle_sha256: str
    points: OperatingPoints
    answers: ExpectedAnswers | None

    def reference(self) -> BundleReference | None:
        """To compare the first weeks with."""
        if self.answers is None:
            return None
        return BundleReference(self.answers, self.points, OPTIONS)


@dataclass(frozen=True)
class SiteWatch:
    """Everything that is known of one bundle at this site.

    weeks: in the order in which their pictures came; the last one is that of the last picture. watched: the
    names of those over which the watch goes, which its alarms count in. drift: what was found in these.
    begun_anew: whether somebody has taken what came as normal. usual: the weeks of the first reference of
    one's own. last_utc: when the last picture was done, by the box's clock.
    """

    bundle_sha256: str
    weeks: tuple[WeekFigures, ...]
    watched: tuple[WeekName, ...]
    drift: Drift
    begun_anew: bool
    usual: tuple[WeekFigures, ...] = ()
    last_utc: datetime | None = None

    def name_of(self, alarm: Alarm) -> WeekName:
        """The week in which it was raised."""
        return self.watched[alarm.week]


class _Chapter:
    """The weeks of one bundle, or those since its watch was begun anew.

    Only the last one grows, whatever the clock says: what was found in those before it stays found. Where the
    clock goes back another one begins, of the same name too: a clock that stands at one date after every
    start would otherwise make a single week of a year.
    """

    def __init__(self) -> None:
        self.weeks: list[WeekCount] = []
        self.last_utc: datetime | None = None

    def add(self, row: Row) -> None:
        name, back = WeekName.of(row.at_utc), self._back(row.at_utc)
        if not self.weeks or back or name > self.weeks[-1].name:
            self.weeks.append(WeekCount(name, back))
        self.weeks[-1].add(row.examination, row.tally)
        self.last_utc = row.at_utc

    def answers(self) -> list[WeekOfAnswers]:
        return [count.answers() for count in self.weeks]

    def first(self, number: int) -> tuple[WeekFigures, ...]:
        return tuple(count.figures() for count in self.weeks[:number])

    def _back(self, at_utc: datetime) -> timedelta:
        """By how much the clock went back since the row before."""
        back = timedelta() if self.last_utc is None else self.last_utc - at_utc
        return back if back > LATE else timedelta()


class Book:
    """All chapters of one database. Safe from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._last = 0
        self._bundle = ""
        self._whole: defaultdict[str, _Chapter] = defaultdict(_Chapter, {"": _Chapter()})
        self._since: dict[tuple[str, int], _Chapter] = {}
        self._drifts: dict[tuple[str, int, bool], tuple[int, Drift]] = {}
        self._last_said = 0
        self._people: defaultdict[tuple[str, WeekName], list[tuple[str, str, str]]] = defaultdict(list)

    def look(self, bundle_sha256: str = "", expectation: Expectation | None = None) -> SiteWatch:
        """How a bundle has done here; "" for whichever answered last."""
        with self._lock:
            self._read_on()
            self._listen_on()
            bundle = bundle_sha256 or self._bundle
            start = normal_from(self._database, bundle)
            chapter = self._whole.get(bundle if self._bundle else "", _Chapter())
            watched = self._chapter_since(bundle, start) if start else chapter
            drift = self._drift(watched, (bundle, start), None if start else expectation)
            names = tuple(count.name for count in watched.weeks)
            usual = watched.first(drift.references[0]) if drift.references else ()
            weeks = self._with_people(bundle, chapter)
            return SiteWatch(bundle, weeks, names, drift, bool(start), usual, chapter.last_utc)

    def _with_people(self, bundle: str, chapter: _Chapter) -> tuple[WeekFigures, ...]:
        """What people said has no number among the rows: the last week of its name has it."""
        last = {count.name: number for number, count in enumerate(chapter.weeks)}
        return tuple(
            replace(one, people=disagreement(self._people.get((bundle, one.name), ())))
            if last[one.name] == number
            else one
            for number, one in enumerate(chapter.first(len(chapter.weeks)))
        )

    def _read_on(self) -> None:
        for row in rows_after(self._database, self._last):
            self._turn_to(row.bundle_sha256)
            self._whole[self._bundle].add(row)
            for (bundle, start), chapter in self._since.items():
                if bundle == self._bundle and row.number > start:
                    chapter.add(row)
            self._last = row.number

    def _turn_to(self, bundle: str) -> None:
        """What failed has no bundle of its own: it belongs to the one at work, or to the first there is."""
        if bundle and not self._bundle:
            self._whole[bundle] = self._whole.pop("")
        self._bundle = bundle or self._bundle

    def _chapter_since(self, bundle: str, start: int) -> _Chapter:
        known = self._since.get((bundle, start))
        if known is None:
            known, current = _Chapter(), ""
            for row in rows_after(self._database, 0):
                current = row.bundle_sha256 or current
                if current == bundle and start < row.number <= self._last:
                    known.add(row)
            self._since = {(bundle, start): known}
        return known

    def _drift(self, chapter: _Chapter, named: tuple[str, int], expectation: Expectation | None) -> Drift:
        """Computed anew when something has come."""
        reference = expectation.reference() if expectation is not None else None
        whole = (*named, reference is not None)
        kept = self._drifts.get(whole)
        if kept is None or kept[0] != self._last:
            kept = self._last, watch(chapter.answers(), reference, OPTIONS)
            current = {key: one for key, one in self._drifts.items() if one[0] == self._last}
            self._drifts = {**current, whole: kept}
        return kept[1]

    def _listen_on(self) -> None:
        for said in judged_after(self._database, self._last_said):
            key = said.bundle_sha256, WeekName.of(said.at_utc)
            self._people[key].append((said.kind, said.judgement, said.box_verdict))
            self._last_said = said.number


_books: weakref.WeakKeyDictionary[Database, Book] = weakref.WeakKeyDictionary()
_opening = threading.Lock()


def book_of(store: Store) -> Book:
    """The one book of a store in this process."""
    with _opening:
        return _books.setdefault(store.database, Book(store.database))


def alarms(
    store: Store, bundle_sha256: str = "", expectation: Expectation | None = None
) -> list[dict[str, Any]]:
    """What stands now, JSON-safe, for machines: what has changed, against what, since which week.

    bundle_sha256: "" for whichever answered last. Raises StoreError where the database cannot be read.
    """
    found = book_of(store).look(bundle_sha256, expectation)
    return [_row(found, alarm) for alarm in found.drift.alarms]


def _row(found: SiteWatch, alarm: Alarm) -> dict[str, Any]:
    against = f"first {alarm.weeks} weeks" if alarm.weeks else "bundle"
    return {
        "what": str(alarm.watched),
        "against": against,
        "week": str(found.name_of(alarm)),
        "bundle_sha256": found.bundle_sha256,
    }
