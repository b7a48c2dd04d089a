"""What a network that is told facts of the patient makes of patients of whom it is told nothing.

Measured and written down, not judged: the gates compare what ships with the checkpoint as both will be asked.
Beside it stands how far the facts go without any picture. Body part, view and age tell much of who is likely
to be fractured in a data set, and little of whether this patient is: a network whose figures live off them
would repeat how its hospital chose whom to examine. What it can do withheld is what it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from compress.answers import Answer, collect
from compress.datasets.base import Case
from compress.evaluate import nothing_known, predict
from compress.gate import Check, gate
from compress.judgement import Court
from compress.metadata import vectors
from compress.metrics import measure
from compress.options.gate import Margins
from compress.predictions import Predictions
from compress.workbench import Workbench
from runtime.backends.base import Backend
from runtime.findings import Verdict
from runtime.metadata import MetadataSpec


def examine_facts(bench: Workbench, court: Court, backend: Backend) -> dict[str, Any]:
    """JSON-safe; {} for a network that looks at the picture alone. backend: the original checkpoint.

    spec: the facts it takes. known: by field, of how many gate images something is. told, withheld: figures
    on the gate patients. difference: withheld minus told, paired, with one-sided bounds. facts_alone: AUROC
    of a logistic regression on the facts, fitted on the fit patients.
    """
    spec = court.spec.metadata
    if spec is None:
        return {}
    with bench.reporter.task("facts withheld") as advance:
        withheld = predict(backend, court.spec, court.tensors, court.cases, advance, nothing_known)
    alone = measure(facts_alone(spec, bench.splits.fit, court.cases), court.points, court.confidence)
    compared = gate(court.reference, withheld, court.points, Margins(), court.confidence)
    return {
        "spec": asdict(spec),
        "known": _known(spec, court.cases),
        "told": _figures(court.reference, court),
        "withheld": _figures(withheld, court),
        "difference": [_numbers(check) for check in compared.whole],
        "facts_alone": asdict(alone.auroc),
    }


def _figures(predictions: Predictions, court: Court) -> dict[str, Any]:
    table = measure(predictions, court.points, court.confidence).to_json()
    table.pop("roc", None)
    return table


def _numbers(check: Check) -> dict[str, Any]:
    """No outcome: nothing is decided here."""
    names = ("title", "n", "reference", "candidate", "difference", "lower_bound", "upper_bound")
    return {name: getattr(check, name) for name in names}


def _known(spec: MetadataSpec, cases: tuple[Case, ...]) -> dict[str, int]:
    told = vectors(spec, cases)
    return {name: int(told[:, columns].any(axis=1).sum()) for name, columns in spec.columns.items()}


def facts_alone(spec: MetadataSpec, fit: Sequence[Case], cases: Sequence[Case]) -> Predictions:
    """What a logistic regression on the facts of the fit patients makes of other cases, without a picture."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(vectors(spec, fit), [case.label for case in fit])
    logits = np.asarray(model.decision_function(vectors(spec, cases)), np.float64)
    return collect(
        [Answer(case, Verdict.NONE, float(logit)) for case, logit in zip(cases, logits, strict=True)]
    )
