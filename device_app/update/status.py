"""Where a box stands: both slots, looked at and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from device_app.update import durable
from device_app.update.box import Box, require_box
from device_app.update.slots import SLOTS, Journal, SlotRecord
from runtime.bundle import open_bundle
from runtime.errors import BundleError


@dataclass(frozen=True)
class SlotStatus:
    """One slot: what lies there, whether it opens (problem ""), and its last self-test on this box."""

    slot: str
    live: bool
    bundle: str = ""
    digest: str = ""
    signed_by: str = ""
    problem: str = ""
    record: SlotRecord | None = None


def status(root: Path) -> tuple[SlotStatus, ...]:
    """Both slots; waits for nobody. Raises StoreError when `root` is no box."""
    box = Box(root.absolute())
    require_box(box)
    with durable.disk_errors(box.root):
        live, journal = box.live(), box.read_journal()
        return tuple(_slot_status(box, journal, name, name == live) for name in SLOTS)


def _slot_status(box: Box, journal: Journal, name: str, live: bool) -> SlotStatus:
    if not box.slot(name).is_dir():
        return SlotStatus(name, live, problem="missing" if live else "empty")
    try:
        bundle = open_bundle(box.slot(name), box.keys())
    except (BundleError, OSError) as error:
        return SlotStatus(name, live, problem=str(error))
    return SlotStatus(
        slot=name,
        live=live,
        bundle=f"{bundle.manifest.name} {bundle.manifest.version}",
        digest=bundle.digest,
        signed_by=bundle.signed_by,
        record=journal.record_for(name, bundle.digest),
    )
