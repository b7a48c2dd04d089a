"""How often the gate errs: simulated patients, thousands of gates, the rates of both errors.

Scores follow the binormal model (Green and Swets, "Signal Detection Theory and Psychophysics", 1966): a
patient's healthy images score N(0, 1), the fractured ones N(d, 1), images of one patient are correlated, and
so are the scores of reference and candidate on the same image. The candidate's means are moved until its true
loss is exactly what is asked for:

    none         candidate and reference are equally good: a `fail` is a false alarm
    auroc, sensitivity, specificity
                 the true loss in that figure is the margin: a pass of that check is a miss, which the gate
                 promises to happen in at most 1 - confidence of the cases

These rates are those of the bounds, and the gate's second opinion (patients drawn anew) can only turn
a pass into inconclusive. How many sound candidates the whole gate lets through with it is measured on fewer
runs, for it takes long.

Without further options it goes over a grid: few and many patients, one and two images of each, a fair and a
good reference.

`python -m benchmarks.gate_simulation --runs 4000 --out benchmarks/results/gate-simulation.json`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import product
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.results import Result, Row, save
from compress import auroc
from compress.gate import FAIL, INCONCLUSIVE, PASS, gate
from compress.intervals import two_sided_z, wilson
from compress.metrics import sigmoid
from compress.options.gate import Margins
from compress.paired import compare_shares
from compress.predictions import Predictions, Strings
from runtime.findings import OperatingPoints

LOSSES = ("none", "auroc", "sensitivity", "specificity")
CheckName = tuple[str, str]
"""Metric and operating point, "" for none."""
Pair = tuple[Predictions, Predictions]
"""Reference and candidate on the same cases."""
_NORMAL = NormalDist()
_BOTH_POINTS = ("high_sensitivity", "high_specificity")
_BY_BOUNDS, _WHOLE_GATE = "all by their bounds", "whole gate with its second opinion"
_CHECKS = (("auroc", ""), *((metric, point) for metric in LOSSES[2:] for point in _BOTH_POINTS))


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
    """runs: pairs of models for each kind of loss. gates: how many equal pairs the whole gate judges.

    sensitivity, specificity: of the reference at its two points.
    """

    runs: int = 1000
    gates: int = 100
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


@dataclass(frozen=True)
class Grid:
    """Every number of patients with every number of images of each and every AUROC of the reference."""

    patients: tuple[int, ...] = (60, 150, 300)
    images: tuple[int, ...] = (1, 2)
    aurocs: tuple[float, ...] = (0.85, 0.93)

    def populations(self, like: Population) -> Iterator[Population]:
        """All of them; whatever the grid does not name is as in `like`."""
        for patients, images, area in product(self.patients, self.images, self.aurocs):
            yield replace(like, patients=patients, images=images, auroc=area)


def simulate(simulation: Simulation, grid: Grid | None = None) -> Result:
    """One row a population, kind of loss and check: how often it passed, failed, was inconclusive.

    Each row names the error that it counts and the error's rate with a two-sided 95% interval. Without a grid
    the simulation's own population is the only one. Every population has random numbers of its own, so that
    its rows are the same in any grid.
    """
    crowds = (simulation.population,) if grid is None else grid.populations(simulation.population)
    rows = [row for crowd in crowds for row in _of_population(replace(simulation, population=crowd))]
    settings = {
        "runs": simulation.runs,
        "gates": simulation.gates,
        "seed": simulation.seed,
        "confidence": simulation.confidence,
        **{f"margin_{name}": value for name, value in asdict(simulation.margins).items()},
        "agreement": simulation.population.agreement,
        "alike": simulation.population.alike,
    }
    return Result("gate simulation", tuple(rows), settings)


def _of_population(simulation: Simulation) -> Iterator[Row]:
    crowd = simulation.population
    rng = np.random.default_rng([simulation.seed, crowd.patients, crowd.images, round(1000 * crowd.auroc)])
    named = {"patients": crowd.patients, "images each": crowd.images, "reference AUROC": crowd.auroc}
    for loss in LOSSES:
        yield from ({**named, **row} for row in _rows(simulation, loss, rng))


def margin_of(simulation: Simulation, metric: str) -> float:
    """The largest loss allowed, as a difference; a share is one of the reference's true figure."""
    figures = {
        "auroc": simulation.population.auroc,
        "sensitivity": simulation.sensitivity,
        "specificity": simulation.specificity,
    }
    return simulation.margins.absolute(metric, figures[metric])


def shift_for(simulation: Simulation, loss: str, point: str) -> Shift:
    """The move of the means at which the true loss in one figure (at one point) is exactly its margin."""
    d, cut = simulation.population.separation, simulation.cuts[point]
    if loss == "auroc":
        wanted = simulation.population.auroc - margin_of(simulation, "auroc")
        return Shift(fractured=sqrt(2) * _NORMAL.inv_cdf(wanted) - d)
    if loss == "sensitivity":
        wanted = _NORMAL.cdf(d - cut) - margin_of(simulation, "sensitivity")
        return Shift(fractured=_NORMAL.inv_cdf(wanted) + cut - d)
    if loss == "specificity":
        wanted = _NORMAL.cdf(cut) - margin_of(simulation, "specificity")
        return Shift(healthy=cut - _NORMAL.inv_cdf(wanted))
    return Shift()


def draw(simulation: Simulation, shift: Shift, rng: np.random.Generator) -> Pair:
    """Reference and candidate on the same fresh patients; logits are relative to a score of 0."""
    crowd = simulation.population
    labels = np.repeat(np.arange(crowd.patients) % 2, crowd.images)
    common, own = _noise(crowd, rng), _noise(crowd, rng)
    reference = crowd.separation * labels + common
    moved = labels * shift.fractured + (1 - labels) * shift.healthy
    blended = crowd.agreement * common + sqrt(1 - crowd.agreement**2) * own
    candidate = crowd.separation * labels + blended + moved
    return _predictions(crowd, labels, reference), _predictions(crowd, labels, candidate)


def bounds(simulation: Simulation, pair: Pair, check: CheckName) -> tuple[float, float]:
    """Those that the gate sets for one figure of reference and candidate, at one point."""
    reference, candidate = pair
    metric, point = check
    if metric == "auroc":
        change, width = auroc.difference(reference, candidate, simulation.confidence)
        return change - width, change + width
    among = reference.labels == (metric == "sensitivity")
    cut = simulation.cuts[point]
    before, after = ((which.logits >= cut) == (which.labels == 1) for which in pair)
    shares = compare_shares(before[among], after[among], reference.patient_ids[among], simulation.confidence)
    return shares.lower, shares.upper


def _rows(simulation: Simulation, loss: str, rng: np.random.Generator) -> Iterator[Row]:
    if loss == "none":
        yield from _rows_of_equals(simulation, rng)
        return
    for check in (check for check in _CHECKS if check[0] == loss):
        shift = shift_for(simulation, loss, check[1] or _BOTH_POINTS[0])
        outcomes = [_outcome(simulation, draw(simulation, shift, rng), check) for _ in range(simulation.runs)]
        yield _row(loss, _name(check), outcomes)


def _rows_of_equals(simulation: Simulation, rng: np.random.Generator) -> Iterator[Row]:
    """Models that are equally good: each figure, all of them together, and the whole gate."""
    by_check: dict[CheckName, list[str]] = {check: [] for check in _CHECKS}
    for _ in range(simulation.runs):
        pair = draw(simulation, Shift(), rng)
        for check, outcomes in by_check.items():
            outcomes.append(_outcome(simulation, pair, check))
    for check, outcomes in by_check.items():
        yield _row("none", _name(check), outcomes)
    yield _row("none", _BY_BOUNDS, [_worst(each) for each in zip(*by_check.values(), strict=True)])
    yield _row("none", _WHOLE_GATE, [_gated(simulation, rng) for _ in range(simulation.gates)])


def _gated(simulation: Simulation, rng: np.random.Generator) -> str:
    points = OperatingPoints(**{name: float(sigmoid(np.array(cut))) for name, cut in simulation.cuts.items()})
    pair = draw(simulation, Shift(), rng)
    return gate(*pair, points, simulation.margins, simulation.confidence).outcome


def _outcome(simulation: Simulation, pair: Pair, check: CheckName) -> str:
    low, high = bounds(simulation, pair, check)
    margin = margin_of(simulation, check[0])
    if low > -margin:
        return PASS
    return FAIL if high < -margin else INCONCLUSIVE


def _worst(outcomes: tuple[str, ...]) -> str:
    return next((word for word in (FAIL, INCONCLUSIVE) if word in outcomes), PASS)


def _name(check: CheckName) -> str:
    return ", ".join(filter(None, check))


def _row(loss: str, check: str, outcomes: list[str]) -> Row:
    counts, runs = Counter(outcomes), len(outcomes)
    error = FAIL if loss == "none" else PASS
    low, high = wilson(counts[error] / runs, runs, two_sided_z(0.95))
    return {
        "true loss": "none" if loss == "none" else "the margin",
        "check": check,
        "runs": runs,
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
    cases, patients = _ids(crowd.patients, crowd.images)
    return Predictions(cases, patients, np.full(len(labels), "hand"), labels, logits)


@cache
def _ids(patients: int, images: int) -> tuple[Strings, Strings]:
    """Of every image and of its patient; the same in all runs."""
    numbers = np.arange(patients * images)
    return numbers.astype(np.str_), (numbers // images).astype(np.str_)


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    runs: Annotated[int, typer.Option(help="Pairs of models for each kind of loss.")] = 1000,
    patients: Annotated[list[int] | None, typer.Option(help="Gate patients; repeatable.")] = None,
    images: Annotated[list[int] | None, typer.Option(help="Images of each; repeatable.")] = None,
    auroc: Annotated[list[float] | None, typer.Option(help="Of the reference; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers.")] = 0,
) -> None:
    """Simulate the gate over a grid of populations and write down how often it errs."""
    whole = Grid()
    grid = Grid(
        tuple(patients or whole.patients), tuple(images or whole.images), tuple(auroc or whole.aurocs)
    )
    save(simulate(Simulation(runs=runs, seed=seed), grid), out)


if __name__ == "__main__":
    typer.run(main)
