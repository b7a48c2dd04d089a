"""Whose pictures these are, as their headers say: a view stands among those of its study before any of them
has an answer, the ones that still wait in the queue too.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from device_app import facts
from device_app.settings import Settings
from device_app.store import Store
from device_app.store.database import DatabaseUnusableError
from device_app.store.queue import Waiting
from runtime.errors import InputError, StoreError
from runtime.radiograph import FileSays
from runtime.readers import read_header
from runtime.words import as_words

_PICTURES = 4
"""At most these are asked before the next is read; each may take a second of computing."""
_HEADER_BYTES = 1 << 18
"""A header is hardly longer, and a large plate would take longer to be read than to be asked."""


class Ahead:
    """Asks the pictures that come next in the queue, each of them once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: set[int] = set()

    def look(self) -> None:
        """One that waits alone is asked at its turn, which is now. What a header does not say here it may say
        then, whole; then it is also told what is wrong with a picture. Raises DatabaseUnusableError.
        """
        if self._store.queue.counts().waiting < 2:
            return
        for waiting in self._store.queue.undecided(_PICTURES, self._asked):
            self._asked.add(waiting.image_id)
            try:
                self._ask(waiting)
            except DatabaseUnusableError:
                raise
            except StoreError:  # no room, or no picture
                return

    def _ask(self, waiting: Waiting) -> None:
        with contextlib.suppress(InputError):
            says = read_header(self._store.files.begin(waiting.sha256, _HEADER_BYTES))
            if says is not None and says.study_sha256:
                settle(self._store, waiting.image_id, waiting.facts_json, says)


def settle(store: Store, image_id: int, facts_json: str, says: FileSays) -> None:
    """By the body part that people name, where they do: they have seen the patient. Raises StoreError."""
    named = facts.of_text(facts_json).body_part
    says = replace(says, body_part=as_words(named) or named or says.body_part)
    store.grouping.settle(image_id, says, Settings(store.database).now().label_from_file)
