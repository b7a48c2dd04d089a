"""What the box page says of the disk: how long it lasts, what goes from it, and whether it is encrypted."""

from __future__ import annotations

from device_app.language import gettext
from device_app.outlook import Outlook
from device_app.retention import Removable


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
