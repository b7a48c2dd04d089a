"""The one door for every source: `Records.receive`, its answers sorted by what a source has to do next."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Protocol, cast

from device_app.intake.kinds import HEAD_BYTES, is_picture
from device_app.intake.sources import Trouble
from device_app.store.records import QueueFullError, Receipt, Records, Upload
from runtime.errors import DiskFullError, InputError, StoreError

_log = logging.getLogger(__name__)
_NO_PICTURE = "the file is no picture of a kind that is read"
_SAVE_AS = "Export it as JPEG, PNG, TIFF, BMP, WebP or DICOM."
_SEND_ANOTHER = "Export or copy it again."


class SourceFailedError(OSError):
    """The source broke off, or changed while it was read: nothing was stored, and nothing is said of the
    picture.
    """


class Fate(StrEnum):
    """What became of a picture, and so what its source does with it.

    taken, known: it is on the disk and committed; the source may let go of it. refused: it never will be.
    later: not now; the source keeps it. broken: the source failed.
    """

    TAKEN = "taken"
    KNOWN = "known"
    REFUSED = "refused"
    LATER = "later"
    BROKEN = "broken"

    @property
    def stored(self) -> bool:
        """Whether the box has it for good."""
        return self in (Fate.TAKEN, Fate.KNOWN)


@dataclass(frozen=True)
class Outcome:
    """Of one picture. reason, hint: why not and what to do, for people. trouble: why later."""

    fate: Fate
    reason: str = ""
    hint: str = ""
    trouble: Trouble = Trouble.NONE
    receipt: Receipt | None = None


class ByteSource(Protocol):
    """What is handed over."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, b"" at the end; raises SourceFailedError."""
        ...


class Door:
    """Hands pictures over and wakes whoever reads them."""

    def __init__(self, records: Records, wake: Callable[[], None]) -> None:
        self._records = records
        self._wake = wake

    def take(self, stream: ByteSource, upload: Upload) -> Outcome:
        """Hand over what a stream holds; on `taken` and `known` it is fsynced and committed."""
        try:
            receipt = self._records.receive(cast(IO[bytes], stream), upload)  # of which it reads only
        except InputError as error:
            return Outcome(Fate.REFUSED, str(error), error.hint or _SEND_ANOTHER)
        except SourceFailedError as error:
            return Outcome(Fate.BROKEN, str(error))
        except (StoreError, OSError) as error:
            return _later(error)
        self._wake()
        return Outcome(Fate.KNOWN if receipt.known else Fate.TAKEN, receipt=receipt)


def refusal_of(head: bytes) -> Outcome | None:
    """Of a file that does not begin like a picture; None for one that may be taken.

    An empty file is left to the door, which has better words.
    """
    if not head or is_picture(head[:HEAD_BYTES]):
        return None
    return Outcome(Fate.REFUSED, _NO_PICTURE, _SAVE_AS)


def _later(error: Exception) -> Outcome:
    trouble = Trouble.STORE
    if isinstance(error, DiskFullError):
        trouble = Trouble.DISK_FULL
    elif isinstance(error, QueueFullError):
        trouble = Trouble.QUEUE_FULL
    else:
        _log.error("a picture could not be stored", exc_info=error)
    return Outcome(Fate.LATER, str(error), getattr(error, "hint", ""), trouble)
