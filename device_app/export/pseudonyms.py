"""Names that mean nothing, the same ones each time: made from a key that never leaves the box.

Two exports of one box must give a patient one name, or training would put her among those that it learns from
and among those that judge. No list of names is kept: who has the key and a label can find the name again, who
has the exports alone cannot go back.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import uuid
from pathlib import Path

from device_app.store.consent import Consented
from device_app.store.grouping import study_part
from runtime.durable import sync_folder, write_synced

_KEY_NAME = "export-secret"
_KEY_BYTES = 32
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def export_key(folder: Path) -> bytes:
    """The box's own: made at the first export, readable by the kiosk alone. Raises OSError."""
    path = folder / _KEY_NAME
    try:
        key = path.read_bytes()
        if len(key) == _KEY_BYTES:
            return key
        path.unlink()  # half written when the power went: no export used it
    except FileNotFoundError:
        pass
    old_mask = os.umask(0o077)
    try:
        write_synced(path, secrets.token_bytes(_KEY_BYTES))
    finally:
        os.umask(old_mask)
    sync_folder(folder)
    return path.read_bytes()


class Pseudonyms:
    """Of one key. Raises ValueError for a key that is none."""

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ValueError(f"a key has {_KEY_BYTES} bytes, got {len(key)}")
        self._key = key

    def patient(self, found: Consented) -> str:
        """By the label, however it is spelt; else by the DICOM study, else by the examination."""
        label = " ".join(found.patient_label.casefold().split())
        whose = f"label {label}" if label else f"study {study_part(found.study_sha256) or found.examination}"
        return f"ulna-{self._digest('patient', whose)[:8].hex()}"

    def study(self, found: Consented) -> str:
        """UID of the examination."""
        return self._uid("study", found.examination)

    def series(self, found: Consented) -> str:
        """UID of the only series in it."""
        return self._uid("series", found.examination)

    def image(self, found: Consented) -> str:
        """UID of the picture: by its bytes, so that in every export it is the same one."""
        return self._uid("image", found.sha256)

    def actor(self, actor: str) -> str:
        """Six letters."""
        return "".join(_LETTERS[byte % len(_LETTERS)] for byte in self._digest("actor", actor)[:6])

    def _uid(self, kind: str, text: str) -> str:
        """PS3.5 B.2: an integer of a UUID below 2.25."""
        return f"2.25.{uuid.UUID(bytes=self._digest(kind, text)[:16], version=4).int}"

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\0{text}".encode(), hashlib.sha256)
