"""The trials of a search, drawn by Optuna and kept in its database.

A trial's parameters depend on the seed, on its number and on the batches before it, on nothing else: every
trial is drawn by a new sampler with a seed of its own, in a copy of the study in memory, and then written in
one transaction. So a search that was killed at any point draws the same trials when it goes on. Results are
told in the order of the numbers, after the whole batch has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from compress.search.outcome import DONE, FIGURES, Outcome
from compress.search.plan import SearchPlan
from compress.search.space import Params
from runtime.errors import StepError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

FILE = "search.sqlite"
_IDENTITY = "identity"
Direction = Literal["minimize", "maximize"]


class Trials:
    """The trials drawn so far."""

    def __init__(self, folder: Path, plan: SearchPlan) -> None:
        """Raises StepError where the folder holds another search, or a database that cannot be read."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self._plan = plan
        self._distributions = {key: one.distribution() for key, one in plan.space.items()}
        self._study = _open(folder, plan)

    def draw(self, batch: int) -> list[Params]:
        """The parameters of all trials of a batch (0 is the first); those drawn before as they were."""
        size = self._plan.options.batch
        for number in range(len(self._study.trials), (batch + 1) * size):
            self._study.add_trial(self._next(number))
        return [dict(trial.params) for trial in self._study.trials[batch * size : (batch + 1) * size]]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """What became of a batch. Only a trial that is done has values, the sampler learns from no other."""
        from optuna.trial import TrialState

        for outcome in sorted(outcomes, key=lambda one: one.number):
            done = outcome.status == DONE
            values = outcome.values(self._plan.options.objectives) if done else None
            state = TrialState.COMPLETE if done else TrialState.FAIL
            self._study.tell(outcome.number, values, state, skip_if_finished=True)

    def _next(self, number: int) -> FrozenTrial:
        import optuna
        from optuna.trial import TrialState

        seed = int(np.random.SeedSequence((self._plan.options.seed, number)).generate_state(1)[0])
        copy = optuna.create_study(sampler=_sampler(self._plan, seed), directions=directions(self._plan))
        copy.add_trials(self._study.trials)
        asked = copy.ask(self._distributions)
        drawn = copy.trials[asked.number]
        return optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=drawn.params,
            distributions=drawn.distributions,
            system_attrs=drawn.system_attrs,
        )


def directions(plan: SearchPlan) -> list[Direction]:
    """As Optuna calls them, one an objective."""
    return ["maximize" if FIGURES[name].maximise else "minimize" for name in plan.options.objectives]


def _sampler(plan: SearchPlan, seed: int) -> BaseSampler:
    from optuna import samplers

    options = plan.options
    if options.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    if options.sampler == "nsga2":
        return samplers.NSGAIISampler(population_size=max(2, options.batch), seed=seed)
    # The trials beside are counted as bad ones for now, so that a batch does not ask one question twice.
    return samplers.TPESampler(seed=seed, constant_liar=True)


def _open(folder: Path, plan: SearchPlan) -> Study:
    import optuna

    try:
        study = optuna.create_study(
            storage=f"sqlite:///{folder / FILE}",
            study_name="search",
            directions=directions(plan),
            load_if_exists=True,
        )
        known: Any = study.user_attrs.get(_IDENTITY)
        if known is None:
            study.set_user_attr(_IDENTITY, plan.identity)
    except Exception as error:  # a file that is no database: the libraries below raise classes of their own
        raise StepError(
            f"cannot use {folder / FILE}: {error}", "give the search another folder with --out"
        ) from error
    if known not in (None, plan.identity):
        raise StepError(
            f"{folder} holds another search than {plan.name} describes",
            "only trials, retries, gate and [choice] may change; give another folder with --out",
        )
    return study
