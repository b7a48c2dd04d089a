from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.update import slots
from device_app.update.slots import Journal, Phase, SlotRecord
from runtime.errors import StoreError

RECORD = SlotRecord(
    "d" * 64, "ulna", "1.0.0", "2026-01-01T00:00:00+00:00", True, "onnxruntime-int8", "fastest"
)
_slots = st.sampled_from(slots.SLOTS)
_journals = st.builds(
    Journal,
    phase=st.sampled_from(Phase),
    target=st.none() | _slots,
    previous=st.none() | _slots,
    records=st.dictionaries(_slots, st.builds(SlotRecord)),
)


def test_an_installation_goes_through_every_phase_and_ends_idle_with_its_record() -> None:
    staged = slots.stage(Journal(), "a")
    assert (staged.phase, staged.target, staged.previous) == (Phase.STAGING, "b", "a")
    trial = slots.begin_trial(slots.place(staged))
    assert (trial.phase, trial.target, trial.previous) == (Phase.TRIAL, "b", "a")
    done = slots.finish(trial, RECORD)
    assert done == Journal(records={"b": RECORD})


def test_another_self_test_of_a_slot_replaces_its_record_and_nothing_else() -> None:
    other = SlotRecord("e" * 64, "ulna", "2.0.0", "", False, "", "", {"tensorrt-int8": "no driver"})
    noted = slots.note(Journal(records={"a": RECORD, "b": RECORD}), "b", other)
    assert noted == Journal(records={"a": RECORD, "b": other})


def test_a_record_from_before_engines_were_built_is_read() -> None:
    table = json.loads(json.dumps(Journal(records={"a": RECORD}).to_json()))
    del table["records"]["a"]["failed"]
    assert slots.journal_from_json(table) == Journal(records={"a": RECORD})


def test_a_rollback_needs_no_staging() -> None:
    trial = slots.begin_trial(Journal(), "a", "b")
    assert (trial.phase, trial.target, trial.previous) == (Phase.TRIAL, "a", "b")


@pytest.mark.parametrize(
    "leap",
    [
        lambda: slots.place(Journal()),
        lambda: slots.begin_trial(slots.stage(Journal(), None)),
        lambda: slots.stage(slots.stage(Journal(), None), None),
        lambda: slots.place(slots.place(slots.stage(Journal(), "a"))),
        lambda: slots.begin_trial(slots.begin_trial(Journal(), "a", "b")),
    ],
)
def test_no_phase_can_be_skipped_or_repeated(leap: object) -> None:
    with pytest.raises(StoreError, match="cannot go from"):
        leap()  # type: ignore[operator]


@pytest.mark.parametrize(("live", "target"), [(None, "a"), ("a", "b"), ("b", "a")])
def test_a_new_bundle_never_goes_to_the_live_slot(live: str | None, target: str) -> None:
    assert slots.other(live) == target


@given(_journals)
def test_a_journal_survives_json(journal: Journal) -> None:
    assert slots.journal_from_json(json.loads(json.dumps(journal.to_json()))) == journal


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(_json)
def test_anything_else_is_refused_with_a_value_error(table: object) -> None:
    with pytest.raises(ValueError):
        slots.journal_from_json(table)


@given(_journals, st.sampled_from(["schema", "phase", "target", "previous", "records"]), _json)
def test_a_journal_with_one_foreign_value_is_read_or_refused_with_a_value_error(
    journal: Journal, key: str, value: object
) -> None:
    table = {**journal.to_json(), key: value}
    try:
        read = slots.journal_from_json(table)
    except ValueError:
        return
    assert read.target in (None, "a", "b")
    assert set(read.records) <= {"a", "b"}


def test_a_record_counts_only_for_the_bundle_it_is_about() -> None:
    journal = Journal(records={"a": RECORD})
    assert journal.record_for("a", RECORD.digest) == RECORD
    assert journal.record_for("a", "e" * 64) is None
    assert journal.record_for("b", RECORD.digest) is None


@given(_journals, st.none() | _slots, st.frozensets(_slots))
def test_recovery_falls_back_only_to_a_sound_slot_that_is_not_live(
    journal: Journal, live: str | None, sound: frozenset[str]
) -> None:
    needed = slots.recovery(journal, live, sound)
    assert needed.fall_back_to in (None, *sound)
    assert needed.fall_back_to is None or needed.fall_back_to != live
    assert not (needed.check_live and needed.live_is_damaged)
    assert needed.live_is_damaged == (live is not None and live not in sound)


def test_an_unfinished_trial_of_the_live_slot_is_tested_before_it_is_trusted() -> None:
    journal = slots.begin_trial(Journal(), "b", "a")
    both = frozenset("ab")
    assert slots.recovery(journal, "b", both).check_live
    assert not slots.recovery(journal, "a", both).check_live
    assert not slots.recovery(Journal(), "b", both).check_live
