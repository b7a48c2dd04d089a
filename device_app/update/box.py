"""A box's folder on the disk.

DIR/live          symbolic link to slots/a or slots/b: what the kiosk runs
DIR/slots/a, b    bundles, each whole or absent
DIR/slots/.incoming, .outgoing    a copy being made, a bundle being removed: leftovers when nothing runs
DIR/trusted/      the public keys this box was set up with; every later bundle must be signed by one
DIR/slots.json    the journal (see slots.py)
DIR/.lock         held while something changes
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from device_app.update import durable
from device_app.update.slots import SLOTS, Journal, Phase, journal_from_json
from runtime.bundle import Bundle, open_bundle
from runtime.durable import sync_folder
from runtime.errors import SignatureError, StoreError, UlnaError
from runtime.trust import TrustStore, public_pem


@dataclass(frozen=True)
class Box:
    """The places in a box's folder, and what is there."""

    root: Path

    @property
    def live_link(self) -> Path:
        """What the kiosk is started with."""
        return self.root / "live"

    @property
    def trusted(self) -> Path:
        """The box's own keys."""
        return self.root / "trusted"

    @property
    def incoming_trusted(self) -> Path:
        """The keys of a first installation, until its bundle has passed."""
        return self.root / ".trusted.incoming"

    @property
    def incoming(self) -> Path:
        """Where a new bundle is copied and tested."""
        return self.root / "slots" / ".incoming"

    @property
    def outgoing(self) -> Path:
        """Where the bundle that is replaced waits for its removal."""
        return self.root / "slots" / ".outgoing"

    @property
    def journal_file(self) -> Path:
        """See slots.py."""
        return self.root / "slots.json"

    def slot(self, name: str) -> Path:
        """The folder of slot "a" or "b"."""
        return self.root / "slots" / name

    def live(self) -> str | None:
        """The slot that `live` points to. Raises StoreError for a link that Ulna did not make."""
        if not self.live_link.is_symlink():
            if self.live_link.exists():
                raise StoreError(
                    f"{self.live_link} is not a link", "move it away; Ulna makes this link itself"
                )
            return None
        target = self.live_link.readlink()
        if target.parent != Path("slots") or target.name not in SLOTS:
            raise StoreError(
                f"{self.live_link} points to {target}, expected slots/a or slots/b", "remove the link"
            )
        return target.name

    def switch_live(self, name: str) -> None:
        """Point `live` to a slot, atomically and durably."""
        durable.replace_link(self.live_link, f"slots/{name}")

    def is_set_up(self) -> bool:
        """Whether the box has keys of its own."""
        return self.trusted.is_dir()

    def keys(self) -> TrustStore:
        """The box's own keys. Raises SignatureError where it has none."""
        store = TrustStore.from_paths(self.trusted)
        if not store.keys:
            raise SignatureError(f"{self.trusted} holds no key", "put the public key (.pem) back")
        return store

    def open_slot(self, name: str) -> Bundle | None:
        """The bundle in a slot; None if there is none or it is damaged or not signed by the box's keys."""
        # OSError: a worn flash card answers with I/O errors, which are damage like any other.
        with suppress(UlnaError, OSError):
            return open_bundle(self.slot(name), self.keys())
        return None

    def sound_slots(self) -> frozenset[str]:
        """The slots whose bundle opens."""
        return frozenset(name for name in SLOTS if self.open_slot(name) is not None)

    def read_journal(self) -> Journal:
        """The journal; an unreadable one counts as an unconfirmed trial of whatever is live.

        It is written atomically, so damage is the disk's. Nothing is lost but remarks: the link and the
        slots are on the disk themselves, and testing live once more is always safe.
        """
        try:
            return journal_from_json(json.loads(self.journal_file.read_bytes()))
        except FileNotFoundError:
            return Journal()
        except (ValueError, OSError):
            live = self.live()
            return Journal(Phase.TRIAL, target=live) if live else Journal()

    def write_journal(self, journal: Journal) -> Journal:
        """Make it durable and hand it back."""
        text = json.dumps(journal.to_json(), indent=1, sort_keys=True)
        durable.replace_file(self.journal_file, text.encode())
        return journal

    def write_incoming_keys(self, store: TrustStore) -> None:
        """Lay the keys of a first installation beside the place they will have."""
        durable.make_folder(self.incoming_trusted)
        for key in store.keys:
            durable.write_file(self.incoming_trusted / f"{key.fingerprint}.pem", public_pem(key.public))
        sync_folder(self.incoming_trusted)

    def sweep(self) -> bool:
        """Remove what an interrupted installation left; True if there was something."""
        names = ("slots/.incoming", "slots/.outgoing", ".trusted.incoming", ".live.new", ".slots.json.new")
        leftovers = [path for name in names if os.path.lexists(path := self.root / name)]
        for path in leftovers:
            durable.remove(path)
        for folder in {path.parent for path in leftovers}:
            sync_folder(folder)
        return bool(leftovers)


@contextmanager
def hold(root: Path, create: bool = False) -> Iterator[Box]:
    """The box's folder with its lock held; disk faults inside become StoreErrors.

    Raises StoreError when another process holds it, or when `root` is no box and `create` is not set.
    """
    box = Box(root.absolute())
    if not create:
        require_box(box)
    with durable.disk_errors(box.root):
        durable.make_folder(box.root / "slots")
        with durable.exclusive(box.root / ".lock"):
            yield box


def require_box(box: Box) -> None:
    """Raises StoreError unless something was installed there."""
    if not (box.root / "slots").is_dir():
        raise StoreError(
            f"{box.root} is no box's folder", f"set it up with `ulna install --bundle B --root {box.root}`"
        )
