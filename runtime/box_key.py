"""The box's own signing key: made at first use, in a folder that nobody else may write to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.durable import sync_folder
from runtime.errors import BackendError, SignatureError
from runtime.trust import generate_key, load_private_key, save_private_key

KEY_NAME = "box.key"
LOCK_NAME = "lock"
_FRESH_NAME = ".box.key.new"
_HINT = "remove the folder of the engine store; its engines are built again"


def make_private_folder(folder: Path) -> None:
    """Make the folder for its owner alone. Raises BackendError for one that others own or may write to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise BackendError(
            f"the engine store {folder} belongs to user {status.st_uid}, this is user {os.geteuid()}",
            "run this as the store's owner, or choose another --store",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BackendError(
            f"others may write to the engine store {folder}", f"choose another --store, or chmod 700 {folder}"
        )


def require_unused(folder: Path) -> None:
    """Raises BackendError for a folder that holds anything but what a store being made may have left.

    Another process may make the store at the same moment: what has a key by now is a store.
    """
    strange = sorted({path.name for path in folder.iterdir()} - {LOCK_NAME, _FRESH_NAME})
    if strange and not is_there(folder):
        raise BackendError(
            f"{folder} is no engine store: it holds {strange[0]} and no {KEY_NAME}",
            "choose another --store, or remove this folder if it was one",
        )


def is_there(folder: Path) -> bool:
    """Whether there is something by the key's name."""
    return os.path.lexists(folder / KEY_NAME)


def load(folder: Path) -> Ed25519PrivateKey:
    """The key in `folder`. Raises SignatureError for one that others may read or that cannot be read."""
    path = folder / KEY_NAME
    status = path.lstat()
    if (
        not stat.S_ISREG(status.st_mode)
        or status.st_uid != os.geteuid()
        or stat.S_IMODE(status.st_mode) & 0o077
    ):
        raise SignatureError(f"{path} is not a file that its owner alone may read", _HINT)
    try:
        return load_private_key(path)
    except SignatureError as error:
        raise SignatureError(str(error), _HINT) from error


def make(folder: Path) -> None:
    """Make the key where there is none; call it with the store's lock held. Raises SignatureError, OSError.

    It gets its name when it is whole: half a key would keep the box from its engines for good.
    """
    path = folder / KEY_NAME
    if is_there(folder):
        return
    fresh = path.with_name(_FRESH_NAME)
    fresh.unlink(missing_ok=True)
    save_private_key(generate_key(), fresh)
    fresh.rename(path)
    sync_folder(path.parent)
