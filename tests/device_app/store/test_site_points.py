"""Limits of a site in the database: added, logged, never in doubt."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import event

from device_app.audit import faults
from device_app.mend import mend
from device_app.store import Store, open_store, prepare_store
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
from tests.device_app import broken
from tests.device_app.site_points.made import BASE
from tests.device_app.test_mend import spoil_table

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


SECOND = replace(CHANGE, given=GivenPoints(OperatingPoints(0.03, 0.45), BASE))
TAMPERING = {
    "within the bounds": "UPDATE site_points SET points_json = replace(points_json, '0.03', '0.05')",
    "to the model's own": "UPDATE site_points SET points_json = '' WHERE id = 2",
    "another reason": "UPDATE site_points SET reason = 'other' WHERE id = 2",
    "the last row taken out": "DELETE FROM site_points WHERE id = 2",
    "every row taken out": "DELETE FROM site_points",
    "given to another model": f"UPDATE site_points SET bundle_sha256 = '{OTHER}'",
    "a row put in": f"INSERT INTO site_points SELECT 3, at_utc, actor, '{BUNDLE}', points_json, reason, "
    "evidence_json FROM site_points WHERE id = 1",
    "the entry changed with it": "UPDATE audit SET detail_json = replace(detail_json, '0.03', '0.05')",
    "the entry taken out": "DELETE FROM audit WHERE number = 2",
    "the log emptied": "DELETE FROM audit",
}


@pytest.mark.parametrize("opened", ["before", "after"])
@pytest.mark.parametrize("case", TAMPERING)
def test_limits_of_which_the_log_does_not_tell_decide_nothing_until_they_are_chosen_again(
    store: Store, config, case: str, opened: str
) -> None:
    first = change_points(store.database, "p1", CHANGE)
    second = change_points(store.database, "p1", replace(SECOND, after=first.number))
    if opened == "before":
        assert given_points(store.database, BUNDLE) == second.given
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(TAMPERING[case])
    reader = store if opened == "before" else open_store(config)
    with pytest.raises(SitePointsError, match="not those in the log") as caught:
        given_points(reader.database, BUNDLE)
    assert "choose them again" in caught.value.hint
    last, shown = last_decision(reader.database, BUNDLE), decisions(reader.database, BUNDLE)
    assert last is not None and last.spoilt and last.given is None
    assert not shown or (shown[0].number == last.number and shown[0].spoilt)
    change_points(reader.database, "p1", replace(CHANGE, after=last.number))
    assert given_points(reader.database, BUNDLE) == GIVEN
    assert store.log.page(1, 1).entries[0].detail["before"] == "spoilt"


def test_a_row_put_in_for_another_model_decides_nothing_there(store: Store) -> None:
    change_points(store.database, "p1", CHANGE)
    assert given_points(store.database, OTHER) is None
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(TAMPERING["given to another model"])
    with pytest.raises(SitePointsError):
        given_points(store.database, OTHER)


def test_an_entry_about_other_limits_does_not_stand_for_these(store: Store) -> None:
    change_points(store.database, "p1", CHANGE)
    change_points(store.database, "p1", replace(CHANGE, bundle_sha256=OTHER))
    store.log.note("p1", Action.SETTING_CHANGED, BUNDLE)
    assert given_points(store.database, BUNDLE) == given_points(store.database, OTHER) == GIVEN


@pytest.mark.parametrize("lost", ["audit", "site_points"])
def test_a_mended_box_that_has_lost_one_of_both_says_how_to_go_on(store: Store, config, lost: str) -> None:
    change_points(store.database, "p1", CHANGE)
    store.log.note("p1", Action.SIGNED_OUT)
    broken.settled(store, config.data_dir)
    spoil_table(config.data_dir, lost)
    mend(config.data_dir, "box")
    prepare_store(config)
    mended = open_store(config)
    with pytest.raises(SitePointsError) as caught:
        given_points(mended.database, BUNDLE)
    assert "choose them again" in caught.value.hint
    last = last_decision(mended.database, BUNDLE)
    assert last is not None
    change_points(mended.database, "p1", replace(CHANGE, after=last.number))
    assert given_points(mended.database, BUNDLE) == GIVEN
    mended.close()


def test_a_mended_box_that_has_lost_nothing_of_them_goes_on(store: Store, config) -> None:
    change_points(store.database, "p1", CHANGE)
    broken.settled(store, config.data_dir)
    spoil_table(config.data_dir, "settings")
    mend(config.data_dir, "box")
    mended = open_store(config)
    assert given_points(mended.database, BUNDLE) == GIVEN
    mended.close()


def test_each_entry_is_looked_at_once(store: Store) -> None:
    change_points(store.database, "p1", CHANGE)
    for _ in range(50):
        store.log.note("p1", Action.SIGNED_IN)
    given_points(store.database, BUNDLE)
    asked: list[str] = []

    def note(_connection, _cursor, statement, parameters, *_more) -> None:
        if "audit.number >" in statement:
            asked.append(parameters[0])

    event.listen(store.database.engine, "before_cursor_execute", note)
    given_points(store.database, BUNDLE)
    assert asked == [51]
