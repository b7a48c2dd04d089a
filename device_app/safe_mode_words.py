"""What the page of a box in safe mode says, for the nurse and for whoever mends it."""

from __future__ import annotations

from device_app.language import LazyText, gettext
from device_app.language import lazy_gettext as _
from device_app.safe_mode_checks import Part, PartState

PARTS = {
    Part.FOLDER: _("Data folder"),
    Part.DISK: _("Disk"),
    Part.DATABASE: _("Database"),
    Part.VERSION: _("Version of the database"),
    Part.LOG: _("Log"),
    Part.BUNDLE: _("Model (bundle): signature and files"),
    Part.ENGINE: _("Reading program: its own test"),
}

_STEPS: dict[Part, tuple[LazyText, ...]] = {
    Part.FOLDER: (
        _("Look whether the disk with the data folder is there and is mounted."),
        _("Let the user that the kiosk runs as write in the data folder, then try to start again."),
    ),
    Part.DISK: (
        _("Free space: old system logs and packages first. Delete nothing in the data folder."),
        _("Then try to start again."),
    ),
    Part.DATABASE: (
        _("If the disk makes errors (see the system's journal), first copy the data folder to another disk."),
        _("Mend the database below, or with: ulna mend --data FOLDER. Nothing is deleted by it."),
    ),
    Part.VERSION: (
        _("A newer version of Ulna wrote this database. Start that version; this one must not touch it."),
    ),
    Part.LOG: (
        _("Entries are missing or were changed. The kiosk works all the same. Report what stands here."),
    ),
    Part.BUNDLE: (
        _("Install the model again from its stick (ulna install), or go back to the last (ulna rollback)."),
        _("If it says that no key is trusted, put the maker's public key (.pem) into the trusted folder."),
    ),
    Part.ENGINE: (
        _("No engine passes its test. Install program and model again; if it stays, suspect the hardware."),
    ),
}


def part_words(state: PartState | None) -> str:
    """One word for a part; None while it is being looked at."""
    if state is None:
        return gettext("being looked at")
    if state.ok is None:
        return gettext("cannot be told")
    return gettext("in order") if state.ok else gettext("broken")


def steps(states: list[PartState]) -> list[str]:
    """What to do, in order, for all that is broken; something even where nothing seems to be."""
    broken = [step for state in states if state.ok is False for step in _STEPS[state.part]]
    return [str(step) for step in broken] or [
        gettext("Try to start again. If that does not help, note the reason above and ask for help.")
    ]
