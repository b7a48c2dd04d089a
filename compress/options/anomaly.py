"""How pictures unlike those of the training are told."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import within_or_at


@dataclass(frozen=True)
class AnomalyOptions:
    """How pictures unlike those of the training are told (compress.anomaly).

    quantile: share of the calibration images that lie nearer than distance 1; 0 leaves the statistics out.
    warn_above, refuse_above: distances from which on an answer carries a warning, and none is given.
    most_refused: largest share of the gate patients' radiographs that an engine may refuse for it to ship.
    """

    quantile: float = 0.99
    warn_above: float = 1.0
    refuse_above: float = 2.0
    most_refused: float = 0.03

    def __post_init__(self) -> None:
        if not 0 <= self.quantile < 1:
            raise ValueError(f"quantile must be at least 0 and below 1, got {self.quantile:g}")
        within_or_at(0, 1, most_refused=self.most_refused)
        if not 0 < self.warn_above <= self.refuse_above:
            raise ValueError(
                f"warn_above must be positive and at most refuse_above, got {self.warn_above:g} and "
                f"{self.refuse_above:g}"
            )
