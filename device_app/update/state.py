"""The kiosk's own folder, which its unit gives to `ulna serve`, and the user whose folder it is."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from runtime.durable import sync_folder
from runtime.errors import StoreError

STATE_FOLDER = "/var/lib/ulna-kiosk"
"""The kiosk may write here; so the box's folder, which it must not change, lies elsewhere."""

BUILT_ENGINES = "built-engines"
"""In the kiosk's data folder: the store of the engines that this box builds for itself."""

_PRIVATE = 0o700  # as StateDirectoryMode in the unit


@dataclass(frozen=True)
class KioskUser:
    """A system user. groups: all that systemd gives to a service of this user, `gid` among them."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def find_user(name: str) -> KioskUser:
    """Look the user up. Raises StoreError where there is none."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise StoreError(
            f"there is no user {name} on this box, who would build it",
            f"run `useradd --system --home-dir {STATE_FOLDER} --shell /usr/sbin/nologin {name}`, "
            "then install again",
        ) from error
    groups = tuple(os.getgrouplist(name, entry.pw_gid))
    return KioskUser(name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


def require_reachable(user: KioskUser) -> None:
    """Raises StoreError for a process that is neither that user nor may become it."""
    if os.geteuid() not in (0, user.uid):
        raise StoreError(
            f"only root and user {user.name} may build for the kiosk, this is user {os.geteuid()}",
            f"run this as root, or with --user for the user who runs the kiosk in {STATE_FOLDER}",
        )


def make_state_folder(folder: Path, user: KioskUser) -> None:
    """Make the folder as systemd would at the kiosk's first start; one that is in use stays as it is.

    Raises OSError.
    """
    if not folder.is_dir():
        folder.mkdir(mode=_PRIVATE)
        folder.chmod(_PRIVATE)
    # An empty one of ours may also be what a run left that was killed before this.
    if folder.stat().st_uid == os.geteuid() != user.uid and not any(folder.iterdir()):
        os.chown(folder, user.uid, user.gid)
        sync_folder(folder.parent)
