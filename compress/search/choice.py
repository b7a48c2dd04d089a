"""Which trials no other beats, and which of them the search file's rule takes. Pure.

The loss of a trial is its loss_bound where all trials begin with the same network. Trials of different
networks have no common reference; there it is how far the lower bound of its AUROC lies below the best one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compress.search.outcome import DONE, FIGURES, Outcome
from compress.search.plan import SearchPlan


@dataclass(frozen=True)
class Chosen:
    """front: numbers of the trials that no other beats. number: of the chosen one, None for none."""

    front: tuple[int, ...]
    number: int | None
    sentence: str


def choose(plan: SearchPlan, outcomes: Sequence[Outcome]) -> Chosen:
    """Apply the rule; equal ones are told apart by the other objectives, then by their number."""
    best = front(outcomes, plan.options.objectives)
    start = _start(len(outcomes), len(best))
    if not best:
        return Chosen((), None, f"None of {len(outcomes)} trials has figures to choose by.")
    losses = {
        outcome.number: loss for outcome, loss in zip(best, losses_of(plan, outcomes, best), strict=True)
    }
    left = [outcome for outcome in best if losses[outcome.number] <= plan.choice.most_loss]
    numbers = tuple(outcome.number for outcome in best)
    if not left:
        least = min(best, key=lambda outcome: losses[outcome.number])
        return Chosen(numbers, None, f"{start}; {_none_left(plan, least, losses[least.number])}")
    taken = min(left, key=lambda outcome: _rank(plan, outcome))
    return Chosen(numbers, taken.number, f"{start}; {_taken(plan, taken)}")


def front(outcomes: Sequence[Outcome], objectives: tuple[str, ...]) -> list[Outcome]:
    """Trials that no other beats: none is at least as good in every objective and better in one."""
    done = [outcome for outcome in outcomes if outcome.status == DONE]
    costs = {outcome.number: _costs(outcome, objectives) for outcome in done}
    return [one for one in done if not any(_beats(costs[two.number], costs[one.number]) for two in done)]


def losses_of(plan: SearchPlan, outcomes: Sequence[Outcome], of: Sequence[Outcome]) -> list[float]:
    """As the module says."""
    if plan.shares_reference:
        return [outcome.figures["loss_bound"] for outcome in of]
    top = max(outcome.figures["auroc_bound"] for outcome in outcomes if outcome.status == DONE)
    return [top - outcome.figures["auroc_bound"] for outcome in of]


def _start(trials: int, best: int) -> str:
    return f"Of {trials} trials {best} {'is' if best == 1 else 'are'} not beaten by any other"


def _loss_words(plan: SearchPlan) -> str:
    return "loss bound" if plan.shares_reference else "distance from the best AUROC bound"


def _none_left(plan: SearchPlan, least: Outcome, loss: float) -> str:
    return (
        f"none is chosen, since no {_loss_words(plan)} is at most {plan.choice.most_loss:g}: the least is "
        f"{loss:.3f} (trial {least.number})."
    )


def _taken(plan: SearchPlan, taken: Outcome) -> str:
    figure = FIGURES[plan.choice.prefer]
    value = figure.text.format(taken.figures[plan.choice.prefer])
    params = ", ".join(f"{key} = {show(item)}" for key, item in taken.params.items())
    return (
        f"trial {taken.number} is {figure.best} ({value}) of those whose {_loss_words(plan)} is at most "
        f"{plan.choice.most_loss:g}: {params}."
    )


def show(value: object) -> str:
    """A parameter for people."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rank(plan: SearchPlan, outcome: Outcome) -> tuple[float, ...]:
    order = (plan.choice.prefer, *plan.options.objectives)
    return (*_costs(outcome, order), float(outcome.number))


def _costs(outcome: Outcome, objectives: tuple[str, ...]) -> tuple[float, ...]:
    """The figures turned so that less is better."""
    return tuple(
        -outcome.figures[name] if FIGURES[name].maximise else outcome.figures[name] for name in objectives
    )


def _beats(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
    return one != two and all(a <= b for a, b in zip(one, two, strict=True))
