"""Photographs of films of the sample's forearms, for tests of what the kiosk makes of them."""

from __future__ import annotations

import numpy as np

from benchmarks.photographs_made import Scene, take
from tests.device_app import sample

GOOD = Scene(tilt_deg=10, around_deg=60, roll_deg=2, corner=0.02, fall=0.15, noise=0.004)
SHAKEN = Scene(tilt_deg=10, shake=0.03)
ALONG = 0.47
"""Where down the film the sample's gap is, as a share of its height."""


def photograph(gap: float, seed: int = 0, scene: Scene = GOOD) -> bytes:
    """A JPEG from a tablet's camera."""
    return take((sample.forearm(gap, seed) >> 4).astype(np.uint8), scene).data
