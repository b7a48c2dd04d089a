"""The two slots of a box as a state machine: pure, no disk.

Legal order of phases. Each is written to the journal, durably, before the first change it announces:

    IDLE -> STAGING -> PLACING -> TRIAL -> IDLE      an installation
    IDLE ----------------------> TRIAL -> IDLE      a rollback asked for by hand

    IDLE     nothing under way.
    STAGING  the new bundle is copied beside the slots and tested there; no slot is touched.
    PLACING  the copy takes the place of the slot that is not live.
    TRIAL    live may point to the new slot, which is not yet confirmed; `previous` is where to go back to.

Every phase may also end in IDLE by giving up; live is then what it was before. The link `live` on the disk is
the truth about which slot is live; the journal says only what was being attempted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from runtime.errors import StoreError

SLOTS = ("a", "b")
SCHEMA_VERSION = 1


class Phase(StrEnum):
    """What was under way when the journal was last written."""

    IDLE = "idle"
    STAGING = "staging"
    PLACING = "placing"
    TRIAL = "trial"


_NEXT = {
    Phase.IDLE: {Phase.IDLE, Phase.STAGING, Phase.TRIAL},
    Phase.STAGING: {Phase.IDLE, Phase.PLACING},
    Phase.PLACING: {Phase.IDLE, Phase.TRIAL},
    Phase.TRIAL: {Phase.IDLE},
}


@dataclass(frozen=True)
class SlotRecord:
    """The last self-test of the bundle with this digest on this box.

    engine: the engine that was chosen, "" where none passed. reason: why, in plain words. failed: of the
    engines that the box must build for itself, those that it cannot use, each with why.
    """

    digest: str
    name: str
    version: str
    checked_utc: str
    passed: bool
    engine: str
    reason: str
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Journal:
    """phase, its slots, and what is known about the bundles in them. `target` and `previous` are slots."""

    phase: Phase = Phase.IDLE
    target: str | None = None
    previous: str | None = None
    records: dict[str, SlotRecord] = field(default_factory=dict)

    def record_for(self, slot: str, digest: str) -> SlotRecord | None:
        """What is known about a slot, if it is about the bundle that lies there now."""
        record = self.records.get(slot)
        return record if record is not None and record.digest == digest else None

    def to_json(self) -> dict[str, Any]:
        """JSON-safe."""
        return {"schema": SCHEMA_VERSION, **asdict(self), "phase": str(self.phase)}


def journal_from_json(table: Any) -> Journal:
    """What `to_json` wrote. Raises ValueError for anything else."""
    try:
        if table["schema"] != SCHEMA_VERSION:
            raise ValueError(f"schema {table['schema']} is not {SCHEMA_VERSION}")
        records = {_slot(slot): SlotRecord(**record) for slot, record in table["records"].items()}
        target, previous = (
            None if table[name] is None else _slot(table[name]) for name in ("target", "previous")
        )
        return Journal(Phase(table["phase"]), target, previous, records)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a slot journal: {error!r}") from error


def other(slot: str | None) -> str:
    """The slot that a new bundle goes to when `slot` is live; the first one when none is."""
    return SLOTS[1] if slot == SLOTS[0] else SLOTS[0]


def stage(journal: Journal, live: str | None) -> Journal:
    """Begin an installation."""
    return _advance(journal, Phase.STAGING, target=other(live), previous=live)


def place(journal: Journal) -> Journal:
    """The staged copy passed: it may replace what lies in the target slot."""
    return _advance(journal, Phase.PLACING)


def begin_trial(journal: Journal, target: str | None = None, previous: str | None = None) -> Journal:
    """Live may now be switched; `target` and `previous` are given by a rollback, which has no staging."""
    return _advance(
        journal, Phase.TRIAL, target=target or journal.target, previous=previous or journal.previous
    )


def finish(journal: Journal, record: SlotRecord | None = None) -> Journal:
    """Back to IDLE, confirmed or given up; `record` is what the check of the target slot said."""
    records = dict(journal.records)
    if record is not None and journal.target is not None:
        records[journal.target] = record
    return replace(_advance(journal, Phase.IDLE), target=None, previous=None, records=records)


def note(journal: Journal, slot: str, record: SlotRecord) -> Journal:
    """Keep what another self-test of a slot said; nothing else changes."""
    return replace(journal, records={**journal.records, slot: record})


@dataclass(frozen=True)
class Recovery:
    """What must happen before anything new begins.

    check_live: the live slot was being tried out when power went; test it before it is trusted.
    fall_back_to: the slot to go back to if live is damaged or fails that test; None where there is none.
    live_is_damaged: live does not open; there is nothing to test.
    """

    check_live: bool
    fall_back_to: str | None
    live_is_damaged: bool


def recovery(journal: Journal, live: str | None, sound: frozenset[str]) -> Recovery:
    """Judge what was found on the disk. `sound` are the slots whose bundle opens with the box's own keys."""
    if live is None:
        return Recovery(False, None, False)
    spare = other(live)
    unfinished = journal.phase is Phase.TRIAL and journal.target == live
    return Recovery(
        check_live=unfinished and live in sound,
        fall_back_to=spare if spare in sound else None,
        live_is_damaged=live not in sound,
    )


def _advance(journal: Journal, phase: Phase, **changes: str | None) -> Journal:
    if phase not in _NEXT[journal.phase]:
        raise StoreError(
            f"the box cannot go from {journal.phase} to {phase}", "run `ulna slots` to see where it stands"
        )
    return replace(journal, phase=phase, **changes)  # type: ignore[arg-type]


def _slot(name: str) -> str:
    if name not in SLOTS:
        raise ValueError(f"{name!r} is not a slot")
    return name
