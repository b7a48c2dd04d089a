"""Limits of a site in the database: added, logged, never in doubt."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from device_app.audit import faults
from device_app.store import Store
from device_app.store.log import Action
from device_app.store.models import AuditEntry, SitePoints
from device_app.store.site_points import (
    Change,
    SitePointsError,
    change_points,
    decisions,
    given_points,
    last_decision,
)
from runtime.errors import InputError
from runtime.findings import GivenPoints, OperatingPoints
from tests.device_app.site_points.made import BASE

BUNDLE, OTHER = "ab" * 32, "cd" * 32
GIVEN = GivenPoints(OperatingPoints(0.04, 0.5), BASE)
CHANGE = Change(BUNDLE, GIVEN, "Mrs Smith's wrist was missed.", 0, {"before": 1})


def test_nothing_decided_is_the_bundles_own(store: Store) -> None:
    assert given_points(store.database, BUNDLE) is None and decisions(store.database, BUNDLE) == ()


def test_the_last_decision_of_a_bundle_counts_and_all_stay(store: Store) -> None:
    first = change_points(store.database, "p1", CHANGE)
    again = replace(CHANGE, given=GivenPoints(OperatingPoints(0.03, 0.45), BASE), after=first.number)
    second = change_points(store.database, "p1", again)
    assert given_points(store.database, BUNDLE) == again.given
    assert [one.number for one in decisions(store.database, BUNDLE)] == [second.number, first.number]
    assert first.reason == CHANGE.reason and first.evidence == {"before": 1}


def test_going_back_is_a_decision_too(store: Store) -> None:
    first = change_points(store.database, "p1", CHANGE)
    change_points(store.database, "p1", replace(CHANGE, given=None, after=first.number))
    assert given_points(store.database, BUNDLE) is None
    assert len(decisions(store.database, BUNDLE)) == 2


def test_another_bundle_has_its_own_again(store: Store) -> None:
    change_points(store.database, "p1", CHANGE)
    assert given_points(store.database, OTHER) is None


def test_both_limits_are_logged_with_a_digest_of_the_row_and_nobodys_name(store: Store) -> None:
    change_points(store.database, "p1", CHANGE)
    entry = store.log.page(1, 10).entries[0]
    assert (entry.action, entry.actor, entry.subject) == (Action.POINTS_CHANGED, "p1", BUNDLE)
    assert entry.detail["before"] == "own" and entry.detail["after"] == "0.04 0.5"
    assert entry.detail["thresholds_sha256"] == GIVEN.points.digest and len(entry.detail["row_sha256"]) == 64
    assert "Smith" not in json.dumps(entry.detail)
    assert faults(store.log.written()) == []


def test_a_row_is_not_stored_where_it_cannot_be_logged(store: Store) -> None:
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    with pytest.raises(Exception, match="no"):
        change_points(store.database, "p1", CHANGE)
    with store.database.read() as session:
        assert session.query(SitePoints).count() == 0 == session.query(AuditEntry).count()


def test_two_that_decide_at_once_do_not_overwrite_each_other(store: Store) -> None:
    change_points(store.database, "p1", CHANGE)
    with pytest.raises(InputError, match="somebody has changed"):
        change_points(store.database, "p2", CHANGE)
    assert len(decisions(store.database, BUNDLE)) == 1


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
def test_a_decision_has_a_reason(reason: str) -> None:
    with pytest.raises(InputError, match="reason"):
        replace(CHANGE, reason=reason)


def test_a_decision_beyond_the_bounds_cannot_be_made() -> None:
    with pytest.raises(InputError, match="must lie within"):
        replace(CHANGE, given=GivenPoints(OperatingPoints(0.46, 0.5), BASE))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"points": {"high_sensitivity": 0.04, "high_specificity": 0.5}}',
        '{"points": {"high_sensitivity": 0.5, "high_specificity": 0.04}, "instead_of": {}}',
        json.dumps({"points": {"high_sensitivity": 0.4, "high_specificity": 0.99}, "instead_of": vars(BASE)}),
    ],
)
def test_a_row_that_cannot_be_understood_is_never_taken_for_the_bundles_own(store: Store, text: str) -> None:
    change_points(store.database, "p1", CHANGE)
    with store.database.write() as session:
        session.query(SitePoints).one().points_json = text
    with pytest.raises(SitePointsError, match="cannot be read") as caught:
        given_points(store.database, BUNDLE)
    assert "Limits of this clinic" in caught.value.hint
    decision = last_decision(store.database, BUNDLE)
    assert decision is not None and decision.spoilt
    change_points(store.database, "p1", replace(CHANGE, given=None, after=decision.number))
    assert given_points(store.database, BUNDLE) is None
