"""What the screens say of the ways for pictures to come in."""

from __future__ import annotations

from device_app.intake.sources import SourceKind, Trouble
from device_app.language import lazy_gettext

_ = lazy_gettext

KINDS = {
    SourceKind.FOLDER: _("Watched folder"),
    SourceKind.DICOM: _("DICOM receiver"),
    SourceKind.STICK: _("USB sticks"),
}

TROUBLES = {
    Trouble.STARTING: _("Starting."),
    Trouble.AWAY: _("It is away. Check the cable, the network and the other machine."),
    Trouble.DISK_FULL: _("Pictures wait there: the box's disk is full."),
    Trouble.QUEUE_FULL: _("Pictures wait there until some have been read."),
    Trouble.STORE: _("Pictures wait there: the box could not store one."),
    Trouble.UNREADABLE: _("Files there cannot be read. Let the kiosk's user read them."),
    Trouble.STUCK: _("Files there were taken and cannot be moved. Let the kiosk's user write there."),
    Trouble.TOO_MANY: _("There are too many files or folders to look at all of them."),
    Trouble.STALLED: _("It does not answer. Check the network and the other machine."),
    Trouble.FAILED: _("It failed and is started again."),
}
