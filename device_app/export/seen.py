"""What an administrator has been shown and has let go, in memory: after a restart each picture is looked at
anew.

What is let go is bound to the very pixels that were shown, by their digest, to who was shown them, and to the
consent under which they were.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from device_app.export.prepared import Stays
from runtime.burned_in import Corners


@dataclass(frozen=True)
class Shown:
    """One picture. stays: why it cannot leave, None where it can. leaves: an administrator has let it go.

    width_px, height_px: of the picture. blanked, over: where writing was and is. pixels_sha256: of what would
    leave.
    """

    stays: Stays | None = None
    leaves: bool | None = None
    pixels_sha256: str = ""
    width_px: int = 0
    height_px: int = 0
    blanked: tuple[Corners, ...] = ()
    over: tuple[Corners, ...] = ()


class Seen:
    """By image id; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[int, Shown] = {}
        self._served: set[tuple[int, str, str]] = set()
        self._agreed: Mapping[int, datetime] = {}

    def only(self, agreed: Mapping[int, datetime]) -> None:
        """agreed: when the patient of each picture did. What was seen under a consent that is over is
        forgotten, whether or not another was given since.
        """
        with self._lock:
            over = {number for number, moment in self._agreed.items() if agreed.get(number) != moment}
            self._shown = {number: shown for number, shown in self._shown.items() if number not in over}
            self._served = {served for served in self._served if served[0] not in over}
            self._agreed = dict(agreed)

    def get(self, image_id: int) -> Shown | None:
        """None for a picture that has not been prepared."""
        with self._lock:
            return self._shown.get(image_id)

    def note(self, image_id: int, shown: Shown) -> None:
        """What would leave has been worked out; what was decided of the same pixels stays."""
        with self._lock:
            before = self._shown.get(image_id)
            if before is not None and before.pixels_sha256 == shown.pixels_sha256:
                shown = replace(shown, leaves=before.leaves)
            self._shown[image_id] = shown

    def serve(self, image_id: int, pixels_sha256: str, who: str) -> None:
        """These pixels go to somebody's screen."""
        with self._lock:
            self._served.add((image_id, pixels_sha256, who))

    def decide(self, image_id: int, pixels_sha256: str, leaves: bool, who: str) -> bool:
        """Let a picture go or keep it; False where other pixels were shown than are known now, and where one
        is let go that was never on this person's screen.
        """
        with self._lock:
            shown = self._shown.get(image_id)
            if shown is None or shown.stays is not None or shown.pixels_sha256 != pixels_sha256:
                return False
            if leaves and not shown.leaves and (image_id, pixels_sha256, who) not in self._served:
                return False
            self._shown[image_id] = replace(shown, leaves=leaves)
            return True

    def keep(self, image_id: int, why: Stays) -> None:
        """It turned out that it cannot leave."""
        with self._lock:
            self._shown[image_id] = replace(self._shown.get(image_id, Shown()), stays=why, leaves=None)

    def leaving(self) -> list[int]:
        """Those that were let go."""
        with self._lock:
            return [
                image_id for image_id, shown in self._shown.items() if shown.leaves and shown.stays is None
            ]
