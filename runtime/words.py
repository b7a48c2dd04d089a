"""The words in which Ulna keeps what files, tables and people say of a picture."""

from __future__ import annotations

import re

MAX_WORDS_CHARS = 48
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_VIEWS = {
    "ap": "frontal",
    "pa": "frontal",
    "antero posterior": "frontal",
    "postero anterior": "frontal",
    "ll": "lateral",
    "rl": "lateral",
    "lat": "lateral",
    "lateral": "lateral",
    "medio lateral": "lateral",
    "latero medial": "lateral",
    "obl": "oblique",
    "oblique": "oblique",
    "rao": "oblique",
    "lao": "oblique",
    "rpo": "oblique",
    "lpo": "oblique",
}
VIEW_WORDS = tuple(dict.fromkeys(_VIEWS.values()))
"""Ulna's own words for views."""


def as_words(value: str) -> str | None:
    """Lower-case letters and digits with single spaces, None where nothing is left; its own words stay."""
    return _NOT_A_WORD.sub(" ", value.lower()).strip()[:MAX_WORDS_CHARS].rstrip() or None


def view_word(words: str) -> str:
    """Ulna's word for a view of that name ("ap" is "frontal"); one that it has no word for stays."""
    return _VIEWS.get(words, words)
