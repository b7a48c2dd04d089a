"""Keeps what third-party tools print and log off the user's terminal, and hands it over for the record."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

_KEPT = 20


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """Within it, warnings and log records of level WARNING go into the list; prints are dropped."""
    messages: list[str] = []
    handler = _Collector(messages)
    root = logging.getLogger()
    # Handlers of the libraries' own loggers write to the stream they found at import.
    before, root.handlers = root.handlers, [handler]
    try:
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("always")
            yield messages
    finally:
        root.handlers = before
    messages += [str(item.message).splitlines()[0] for item in caught if str(item.message)]
    messages[:] = list(dict.fromkeys(messages))[:_KEPT]


class _Collector(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(" ".join(record.getMessage().split()))
