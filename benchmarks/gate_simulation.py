"""How often the gate errs: simulated patients, thousands of gates, the rates of both errors.

Scores follow the binormal model (Green and Swets, "Signal Detection Theory and Psychophysics", 1966): a
patient's healthy images score N(0, 1), the fractured ones N(d, 1), images of one patient are correlated, and
so are the scores of reference and candidate on the same image. The candidate's means are moved until its true
loss is exactly what is asked for:

    none         candidate and reference are equally good: a `fail` is a false alarm
    auroc, sensitivity, specificity
                 the true loss in that figure is the margin: a pass of that check is a miss, which the gate
                 promises to happen in at most 1 - confidence of the cases

`python -m benchmarks.gate_simulation --runs 2000 --out benchmarks/results/NAME.json`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.results import Result, Row, save
from compress.gate import FAIL, INCONCLUSIVE, PASS, Verdict, gate
from compress.intervals import two_sided_z, wilson
from compress.metrics import sigmoid
from compress.predictions import Predictions
from compress.recipe import Margins
from runtime.findings import OperatingPoints

LOSSES = ("none", "auroc", "sensitivity", "specificity")
_NORMAL = NormalDist()
_BOTH_POINTS = ("high_sensitivity", "high_specificity")


@dataclass(frozen=True)
class Population:
    """Who comes: patients of `images` images each, half of the patients with a fracture.

    auroc: of the reference. agreement: correlation of reference and candidate on one image. alike:
    correlation of two images of one patient.
    """

    patients: int = 300
    images: int = 2
    auroc: float = 0.93
    agreement: float = 0.95
    alike: float = 0.5

    @property
    def separation(self) -> float:
        """d: the distance of the two means, in standard deviations."""
        return sqrt(2) * _NORMAL.inv_cdf(self.auroc)


@dataclass(frozen=True)
class Simulation:
    """runs: gates for each kind of loss. sensitivity, specificity: of the reference at its two points."""

    runs: int = 1000
    seed: int = 0
    confidence: float = 0.95
    margins: Margins = field(default_factory=Margins)
    population: Population = field(default_factory=Population)
    sensitivity: float = 0.95
    specificity: float = 0.95

    @property
    def cuts(self) -> dict[str, float]:
        """The operating points on the score's own scale."""
        return {
            "high_sensitivity": self.population.separation - _NORMAL.inv_cdf(self.sensitivity),
            "high_specificity": _NORMAL.inv_cdf(self.specificity),
        }


@dataclass(frozen=True)
class Shift:
    """How far the candidate's means of fractured and of healthy images are moved, in standard deviations."""

    fractured: float = 0.0
    healthy: float = 0.0


def simulate(simulation: Simulation) -> Result:
    """One row a kind of loss and check: how often it passed, failed, was inconclusive; the error's rate."""
    rng = np.random.default_rng(simulation.seed)
    rows = [row for loss in LOSSES for row in _rows(simulation, loss, rng)]
    settings = {
        "runs": simulation.runs,
        "seed": simulation.seed,
        "confidence": simulation.confidence,
        **{f"margin_{name}": value for name, value in asdict(simulation.margins).items()},
        **asdict(simulation.population),
    }
    return Result("gate simulation", tuple(rows), settings)


def shift_for(simulation: Simulation, loss: str, point: str) -> Shift:
    """The move of the means at which the true loss in one figure (at one point) is exactly its margin."""
    d, cut = simulation.population.separation, simulation.cuts[point]
    if loss == "auroc":
        wanted = simulation.population.auroc - simulation.margins.auroc
        return Shift(fractured=sqrt(2) * _NORMAL.inv_cdf(wanted) - d)
    if loss == "sensitivity":
        wanted = _NORMAL.cdf(d - cut) - simulation.margins.sensitivity
        return Shift(fractured=_NORMAL.inv_cdf(wanted) + cut - d)
    if loss == "specificity":
        wanted = _NORMAL.cdf(cut) - simulation.margins.specificity
        return Shift(healthy=cut - _NORMAL.inv_cdf(wanted))
    return Shift()


def draw(simulation: Simulation, shift: Shift, rng: np.random.Generator) -> tuple[Predictions, Predictions]:
    """Reference and candidate on the same fresh patients; logits are relative to a score of 0."""
    crowd = simulation.population
    labels = np.repeat(np.arange(crowd.patients) % 2, crowd.images)
    common, own = _noise(crowd, rng), _noise(crowd, rng)
    reference = crowd.separation * labels + common
    moved = labels * shift.fractured + (1 - labels) * shift.healthy
    blended = crowd.agreement * common + sqrt(1 - crowd.agreement**2) * own
    candidate = crowd.separation * labels + blended + moved
    return _predictions(crowd, labels, reference), _predictions(crowd, labels, candidate)


def _rows(simulation: Simulation, loss: str, rng: np.random.Generator) -> Iterator[Row]:
    if loss == "none":
        verdicts = [_one(simulation, Shift(), rng) for _ in range(simulation.runs)]
        yield _row(simulation, loss, "whole gate", [verdict.outcome for verdict in verdicts])
        return
    for point in _BOTH_POINTS if loss != "auroc" else _BOTH_POINTS[:1]:
        shift = shift_for(simulation, loss, point)
        verdicts = [_one(simulation, shift, rng) for _ in range(simulation.runs)]
        name = loss if loss == "auroc" else f"{loss}, {point}"
        yield _row(simulation, loss, name, [_outcome(verdict, loss, point) for verdict in verdicts])


def _one(simulation: Simulation, shift: Shift, rng: np.random.Generator) -> Verdict:
    reference, candidate = draw(simulation, shift, rng)
    points = OperatingPoints(**{name: float(sigmoid(np.array(cut))) for name, cut in simulation.cuts.items()})
    return gate(reference, candidate, points, simulation.margins, simulation.confidence)


def _outcome(verdict: Verdict, metric: str, point: str) -> str:
    wanted = (metric, "" if metric == "auroc" else point)
    return next(check.outcome for check in verdict.checks if (check.metric, check.point) == wanted)


def _row(simulation: Simulation, loss: str, check: str, outcomes: list[str]) -> Row:
    counts, runs = Counter(outcomes), simulation.runs
    error = FAIL if loss == "none" else PASS
    low, high = wilson(counts[error] / runs, runs, two_sided_z(0.95))
    return {
        "true loss": "none" if loss == "none" else "the margin",
        "check": check,
        **{outcome: counts[outcome] / runs for outcome in (PASS, INCONCLUSIVE, FAIL)},
        "error": "false alarm" if loss == "none" else "miss",
        "rate": counts[error] / runs,
        "rate 95%": [low, high],
    }


def _noise(crowd: Population, rng: np.random.Generator) -> NDArray[np.float64]:
    """(images of all patients,) standard normal, correlated within a patient."""
    patient = np.repeat(rng.standard_normal(crowd.patients), crowd.images)
    image = rng.standard_normal(crowd.patients * crowd.images)
    return sqrt(crowd.alike) * patient + sqrt(1 - crowd.alike) * image


def _predictions(crowd: Population, labels: NDArray[np.int64], logits: NDArray[np.float64]) -> Predictions:
    count = len(labels)
    return Predictions(
        case_ids=np.array([f"c{index}" for index in range(count)]),
        patient_ids=np.array([f"p{index // crowd.images}" for index in range(count)]),
        body_parts=np.full(count, "hand"),
        labels=labels,
        logits=logits,
    )


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    runs: Annotated[int, typer.Option(help="Gates for each kind of loss.")] = 1000,
    patients: Annotated[int, typer.Option(help="Gate patients.")] = 300,
    seed: Annotated[int, typer.Option(help="Of the random numbers.")] = 0,
) -> None:
    """Simulate the gate and write down how often it errs."""
    save(simulate(Simulation(runs=runs, seed=seed, population=Population(patients=patients))), out)


if __name__ == "__main__":
    typer.run(main)
