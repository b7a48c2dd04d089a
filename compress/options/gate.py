"""What a gate asks: margins, floors, limits of drift."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import within_or_at
from compress.margin import Margin, parse_margin

MarginValue = float | str


@dataclass(frozen=True)
class Margins:
    """The largest loss against the original checkpoint that a gate rules out.

    A number is an absolute difference, a text such as "3%" that share of the reference's own figure. A
    negative margin asks for a gain of that size.
    """

    auroc: MarginValue = 0.03
    sensitivity: MarginValue = 0.05
    specificity: MarginValue = 0.05

    def __post_init__(self) -> None:
        problems = [problem for name in vars(self) if (problem := self._problem(name))]
        if problems:
            raise ValueError("; ".join(problems))

    def of(self, figure: str) -> Margin:
        """The margin of auroc, sensitivity or specificity."""
        return parse_margin(getattr(self, figure))

    def absolute(self, figure: str, reference: float) -> float:
        """The same as a difference, for a reference whose figure is `reference`."""
        return self.of(figure).absolute(reference)

    def _problem(self, name: str) -> str:
        """What is wrong with one margin, "" for nothing."""
        value = getattr(self, name)
        try:
            margin = parse_margin(value)
        except ValueError as error:
            return f"{name} {error}"
        low, high = ("-100%", "100%") if margin.relative else ("-1", "1")
        return "" if -1 <= margin.amount <= 1 else f"{name} must be {low} to {high}, got {value}"


@dataclass(frozen=True)
class DriftLimits:
    """How far a candidate's answers may move though the figures with margins hold; 1 asks nothing.

    ece: rise of the expected calibration error. probability: shift of the mean probability, up or down.
    located: fall of the share of fractured images with a known place whose evidence peaks in it. Only a drift
    that is shown to lie beyond its limit fails a gate.
    """

    ece: float = 0.05
    probability: float = 0.05
    located: float = 0.10

    def __post_init__(self) -> None:
        wrong = [f"{name}, got {value:g}" for name, value in vars(self).items() if not 0 < value <= 1]
        if wrong:
            raise ValueError(f"limits must be above 0 and at most 1: {'; '.join(wrong)}")


NO_DRIFT_LIMITS = DriftLimits(1.0, 1.0, 1.0)
"""Drift is measured and noted, and nothing is asked of it."""


@dataclass(frozen=True)
class Floors:
    """What the original checkpoint itself must reach on the gate patients (one-sided 95% lower bound)."""

    auroc: float = 0.5

    def __post_init__(self) -> None:
        within_or_at(0, 1, auroc=self.auroc)


@dataclass(frozen=True)
class GateOptions:
    """margins: for everything that ships. prune_margins: for the pruned network before fine-tuning, which
    never ships and is gated again after it. Its logits have moved, so only its ranking (AUROC) tells
    something; a margin of 1 asks nothing of the rest, and its drift is noted only.
    drift: of everything else. parity_logit: largest difference of a logit where only the format has changed.
    confidence: one-sided.
    """

    margins: Margins = Margins()
    prune_margins: Margins = Margins(auroc=0.15, sensitivity=1.0, specificity=1.0)
    floors: Floors = Floors()
    drift: DriftLimits = DriftLimits()
    parity_logit: float = 1e-2
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not self.parity_logit > 0:
            raise ValueError(f"parity_logit must be positive, got {self.parity_logit:g}")
        # Below one half a bound lies on the wrong side; the quantiles are right up to 0.995.
        if not 0.5 < self.confidence <= 0.99:
            raise ValueError(f"confidence must lie above 0.5 and be at most 0.99, got {self.confidence:g}")
