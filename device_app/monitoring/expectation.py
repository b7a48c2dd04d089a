"""What the bundle at work says is to be expected, read once, beside the screens.

Reading a bundle checks its signature and the digest of every file, which takes too long for a page on a slow
disk. So it is done on a thread of its own the first time that somebody asks, and kept as long as the
inference process works with that bundle: only a manifest of its digest counts, its signature checked here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from device_app.config import KioskConfig
from device_app.monitoring.book import Expectation
from runtime.bundle import open_bundle
from runtime.errors import UlnaError
from runtime.trust import TrustStore

_log = logging.getLogger(__name__)


class Expectations:
    """Of one kiosk. `open_one` is what is done on the thread."""

    def __init__(
        self, config: KioskConfig, open_one: Callable[[KioskConfig], Expectation] | None = None
    ) -> None:
        self._config = config
        self._open = open_one or read_expectation
        self._lock = threading.Lock()
        self._known: dict[str, Expectation | None] = {}
        self._reading: threading.Thread | None = None

    def of(self, bundle_sha256: str, wait_s: float = 0.0) -> Expectation | None:
        """Of the bundle with this digest; None as long as it is not known, and where it cannot be read."""
        if not bundle_sha256:
            return None
        with self._lock:
            if bundle_sha256 not in self._known and not self._is_reading():
                self._reading = threading.Thread(target=self._read, args=(bundle_sha256,), daemon=True)
                self._reading.start()
            reading = self._reading
        if reading is not None and bundle_sha256 not in self._known:
            reading.join(wait_s)
        return self._known.get(bundle_sha256)

    def _is_reading(self) -> bool:
        return self._reading is not None and self._reading.is_alive()

    def _read(self, bundle_sha256: str) -> None:
        try:
            found = self._open(self._config)
        except UlnaError as error:
            _log.warning("what the bundle says is to be expected cannot be read: %s", error)
            self._known[bundle_sha256] = None
            return
        self._known[found.bundle_sha256] = found
        self._known.setdefault(
            bundle_sha256, None
        )  # another bundle lies there by now: nothing is known of it


def read_expectation(config: KioskConfig) -> Expectation:
    """Raises BundleError for a bundle that cannot be trusted."""
    trust = TrustStore.from_paths(*config.trust) if config.trust else None
    bundle = open_bundle(config.bundle, trust)
    manifest = bundle.manifest
    # Scores of an engine with thresholds of its own are not on the reference's scale.
    shifted = any(entry.operating_points is not None for entry in manifest.engines)
    return Expectation(bundle.digest, manifest.operating_points, None if shifted else manifest.expected)
