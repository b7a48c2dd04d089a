"""By what the engine at work decides, from the inference process to the screens, as one line. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from runtime.detector import Detector
from runtime.findings import OperatingPoints


@dataclass(frozen=True)
class Limits:
    """own: of the engine itself. used: in force. unused: the site has chosen others, which do not stand in
    for this engine's. several: the bundle has limits of its own for examinations of several views.
    """

    own: OperatingPoints
    used: OperatingPoints
    unused: bool = False
    several: bool = False

    @property
    def changed(self) -> bool:
        """Whether the site's are in force."""
        return self.own != self.used


def limits_text(detector: Detector) -> str:
    """What a detector decides by now."""
    spec, given = detector.spec, detector.given
    unused = given is not None and detector.points != given.points
    several = spec.examination.operating_points is not None
    return json.dumps(asdict(Limits(spec.operating_points, detector.points, unused, several)), sort_keys=True)


def limits_of_text(text: str) -> Limits | None:
    """None for "", which stands for not known yet."""
    if not text:
        return None
    record = json.loads(text)
    own, used = (OperatingPoints(**record[name]) for name in ("own", "used"))
    return Limits(own, used, bool(record["unused"]), bool(record["several"]))
