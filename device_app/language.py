"""Translation, with types: the functions that mark every string a person reads."""

from __future__ import annotations

from collections.abc import Iterable

import flask_babel
from babel import Locale

LANGUAGES = {
    "en": "English",
    "fr": "Français",
    "es": "Español",
    "pt": "Português",
    "sw": "Kiswahili",
    "hi": "हिन्दी",
    "ar": "العربية",
}
"""Each by its own name, as whoever speaks it looks for it."""
DEFAULT = "en"


def wanted(asked: Iterable[str]) -> str | None:
    """The first of the languages that a browser asks for, best first, that is spoken here: whoever reads
    Swahili of Kenya reads Swahili.
    """
    roots = (one.replace("_", "-").partition("-")[0].lower() for one in asked)
    return next((one for one in roots if one in LANGUAGES), None)


def decimal(value: float, digits: int = 1) -> str:
    """With as many digits behind the point, or the comma, of the current request's language."""
    return str(flask_babel.format_decimal(value, f"0.{'0' * digits}" if digits else "0"))


def isolated(text: str) -> str:
    """For where nothing but letters can be given: it keeps its own direction, whatever stands beside it."""
    return f"\u2068{text}\u2069"


def direction(language: str) -> str:
    """ "rtl" or "ltr", for the page as a whole."""
    return str(Locale.parse(language).text_direction)


class LazyText:
    """A marked string, translated each time it is shown, in the language of whoever looks."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __str__(self) -> str:
        return gettext(self._message)


def gettext(message: str, **values: object) -> str:
    """The message in the language of the current request, with its %(name)s filled in."""
    return str(flask_babel.gettext(message, **values))


def ngettext(one: str, several: str, count: int) -> str:
    """The form for a count, with it at %(num)s, in the language of the current request."""
    return str(flask_babel.ngettext(one, several, count))


def lazy_gettext(message: str) -> LazyText:
    """A message for a table made before any request."""
    return LazyText(message)
