"""What the record, the bundle, the report and the model card say of a model's descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from compress import metrics
from compress.gate import gate
from compress.improve.parent import Parent
from compress.improve.pool import Pool
from compress.judgement import Court
from compress.options.gate import Margins
from compress.predictions import Predictions

_ASKS_NOTHING = Margins(1.0, 1.0, 1.0)
_LEFT_OUT = ("roc", "by_body_part", "by_view")


def lineage(parent: Parent, pool: Pool, court: Court) -> dict[str, Any]:
    """Parent, added cases, and released against improved checkpoint on old and new gate patients (JSON-safe).

    old, new: released and improved, each a MetricsReport without its parts and curve, at the locked points;
    differences, the paired checks: improved minus released with one-sided bounds, here without a margin.
    """
    assert court.released is not None
    kinds = {"old": court.released.old, "new": court.released.new}
    return {
        "parent": parent.identity,
        "added": pool.facts,
        "confidence": court.confidence,
        **{kind: _compared(released, court) for kind, released in kinds.items()},
    }


def _compared(released: Predictions, court: Court) -> dict[str, Any]:
    improved = court.reference.subset(np.isin(court.reference.case_ids, released.case_ids))
    verdict = gate(released, improved, court.points, _ASKS_NOTHING, court.confidence)
    return {
        "released": _figures(released, court),
        "improved": _figures(improved, court),
        "differences": [check.to_json() for check in verdict.whole],
    }


def _figures(predictions: Predictions, court: Court) -> dict[str, Any]:
    table = metrics.measure(predictions, court.points, court.confidence).to_json()
    return {name: value for name, value in table.items() if name not in _LEFT_OUT}
