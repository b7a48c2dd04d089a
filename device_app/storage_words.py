"""What the box page says of the disk: how long it lasts, what goes from it, and whether it is encrypted."""

from __future__ import annotations

from device_app.language import gettext, lazy_gettext, ngettext
from device_app.outlook import Outlook
from device_app.retention import Removable
from device_app.store.aside import Aside, TakenIn, Why
from device_app.web import moment

_LEFT = {
    Why.TIME: lazy_gettext("There are more. Go on."),
    Why.QUEUE: lazy_gettext(
        "Many pictures wait to be read now. The others stay aside: go on when these have been read."
    ),
    Why.DISK: lazy_gettext("The box's disk is full: the others stay aside."),
}
"""Why a run ended before the last."""


def outlook_words(outlook: Outlook) -> str:
    """How long it lasts."""
    if outlook.days_left is None:
        return gettext("no pictures came lately, so that nothing can be said")
    if outlook.whole_days > 3650:
        return gettext("for more than ten years, as pictures came lately")
    return gettext("for about %(days)s days, as pictures came lately", days=outlook.whole_days)


def keeping_words(keep_days: int, due: Removable) -> str:
    """What the clinic's rule is, and what it does now."""
    if keep_days == 0:
        return gettext("for ever")
    rule = gettext("for %(days)s days", days=keep_days)
    if due.why == "clock":
        why = gettext(
            "%(count)s have had their time; they wait until the clock has run for three days without a jump",
            count=due.waiting,
        )
        return f"{rule}. {why}"
    if due.image_ids or due.waiting:
        count = len(due.image_ids) + due.waiting
        return f"{rule}. " + gettext("%(count)s have had their time and are removed day by day", count=count)
    return rule


def swap_words(encrypted: bool | None) -> str:
    """Of swap, which many boxes have none of."""
    return gettext("yes, or there is none on the disk") if encrypted else encryption_words(encrypted)


def encryption_words(encrypted: bool | None) -> str:
    """Yes, no, or that it cannot be told."""
    if encrypted is None:
        return gettext("cannot be told here")
    if encrypted:
        return gettext("yes")
    return gettext("no: whoever takes the disk away can read the pictures")


def aside_words(aside: Aside) -> str:
    """How many pictures have no record."""
    return ngettext(
        "%(num)s picture lies aside: the box has no record of it.",
        "%(num)s pictures lie aside: the box has no record of them.",
        aside.pictures,
    )


def aside_until_words(aside: Aside, keep_days: int) -> str:
    """How long such pictures are kept."""
    if keep_days == 0:
        return gettext("What lies aside is kept until it is taken in.")
    until = aside.until_utc(keep_days)
    if until is None:
        return gettext(
            "What lies aside is removed after %(days)s days; they begin when the clock has run for three "
            "days without a jump.",
            days=keep_days,
        )
    return gettext("What lies aside is removed, from %(date)s on.", date=moment(until))


def taken_in_words(done: TakenIn) -> list[str]:
    """What a run has done, and why it ended before the last."""
    said = []
    if done.taken:
        said.append(ngettext("%(num)s picture was taken in.", "%(num)s pictures were taken in.", done.taken))
    if done.known:
        said.append(ngettext("%(num)s was here already.", "%(num)s were here already.", done.known))
    if done.damaged:
        said.append(
            ngettext(
                "%(num)s picture is damaged and stays aside.",
                "%(num)s pictures are damaged and stay aside.",
                done.damaged,
            )
        )
    return said + ([str(_LEFT[done.why])] if done.why else [])
