"""What the two locked thresholds must reach."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import one_of, within_or_at
from runtime.examination import DEFAULT_RULE, RULES

LARGEST_FOLDS = 20


@dataclass(frozen=True)
class OperatingPointOptions:
    """Targets for the two locked thresholds.

    assurance: how sure new patients must be to reach both targets. At 0.5 the patients at hand reach them,
    and new ones about every second time. calibrate: scale the logits first, so that probabilities mean what
    they say (temperature scaling). folds: choose from fit patients too, each scored by a network that was
    trained on the other folds; 0 chooses from calibration patients alone. examination_rule: mean_logit |
    max_probability | noisy_or, how several views of one examination become one answer. refit: whether a
    pruned, quantized or halved model gets thresholds of its own on the calibration patients, at which it
    decides them as the original does at the locked ones (compress.refit).
    """

    sensitivity: float = 0.95
    specificity: float = 0.95
    assurance: float = 0.5
    calibrate: bool = False
    folds: int = 0
    examination_rule: str = DEFAULT_RULE
    refit: bool = False

    def __post_init__(self) -> None:
        within_or_at(0.5, 1, sensitivity=self.sensitivity, specificity=self.specificity)
        within_or_at(0.5, 0.99, assurance=self.assurance)
        if self.folds != 0 and not 2 <= self.folds <= LARGEST_FOLDS:
            raise ValueError(f"folds must be 0 or 2 to {LARGEST_FOLDS}, got {self.folds}")
        one_of("examination_rule", self.examination_rule, tuple(RULES))
        if self.assurance > 0.5 and max(self.sensitivity, self.specificity) == 1:
            raise ValueError("with an assurance above 0.5 sensitivity and specificity must lie below 1")
