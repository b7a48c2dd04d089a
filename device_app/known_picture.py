"""A picture with a known answer, to send through the whole box: one of the bundle's golden cases."""

from __future__ import annotations

from dataclasses import dataclass

from device_app.config import KioskConfig
from runtime.bundle import open_bundle
from runtime.errors import BundleError
from runtime.findings import Verdict
from runtime.trust import TrustStore

_ORDER = (Verdict.FRACTURE, Verdict.NONE, Verdict.DOUBT)
"""Which answer shows best that the box works."""


@dataclass(frozen=True)
class KnownPicture:
    """Bytes of a picture, and what the box must say of it."""

    data: bytes
    verdict: Verdict


def known_picture(config: KioskConfig) -> KnownPicture:
    """Of the kiosk's bundle. Raises BundleError for one that cannot be trusted, or that has none."""
    bundle = open_bundle(config.bundle, TrustStore.from_paths(*config.trust) if config.trust else None)
    cases = [case for case in bundle.manifest.golden if not case.strange and not case.facts]
    for verdict in _ORDER:
        for case in cases:
            if case.verdict == verdict:
                return KnownPicture(bundle.read(case.file), verdict)
    raise BundleError("the bundle holds no picture to test with", "send a picture of your own")
