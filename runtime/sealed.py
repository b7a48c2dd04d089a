"""One file with a signed record beside it, in a folder of its own, that is whole or is refused.

The order of checks, each on bytes already read and none before the one above it has passed:

1. record.sig was made over record.json by the box's own key;
2. record.json parses and says nothing impossible;
3. the file has the size and the digest that the record names.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from runtime import strict
from runtime.durable import sync_folder, write_synced
from runtime.errors import BundleFormatError, DigestMismatchError, SignatureError
from runtime.trust import SIGNATURE_BYTES, verifies

RECORD_NAME = "record.json"
SIGNATURE_NAME = "record.sig"
MAX_RECORD_BYTES = 1 << 18
_PURPOSE = b"ulna: built on this box, 1\0"
"""Before what is signed, so that no signature made for something else can stand here."""


def seal(folder: Path, name: str, data: bytes, record: dict[str, Any], key: Ed25519PrivateKey) -> None:
    """Write the file, its record and the signature into a new folder, flushed. Raises OSError."""
    text = json.dumps(record, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"
    write_synced(folder / name, data)
    write_synced(folder / RECORD_NAME, text)
    write_synced(folder / SIGNATURE_NAME, key.sign(_PURPOSE + text))
    sync_folder(folder)


def open_record(folder: Path) -> BinaryIO:
    """The record's file, as a handle to lock. Raises OSError, DigestMismatchError for what is no file."""
    descriptor = os.open(folder / RECORD_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    return _regular(descriptor, folder / RECORD_NAME)


def check_record(record: BinaryIO, folder: Path, public: Ed25519PublicKey) -> Any:
    """What the record says. Raises SignatureError, BundleFormatError."""
    text = record.read(MAX_RECORD_BYTES + 1)
    if len(text) > MAX_RECORD_BYTES:
        raise BundleFormatError(f"{folder.name}/{RECORD_NAME} is over {MAX_RECORD_BYTES} bytes")
    signature = _read(folder / SIGNATURE_NAME, SIGNATURE_BYTES)
    if not verifies(public, signature, _PURPOSE + text):
        raise SignatureError(f"{folder.name}/{RECORD_NAME} is not signed by this box")
    return strict.loads(text, RECORD_NAME)


def read_file(path: Path, sha256: str, size_bytes: int) -> bytes:
    """The file that a record tells of. Raises DigestMismatchError."""
    data = _read(path, size_bytes)
    if len(data) != size_bytes or hashlib.sha256(data).hexdigest() != sha256:
        raise DigestMismatchError(f"{path.parent.name}/{path.name} is not the file that its record tells of")
    return data


def _read(path: Path, limit_bytes: int) -> bytes:
    """At most one byte more than the limit."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with _regular(descriptor, path) as file:
            return file.read(limit_bytes + 1)
    except OSError as error:
        raise DigestMismatchError(
            f"{path.parent.name}/{path.name} cannot be read: {error.strerror}"
        ) from error


def _regular(descriptor: int, path: Path) -> BinaryIO:
    file = os.fdopen(descriptor, "rb")
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return file
    file.close()
    raise DigestMismatchError(f"{path.parent.name}/{path.name} is no regular file")
