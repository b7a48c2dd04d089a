"""How often a box that watches itself is wrong, and how soon it is right: simulated sites, two years each.

`python -m benchmarks.drift_alarms --runs 1000 --out benchmarks/results/drift-alarms.json`

A site has so many pictures a week, in examinations of one to three. The logits of each class have the
quantiles that the reference model's have on its 533 gate radiographs, and pictures of one examination are
alike (by a Gaussian copula); so are the pictures that a bundle's expected answers were counted on, which are
drawn anew for every site, with another prevalence. The program's own method (runtime.drift) watches.

    nothing          all weeks are drawn alike: whatever alarm there is, is false
    seasons          the prevalence swings over the year; refusals and scores of each class stay as they are
    refusals x 2     from the week of the change on, twice as many pictures are refused
    scores + 0.5     the logits of all pictures rise by 0.5, or fall (- 0.5)
    contrast x 0.9   every logit is 10% nearer to zero, as behind a dirty detector

False alarms are counted over two years of a site, delays from the week of the change to the alarm; an alarm
before the change is false too and its site is left out of the delays. Empty weeks, clocks that jump and sites
that differ from the gate patients from the first day are not part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.results import Result, Row, save
from compress.intervals import two_sided_z, wilson
from runtime.drift import BundleReference, Drift, DriftOptions, WeekOfAnswers, watch
from runtime.expected import ExpectedAnswers, count_answers
from runtime.findings import OperatingPoints

_VIEWS, _VIEW_SHARES = (1, 2, 3), (0.5, 0.4, 0.1)
SHARES = (0.0, 0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 1.0)
_QUARTILES = (0.25, 0.5, 0.75)
_WEEKS_A_YEAR = 52
_RANKS = np.linspace(0.0005, 0.9995, 2001)
_NORMALS = np.array([NormalDist().inv_cdf(rank) for rank in _RANKS])
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Site:
    """Who comes. pictures: a week. prevalence: of fractures among examinations, `season` up and down over a
    year. refused: share of pictures. healthy, fractured: the logits' quantiles at SHARES. alike: correlation
    of two pictures of one examination, before they are given these quantiles. points: of the bundle.
    """

    pictures: int = 100
    prevalence: float = 0.12
    season: float = 0.0
    refused: float = 0.04
    healthy: tuple[float, ...] = (
        *(-5.57, -4.99, -4.60, -4.20, -3.97, -3.72, -3.49, -3.28, -2.84, -2.13, -1.29, 0.16, 1.78),
    )
    fractured: tuple[float, ...] = (
        *(-4.04, -4.00, -2.55, -0.86, -0.15, 1.23, 2.22, 2.80, 3.35, 4.13, 5.12, 5.92, 7.52),
    )
    alike: float = 0.5
    points: OperatingPoints = field(default_factory=lambda: OperatingPoints(0.0623, 0.4364))


@dataclass(frozen=True)
class Change:
    """What happens: refusals times `refusals`, logits times `contrast` plus `shift`."""

    name: str = "nothing"
    refusals: float = 1.0
    contrast: float = 1.0
    shift: float = 0.0


CHANGES = (
    Change("refusals x 2", refusals=2.0),
    Change("scores + 0.5", shift=0.5),
    Change("scores - 0.5", shift=-0.5),
    Change("contrast x 0.9", contrast=0.9),
)


@dataclass(frozen=True)
class Simulation:
    """runs: sites without a change. changed_runs: sites with one, from week `at` on. season: of the sites
    that have seasons. gate_patients, gate_each, gate_prevalence: what the bundle's expected answers are
    counted on.
    """

    runs: int = 1000
    changed_runs: int = 300
    weeks: int = 2 * _WEEKS_A_YEAR
    at: int = 40
    seed: int = 0
    gate_patients: int = 60
    gate_each: int = 8
    gate_prevalence: float = 0.17
    season: float = 0.06
    site: Site = field(default_factory=Site)
    options: DriftOptions = field(default_factory=DriftOptions)


def simulate(simulation: Simulation, pictures: Sequence[int] = (20, 100, 500)) -> Result:
    """One row a volume and change: the share of sites with a false alarm, and when a true one came."""
    rows: list[Row] = []
    for each in pictures:
        here = replace(simulation, site=replace(simulation.site, pictures=each))
        seasons = replace(here, site=replace(here.site, season=simulation.season))
        rows += [_false_alarms("nothing", here), _false_alarms("seasons", seasons)]
        rows += [_delays(change, here) for change in CHANGES]
    settings = {name: value for name, value in asdict(simulation).items() if name not in ("site", "options")}
    site = {name: value for name, value in asdict(simulation.site).items() if name != "pictures"}
    return Result("drift alarms", tuple(rows), {**settings, **site, **asdict(simulation.options)})


def one_site(simulation: Simulation, change: Change, rng: np.random.Generator) -> Drift:
    """Two years of one site, watched from the first week on."""
    site = simulation.site
    expected = _expected(simulation, rng)
    weeks = [
        _week(site, number, change if number >= simulation.at else Change(), rng)
        for number in range(simulation.weeks)
    ]
    return watch(weeks, BundleReference(expected, site.points, simulation.options), simulation.options)


def _false_alarms(name: str, simulation: Simulation) -> Row:
    rng = _rng(simulation, name)
    found = [one_site(simulation, Change(), rng).alarms for _ in range(simulation.runs)]
    false = sum(map(bool, found))
    return _row(simulation, name, (false, simulation.runs), [])


def _delays(change: Change, simulation: Simulation) -> Row:
    rng = _rng(simulation, change.name)
    firsts = [
        min((alarm.week for alarm in one_site(simulation, change, rng).alarms), default=math.inf)
        for _ in range(simulation.changed_runs)
    ]
    delays = [first - simulation.at + 1 for first in firsts if first >= simulation.at]
    return _row(simulation, change.name, (len(firsts) - len(delays), len(firsts)), delays)


def _row(simulation: Simulation, name: str, false: tuple[int, int], delays: list[float]) -> Row:
    """told: share of the delays that end within the time left. weeks: quartiles, None beyond it."""
    low, high = wilson(false[0] / false[1], false[1], two_sided_z(0.95))
    quartiles = np.quantile(delays, _QUARTILES, method="inverted_cdf").tolist() if delays else [math.inf] * 3
    return {
        "pictures a week": simulation.site.pictures,
        "change": name,
        "sites": false[1],
        "false alarms": false[0],
        "false alarm rate": false[0] / false[1],
        "false alarm rate 95%": [low, high],
        "told": float(np.isfinite(delays).mean()) if delays else None,
        "weeks to alarm (25, 50, 75%)": [int(each) if math.isfinite(each) else None for each in quartiles],
    }


def _rng(simulation: Simulation, name: str) -> np.random.Generator:
    """Each row has random numbers of its own, whatever other rows there are."""
    return np.random.default_rng([simulation.seed, simulation.site.pictures, *name.encode()])


def _expected(simulation: Simulation, rng: np.random.Generator) -> ExpectedAnswers:
    site = simulation.site
    owners = np.repeat(np.arange(simulation.gate_patients), simulation.gate_each)
    broken = rng.random(simulation.gate_patients) < simulation.gate_prevalence
    logits = _logits(site, broken[owners], owners, rng)
    healthy, fractured = (
        count_answers(logits[broken[owners] == truth], site.points) for truth in (False, True)
    )
    return ExpectedAnswers(simulation.gate_patients, 0, healthy, fractured)


def _week(site: Site, number: int, change: Change, rng: np.random.Generator) -> WeekOfAnswers:
    views = rng.choice(
        _VIEWS, size=max(1, round(site.pictures / np.dot(_VIEWS, _VIEW_SHARES))), p=_VIEW_SHARES
    )
    owners = np.repeat(np.arange(len(views)), views)
    prevalence = site.prevalence + site.season * math.sin(2 * math.pi * number / _WEEKS_A_YEAR)
    broken = rng.random(len(views)) < prevalence
    logits = change.contrast * _logits(site, broken[owners], owners, rng) + change.shift
    refused = rng.random(len(owners)) < min(1.0, site.refused * change.refusals)
    cut = math.log(site.points.high_sensitivity / (1 - site.points.high_sensitivity))
    quiet = ~refused & (logits < cut)
    shares = np.bincount(owners, weights=refused) / views
    return WeekOfAnswers(shares, np.zeros(len(views)), logits[quiet], owners[quiet])


def _logits(
    site: Site, broken: NDArray[np.bool_], owners: NDArray[np.int64], rng: np.random.Generator
) -> Floats:
    """(N,) of pictures, alike within each owner."""
    common, own = rng.standard_normal(owners.max() + 1)[owners], rng.standard_normal(len(owners))
    noise = math.sqrt(site.alike) * common + math.sqrt(1 - site.alike) * own
    ranks = np.interp(noise, _NORMALS, _RANKS)
    healthy, fractured = (np.interp(ranks, SHARES, given) for given in (site.healthy, site.fractured))
    return np.asarray(np.where(broken, fractured, healthy), np.float64)


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    runs: Annotated[int, typer.Option(help="Sites without a change.")] = 1000,
    changed_runs: Annotated[int, typer.Option(help="Sites with each change.")] = 300,
    pictures: Annotated[list[int] | None, typer.Option(help="A week; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers.")] = 0,
) -> None:
    """Simulate sites and write down how often they were alarmed, and when."""
    simulation = Simulation(runs=runs, changed_runs=changed_runs, seed=seed)
    save(simulate(simulation, tuple(pictures or (20, 100, 500))), out)


if __name__ == "__main__":
    typer.run(main)
