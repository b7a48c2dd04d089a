"""Subgroups of one comparison, and which of their losses count where many are looked at.

With enough subgroups one of them looks worse by chance alone. The p-values of all their checks are therefore
adjusted together: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
Statistics 6 (1979) 65-70. Whatever the dependence between them, the chance that any subgroup fails a gate
although none of them has lost more than it may is then at most 1 - confidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compress.checks import FAIL, INCONCLUSIVE, NOTED, Check, Group
from compress.predictions import Predictions

_LEAST_PATIENTS = 5
"""On fewer a figure is one patient's, and it is shown without being judged."""


def groups(predictions: Predictions) -> Iterator[tuple[Group, NDArray[np.bool_]]]:
    """Body parts, then views, with the mask (N,) of their images; none where there is only one of a kind."""
    parts = sorted(set(predictions.body_parts.tolist()))
    for part in parts if len(parts) > 1 else ():
        yield Group(body_part=part), predictions.body_parts == part
    views = sorted(set(predictions.views.tolist())) if predictions.views is not None else []
    for view in views if len(views) > 1 else ():
        if view:
            yield Group(view=view), np.asarray(predictions.views == view)


def settled(checks: Sequence[Check], confidence: float) -> tuple[Check, ...]:
    """The checks in their order with adjusted p-values; of shown losses only those that withstand it fail."""
    family = {
        index: check.p_value
        for index, check in enumerate(checks)
        if check.p_value is not None and _is_judged(check)
    }
    adjusted = dict(zip(family, holm(list(family.values())).tolist(), strict=True))
    return tuple(
        _adjusted(check, adjusted[index], len(family), confidence)
        if index in adjusted
        else _not_judged(check)
        for index, check in enumerate(checks)
    )


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values (N,) in the order given: each to be compared with the error rate of the family."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _is_judged(check: Check) -> bool:
    """Whether it can fail; one that nothing is asked of must not weigh on the others."""
    return not check.asks_nothing and check.patients >= _LEAST_PATIENTS


def _adjusted(check: Check, p_adjusted: float, family: int, confidence: float) -> Check:
    check = replace(check, p_adjusted=p_adjusted)
    if check.outcome != FAIL:
        return check
    words = f"among {family} subgroup checks: p = {check.p_value:.3g}, adjusted {p_adjusted:.3g}"
    if p_adjusted < 1 - confidence:
        return replace(check, reason=f"{check.reason}, {words}")
    return _withdrawn(check, f"by itself, and not {words}")


def _not_judged(check: Check) -> Check:
    if check.outcome != FAIL or check.difference is None:
        return check
    return _withdrawn(check, f"on {check.patients} patients, too few to be judged apart")


def _withdrawn(check: Check, why: str) -> Check:
    outcome = NOTED if check.is_drift else INCONCLUSIVE
    return replace(check, outcome=outcome, reason=f"{check.reason}, {why}")
