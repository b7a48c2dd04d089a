"""What the gate patients at hand can show, before hours are spent.

A gate rules out a loss only where its patients are many enough. Two answers for each figure, from the same
bounds that the gate sets (compress.paired, compress.auroc):

    at best     Candidate and reference agree on every case: the smallest loss that is then ruled out. No
                model that is only as good as the reference can be shown to keep a smaller margin.
    typically   The two are equally good, and a share of the decisions changes: the smallest margin that is
                then shown with the power asked for. Simulated: changed decisions go either way, on images
                drawn at random; scores follow the binormal model (Green and Swets, "Signal Detection Theory
                and Psychophysics", 1966), those of one patient's images are correlated.

Each figure is looked at alone, by its bounds. A gate asks for all of them, and for a second opinion (patients
drawn anew) besides: it passes less often than the figure that passes least often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress import auroc
from compress.datasets.base import Case
from compress.intervals import Floats, one_sided_z
from compress.options.gate import Margins
from compress.paired import compare_shares, tango_lower
from compress.predictions import Predictions, Strings
from compress.recipe import Recipe
from runtime.errors import StepError

MOST_PATIENTS = 10_000
"""Where more than these would be needed on a side, no number is worked out."""
AUROC, SENSITIVITY, SPECIFICITY = "auroc", "sensitivity", "specificity"
SIDES = {
    AUROC: "patients with and as many without a fracture",
    SENSITIVITY: "patients with a fracture",
    SPECIFICITY: "patients without a fracture",
}
"""Whose number limits a figure."""
_TITLES = {AUROC: "AUROC"}
_FEWEST = 2
"""Patients on either side without whom an AUROC has no bound."""
_SEARCHES = 8
_REMEMBERED = 64
_CLOSE_ENOUGH = 0.97


@dataclass(frozen=True)
class Layout:
    """How many fractured and how many healthy images each patient has who has any; order means nothing.

    A patient with images of both kinds counts on both sides.
    """

    fractured: tuple[int, ...]
    healthy: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, sizes in vars(self).items():
            if not sizes or min(sizes) < 1:
                raise ValueError(f"there must be {name} images, at least one of each patient on that side")

    @classmethod
    def of_images(cls, labels: NDArray[np.int64], patients: Strings) -> Layout:
        """Of labelled images (N,) and their patients. Raises ValueError where a label is missing."""
        sides = (np.unique(patients[labels == label], return_counts=True)[1] for label in (1, 0))
        return cls(*(tuple(counts.tolist()) for counts in sides))

    @classmethod
    def of_numbers(cls, fractured: int, healthy: int, patients: int) -> Layout:
        """Images of either kind, spread evenly over patients, each on one side. Raises ValueError."""
        problems = [
            words
            for words, wrong in (
                (f"fractured images must be at least 1, got {fractured}", fractured < 1),
                (f"healthy images must be at least 1, got {healthy}", healthy < 1),
                (
                    f"patients must be 2 to the number of images, got {patients}",
                    not 2 <= patients <= max(2, fractured + healthy),
                ),
            )
            if wrong
        ]
        if problems:
            raise ValueError("; ".join(problems))
        share = round(patients * fractured / (fractured + healthy))
        ill = min(max(share, 1, patients - healthy), fractured, patients - 1)
        return cls(_spread(fractured, ill), _spread(healthy, patients - ill))

    def patients(self, figure: str) -> int:
        """On the side, or the smaller side, that limits a figure."""
        sides = {SENSITIVITY: (self.fractured,), SPECIFICITY: (self.healthy,)}
        return min(len(sizes) for sizes in sides.get(figure, (self.fractured, self.healthy)))

    def images(self, figure: str) -> int:
        """That the figure is over."""
        counts = {SENSITIVITY: sum(self.fractured), SPECIFICITY: sum(self.healthy)}
        return counts.get(figure, sum(counts.values()))

    def with_at_least(self, patients: int) -> Layout:
        """As many patients on either side, each further one like one who is there."""
        return Layout(_filled(self.fractured, patients), _filled(self.healthy, patients))


@dataclass(frozen=True)
class Assumptions:
    """changed: share of decisions that differ typically. agreement: correlation of the two models' scores.

    area: AUROC of the reference; sensitivity, specificity: its others, for margins that are a share of them.
    alike: correlation of scores of one patient's images. power: chance to pass. draws: simulated pairs.
    """

    changed: float = 0.02
    agreement: float = 0.98
    area: float = 0.93
    sensitivity: float = 0.95
    specificity: float = 0.95
    alike: float = 0.5
    power: float = 0.8
    confidence: float = 0.95
    draws: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"changed": 0.0, "agreement": 0.0, "area": 0.5, "power": 0.0}
        problems = [
            f"{name} must lie between {low:g} and 1, got {getattr(self, name):g}"
            for name, low in least.items()
            if not low < getattr(self, name) < 1
        ]
        if problems:
            raise ValueError("; ".join(problems))

    def reference(self, figure: str) -> float:
        """The reference's figure."""
        return self.area if figure == AUROC else float(getattr(self, figure))


@dataclass(frozen=True)
class FigurePower:
    """What can be shown of one figure.

    margin: the recipe's, as a difference. patients, images: that there are. best, typical: the smallest loss
    that can be ruled out. needed_at_best, needed: patients on that side for the margin, None for a margin
    that no number shows, or more than MOST_PATIENTS.
    """

    figure: str
    margin: float
    patients: int
    images: int
    best: float
    typical: float
    needed_at_best: int | None
    needed: int | None

    @property
    def title(self) -> str:
        """What a person calls it."""
        return _TITLES.get(self.figure, self.figure)

    @property
    def possible(self) -> bool:
        """Whether two models that agree on every case pass."""
        return self.best < self.margin or self.margin >= 1

    @property
    def likely(self) -> bool:
        """Whether two equally good models pass with the power asked for."""
        return self.typical < self.margin or self.margin >= 1

    def to_json(self) -> dict[str, Any]:
        """As the record holds it."""
        return {"title": self.title, **asdict(self), "possible": self.possible, "likely": self.likely}


@dataclass(frozen=True)
class Need:
    """Patients that a margin asks for, the same in every figure, and how many more these are than there are.

    None: no number up to MOST_PATIENTS shows it.
    """

    margin: float
    fractured: int | None
    healthy: int | None
    more_fractured: int | None
    more_healthy: int | None


@dataclass(frozen=True)
class Power:
    """What patients can show of each figure, and what another margin would need at best and typically."""

    figures: tuple[FigurePower, ...]
    need_at_best: Need
    need: Need
    assumptions: Assumptions

    @property
    def conclusion(self) -> str:
        """One sentence."""
        return _conclusion(self)

    def to_json(self) -> dict[str, Any]:
        """As the record holds it."""
        return {
            "figures": [figure.to_json() for figure in self.figures],
            "need_at_best": asdict(self.need_at_best),
            "need": asdict(self.need),
            "assumptions": asdict(self.assumptions),
            "conclusion": self.conclusion,
        }


def power(
    layout: Layout, margins: Margins, wanted: float = 0.02, assumptions: Assumptions = Assumptions()
) -> Power:
    """What these patients can show of the margins, and how many a margin of `wanted` would need.

    Raises ValueError where `wanted` does not lie between 0 and 1.
    """
    if not 0 < wanted < 1:
        raise ValueError(f"the wanted margin must lie between 0 and 1, got {wanted:g}")
    looks = [_Look(figure, layout, assumptions) for figure in SIDES]
    found = (look.at(margins.absolute(look.figure, assumptions.reference(look.figure))) for look in looks)
    return Power(
        tuple(found),
        _need(layout, wanted, [look.needed_at_best(wanted) for look in looks]),
        _need(layout, wanted, [look.needed(wanted) for look in looks]),
        assumptions,
    )


def power_of_cases(
    cases: Sequence[Case], recipe: Recipe, wanted: float = 0.02, assumptions: Assumptions = Assumptions()
) -> Power:
    """What these gate cases can show of the recipe's margins, at its confidence and operating points.

    Raises StepError where they are all fractured or all healthy.
    """
    labels = np.array([case.label for case in cases], np.int64)
    patients = np.array([case.patient_id for case in cases], np.str_)
    try:
        layout = Layout.of_images(labels, patients)
    except ValueError as error:
        raise StepError(f"the gate patients show nothing: {error}", "bring more gate patients") from error
    return power(layout, recipe.gate.margins, wanted, assuming(recipe, assumptions))


def assuming(recipe: Recipe, assumptions: Assumptions = Assumptions()) -> Assumptions:
    """With the confidence and the operating points of a recipe."""
    points = recipe.operating_points
    return replace(
        assumptions,
        sensitivity=points.sensitivity,
        specificity=points.specificity,
        confidence=recipe.gate.confidence,
    )


@dataclass(frozen=True)
class _Look:
    """One figure on these patients."""

    figure: str
    layout: Layout
    assumptions: Assumptions

    def at(self, margin: float) -> FigurePower:
        return FigurePower(
            self.figure,
            margin,
            self.layout.patients(self.figure),
            self.layout.images(self.figure),
            best_loss(self.figure, self.layout, self.assumptions),
            self._typical(self.layout.patients(self.figure)),
            self.needed_at_best(margin),
            self.needed(margin),
        )

    def needed_at_best(self, margin: float) -> int | None:
        """From z^2 / (n + z^2), times what a patient can cost."""
        unseen = one_sided_z(self.assumptions.confidence) ** 2
        cost = self.assumptions.area - 0.5 if self.figure == AUROC else 1.0
        if margin <= 0:
            return None
        least = _FEWEST if self.figure == AUROC else 1
        number = max(least, math.floor(unseen * (cost / margin - 1)) + 1) if margin < 1 else least
        return number if number <= MOST_PATIENTS else None

    def needed(self, margin: float) -> int | None:
        """Patients with whom it is typically shown; as many as there are where they suffice."""
        least, there = self.needed_at_best(margin), self.layout.patients(self.figure)
        if least is None:
            return None
        if margin >= 1 or self._typical(there) < margin:
            return there
        return _smallest(self._typical, max(least, there), margin)

    def _typical(self, patients: int) -> float:
        return typical_loss(self.figure, self.layout.with_at_least(patients), self.assumptions)


def best_loss(figure: str, layout: Layout, assumptions: Assumptions) -> float:
    """The smallest loss that is ruled out where candidate and reference agree on every case."""
    count = layout.patients(figure)
    if figure == AUROC and count < _FEWEST:
        return 1.0
    if figure == AUROC:
        return auroc.unseen_change(assumptions.area, count, assumptions.confidence)
    return -tango_lower(0, 0, count, one_sided_z(assumptions.confidence))


@lru_cache(maxsize=_REMEMBERED)
def typical_loss(figure: str, layout: Layout, assumptions: Assumptions) -> float:
    """The smallest margin that two equally good models are shown to keep, with the power assumed."""
    sizes = layout.fractured if figure == SENSITIVITY else layout.healthy
    drawn = _area_losses(layout, assumptions) if figure == AUROC else _share_losses(sizes, assumptions)
    return float(np.quantile(drawn, assumptions.power, method="higher"))


def _share_losses(sizes: tuple[int, ...], assumptions: Assumptions) -> list[float]:
    """The loss that stays possible in each draw; half of the changed decisions become right, half wrong."""
    patients = np.repeat(np.arange(len(sizes)), sizes)
    # Changes fall on different patients as long as there are any: they are drawn at random.
    order = np.argsort(np.concatenate([np.arange(size) for size in sizes]), kind="stable")
    rng, half = np.random.default_rng(assumptions.seed), assumptions.changed / 2
    counts = rng.multinomial(len(patients), [half, half, 1 - 2 * half], assumptions.draws)
    names = patients.astype(np.str_)

    @cache
    def loss(gained: int, lost: int) -> float:
        before, after = np.ones(len(patients), bool), np.ones(len(patients), bool)
        before[order[:gained]] = False
        after[order[gained : gained + lost]] = False
        return -compare_shares(before, after, names, assumptions.confidence).lower

    return [loss(gained, lost) for gained, lost, _ in counts.tolist()]


def _area_losses(layout: Layout, assumptions: Assumptions) -> list[float]:
    """The same for the AUROC of scores that follow the binormal model."""
    sizes = (*layout.fractured, *layout.healthy)
    patients = np.repeat(np.arange(len(sizes)), sizes)
    labels = (patients < len(layout.fractured)).astype(np.int64)
    names = patients.astype(np.str_)
    rng, share = np.random.default_rng(assumptions.seed), assumptions.agreement
    means = np.asarray(math.sqrt(2) * NormalDist().inv_cdf(assumptions.area) * labels, np.float64)
    numbers = np.arange(len(labels)).astype(np.str_)
    blank = Predictions(numbers, names, np.full(len(labels), ""), labels, means)
    losses = []
    for _ in range(assumptions.draws):
        common, own = (_noise(patients, assumptions.alike, rng) for _ in range(2))
        reference = replace(blank, logits=means + common)
        candidate = replace(blank, logits=means + share * common + math.sqrt(1 - share**2) * own)
        losses.append(-auroc.compare(reference, candidate, assumptions.confidence).lower)
    return losses


def _noise(patients: NDArray[np.intp], alike: float, rng: np.random.Generator) -> Floats:
    """(N,) standard normal, correlated within a patient."""
    common = rng.standard_normal(int(patients.max()) + 1)[patients]
    return math.sqrt(alike) * common + math.sqrt(1 - alike) * rng.standard_normal(len(patients))


def _smallest(loss: Callable[[int], float], start: int, margin: float) -> int | None:
    """About the fewest patients whose loss lies below the margin: losses fall with the root of the number."""
    enough: int | None = None
    number = start
    for _ in range(_SEARCHES):
        ratio = loss(number) / margin
        if ratio < 1:
            enough = number if enough is None else min(enough, number)
        if _CLOSE_ENOUGH <= ratio < 1:
            break
        # A little more than the root says, or the search would end just short of the margin.
        number = max(start, math.ceil(number * min(ratio * 1.01, 4.0) ** 2))
        if number > MOST_PATIENTS:
            break
    return enough


def _need(layout: Layout, margin: float, numbers: list[int | None]) -> Need:
    """numbers: for AUROC, sensitivity and specificity; AUROC asks for its number on both sides."""
    area, ill, well = numbers
    fractured, healthy = _larger(area, ill), _larger(area, well)
    return Need(
        margin,
        fractured,
        healthy,
        None if fractured is None else max(0, fractured - len(layout.fractured)),
        None if healthy is None else max(0, healthy - len(layout.healthy)),
    )


def _larger(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else max(first, second)


def _conclusion(found: Power) -> str:
    hopeless = [item for item in found.figures if not item.possible]
    if hopeless:
        said = "; ".join(f"{item.title} {item.margin:g} ({needed_text(item)})" for item in hopeless)
        return f"Not even two equal models can pass on these patients: {said}."
    unlikely = [item for item in found.figures if not item.likely]
    typical = f"with {100 * found.assumptions.changed:g}% of the decisions changed"
    if unlikely:
        said = "; ".join(f"{item.title} {item.margin:g} ({needed_text(item)})" for item in unlikely)
        return f"Every margin can be shown, but {typical} these would often stay inconclusive: {said}."
    chance = f"in at least {found.assumptions.power:.0%} of the cases"
    return f"Every margin can be shown, and {typical} an equally good model keeps each of them {chance}."


def needed_text(item: FigurePower) -> str:
    """How many patients the margin needs, for people: at best where it cannot be shown, else typically."""
    number = item.needed if item.possible else item.needed_at_best
    if item.margin <= 0:
        return "a gain is asked for, which equal models do not have"
    if number is None:
        return f"more than {MOST_PATIENTS:,} {SIDES[item.figure]} are needed, {item.patients} are here"
    return f"{number} {SIDES[item.figure]} are needed, {item.patients} are here"


def _spread(images: int, patients: int) -> tuple[int, ...]:
    """As evenly as can be."""
    least, over = divmod(images, patients)
    return tuple(least + (number < over) for number in range(patients))


def _filled(sizes: tuple[int, ...], patients: int) -> tuple[int, ...]:
    """Those that are there, and from the first one on again until there are enough."""
    return tuple(sizes[number % len(sizes)] for number in range(max(patients, len(sizes))))
