"""Sentences that come from runtime as finished English, in the words and the language of the screen.

Stored answers hold the English. What the table does not know, from a newer or an older program, is shown as
it is rather than left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from markupsafe import Markup, escape

from device_app.language import LazyText, isolated
from device_app.listed import listed
from device_app.monitoring.tally import warning_kind
from device_app.notice_table import TABLE, Known
from device_app.words import fact_word

_PLACE = re.compile(r"\{(\w+)\}")
_NUMBER = r"[\d.e+-]+|inf|nan"
_SHAPES = {"said": r"'.*'|\".*\"", "words": ".+", "size": rf"(?:{_NUMBER}) x (?:{_NUMBER})"}
"""What stands at a name; a number where none is given."""
_TIMES = " \u00d7 "
_LEFT_TO_RIGHT, _END = "\u2066", "\u2069"
"""Isolates: figures, and words of another language, that must not be turned round by the sentence."""


@dataclass(frozen=True)
class Notice:
    """text: what to show. is_translated: False for English as runtime said it.

    In a template it stands as it is; English is marked as English there, for whoever reads aloud and for
    pages that run from right to left.
    """

    text: str
    is_translated: bool

    def __html__(self) -> Markup:
        text = escape(self.text)
        return text if self.is_translated else Markup('<span lang="en" dir="ltr">{}</span>').format(text)

    @property
    def isolated(self) -> str:
        """For where nothing but letters can be given: English stays in its own direction."""
        return self.text if self.is_translated else f"{_LEFT_TO_RIGHT}{self.text}{_END}"


def notice_words(text: str) -> Notice:
    """One sentence of runtime's for the current request."""
    for pattern, known in _patterns():
        if found := pattern.fullmatch(text):
            return Notice(_filled(known.says, found.groupdict()), True)
    return Notice(text, False)


def notices_of(texts: Iterable[str]) -> list[Notice]:
    """Several of them, in their order."""
    return [notice_words(text) for text in texts]


def kind_words(kind: str) -> Notice:
    """A few words on a kind of warning, as device_app.monitoring.tally counts them."""
    known = _kinds().get(kind)
    return Notice(f"{kind} …", False) if known is None else Notice(str(known), True)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], Known], ...]:
    return tuple((re.compile(_pattern(known.english), re.DOTALL), known) for known in TABLE)


def _pattern(english: str) -> str:
    """Every other part of the split is a name."""
    parts = _PLACE.split(english)
    return "".join(
        f"(?P<{part}>{_SHAPES.get(part, _NUMBER)})" if at % 2 else re.escape(part)
        for at, part in enumerate(parts)
    )


@cache
def _kinds() -> dict[str, LazyText]:
    """What is counted ends before the first figure or quotation."""
    return {warning_kind(_PLACE.sub("'", one.english)): one.kind for one in TABLE if one.kind is not None}


def _filled(message: LazyText, values: dict[str, str]) -> str:
    if not values:
        return str(message)
    return str(message) % {name: _shown(name, value) for name, value in values.items()}


def _shown(name: str, value: str) -> str:
    if name == "size":
        return f"{_LEFT_TO_RIGHT}{value.replace(' x ', _TIMES)}{_END}"
    if name == "words":
        return _listed(value)
    return isolated(_listed(_unquoted(value))) if name == "said" else value


def _listed(value: str) -> str:
    return listed(fact_word(word) for word in value.split(", "))


def _unquoted(value: str) -> str:
    try:
        return str(ast.literal_eval(value))
    except (SyntaxError, ValueError):
        return value[1:-1]
