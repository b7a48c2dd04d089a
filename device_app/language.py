"""Translation, with types: the functions that mark every string a person reads."""

from __future__ import annotations

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


def lazy_gettext(message: str) -> LazyText:
    """A message for a table made before any request."""
    return LazyText(message)
