"""What the pages of the export say of pictures that stay, exports that ended early, files that are gone."""

from __future__ import annotations

from device_app.export.prepared import Stays
from device_app.export.ready_zip import Gone
from device_app.export.target import Fault
from device_app.language import lazy_gettext as _

STAYS = {
    Stays.WRITING: _("Stays: there may be writing over the limb."),
    Stays.UNREADABLE: _("Stays: it cannot be read now."),
    Stays.CHANGED: _("Stays: it is no longer what was shown here."),
    Stays.WITHDRAWN: _("Stays: the patient agrees no longer."),
    Stays.PHOTOGRAPH: _("Stays: a photograph may show more than the film."),
    Stays.DECLARED: _("Stays: its file says that there is writing in the picture."),
}
FAULTS = {
    Fault.FULL: _(
        "There is no room left for more. Use an emptier stick, or let fewer pictures leave at once."
    ),
    Fault.READ_ONLY: _(
        "Nothing can be written to this stick: it is locked, or the box may not. Use another stick, "
        "or ask whoever set up the box."
    ),
    Fault.GONE: _("The stick was pulled out or does not answer. Plug it in and begin again."),
    Fault.TOO_LARGE: _(
        "This is too much for one download. Let fewer pictures leave at once, or use a stick."
    ),
    Fault.FAILED: _("The export could not be finished. Begin again."),
}
GONE = {
    Gone.WITHDRAWN: _("A picture in it may no longer leave this box. Begin again without it."),
    Gone.EXPIRED: _("It is kept for one day. Begin again."),
}
