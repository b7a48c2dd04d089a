"""Things one after another, divided as the reader's language divides them."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import gettext


def listed(words: Iterable[str]) -> str:
    """In one line; Arabic has a comma of its own."""
    return str(gettext(", ")).join(words)
