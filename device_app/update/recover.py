"""Bring a box back into order before anything new begins."""

from __future__ import annotations

from datetime import UTC, datetime

from device_app.update import slots
from device_app.update.box import Box
from device_app.update.options import InstallOptions
from device_app.update.probe import ProbeResult
from device_app.update.slots import Journal, SlotRecord
from runtime.bundle import Bundle


def recover(box: Box, options: InstallOptions) -> tuple[Journal, str | None]:
    """Clear away what an interrupted run left; make sure that live is a slot that works, if there is one.

    Returns the journal, now IDLE, and the live slot. Raises OSError, StoreError.
    """
    journal, live = box.read_journal(), box.live()
    if box.sweep():
        options.say("Removed what an interrupted installation had left")
    needed = slots.recovery(journal, live, box.sound_slots())
    record, works = None, not needed.live_is_damaged
    if needed.check_live and live:
        options.say(f"Slot {live} was being tried out when the last run ended; testing it")
        record, works = _check_slot(box, live, options)
    if not works and needed.fall_back_to and live:
        live = _fall_back(box, live, needed.fall_back_to, options)
    if journal != Journal(records=journal.records):
        journal = box.write_journal(slots.finish(journal, record))
    return journal, live


def record_of(bundle: Bundle, result: ProbeResult) -> SlotRecord:
    """What the journal keeps of a self-test."""
    return SlotRecord(
        digest=bundle.digest,
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        checked_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        passed=result.passed,
        engine=result.engine,
        reason=result.reason,
        failed=result.failed,
    )


def _fall_back(box: Box, live: str, spare: str, options: InstallOptions) -> str:
    """Leave a live slot that is damaged or failed for the other one, provided that one works."""
    _, works = _check_slot(box, spare, options)
    if not works:
        return live
    box.switch_live(spare)
    options.say(f"Slot {live} is damaged or failed its self-test: went back to slot {spare}")
    return spare


def _check_slot(box: Box, name: str, options: InstallOptions) -> tuple[SlotRecord | None, bool]:
    bundle = box.open_slot(name)
    if bundle is None:
        return None, False
    result = options.probe(box.slot(name), box.trusted, options.timeout_s)
    return record_of(bundle, result), result.passed
