"""The trials in the plane of two objectives; those that no other beats are filled and joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress.search.choice import Chosen
from compress.search.outcome import DONE, FIGURES, Outcome
from compress.search.plan import SearchPlan

PICTURE = "search.png"
_INCHES = (7.0, 5.0)
_DOTS_PER_INCH = 120


def draw(plan: SearchPlan, outcomes: Sequence[Outcome], chosen: Chosen, path: Path) -> None:
    """Write a PNG, whole or not at all. With one objective the trials stand by their number."""
    from matplotlib.figure import Figure

    figure = Figure(_INCHES, _DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    across, up = _axes(plan)
    done = [outcome for outcome in outcomes if outcome.status == DONE]
    best = sorted((o for o in done if o.number in chosen.front), key=lambda o: _place(o, across))
    axes.scatter(*_places(done, across, up), facecolors="none", edgecolors="C0", label="trials")
    axes.plot(*_places(best, across, up), "o", color="C0", label="not beaten by any other")
    taken = [outcome for outcome in best if outcome.number == chosen.number]
    if taken:
        axes.plot(*_places(taken, across, up), "*", color="C3", markersize=16, label="chosen")
    for outcome in best:
        axes.annotate(
            str(outcome.number),
            (_place(outcome, across), _place(outcome, up)),
            (5, 5),
            textcoords="offset points",
        )
    axes.set(xlabel=_label(across), ylabel=_label(up), title="figures of calibration patients")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    partial = path.with_name(f"{path.name}.partial")
    figure.savefig(partial, format="png")
    partial.replace(path)


def _axes(plan: SearchPlan) -> tuple[str, str]:
    """What lies across ("" for the number of the trial) and up: the first objective up, the second across."""
    first, *others = plan.options.objectives
    return (others[0] if others else ""), first


def _places(outcomes: Sequence[Outcome], across: str, up: str) -> tuple[list[float], list[float]]:
    return [_place(one, across) for one in outcomes], [_place(one, up) for one in outcomes]


def _place(outcome: Outcome, name: str) -> float:
    return outcome.figures[name] if name else float(outcome.number)


def _label(name: str) -> Any:
    return FIGURES[name].title if name else "trial"
