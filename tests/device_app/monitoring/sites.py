"""Made sites: weeks of answers written into a store as the worker would, without any picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import insert

from device_app.store import Store
from device_app.store.models import Examination, Tally
from runtime.findings import OperatingPoints

BUNDLE = "ab" * 32
POINTS = OperatingPoints(high_sensitivity=0.06, high_specificity=0.45)
MONDAY = datetime(2026, 1, 5, 9)
_REASONS = ("unfamiliar", "not_a_radiograph", "no_contrast")


@dataclass(frozen=True)
class Made:
    """Weeks of one site. shift: of all logits. refused: share of the pictures. failed: tries a week."""

    weeks: int = 10
    pictures: int = 60
    start: datetime = MONDAY
    bundle: str = BUNDLE
    shift: float = 0.0
    refused: float = 0.04
    failed: int = 0
    seed: int = 0


def fill(store: Store, made: Made) -> None:
    """Add them, two pictures an examination."""
    rng = np.random.default_rng(made.seed)
    for number in range(made.weeks):
        week = made.start + timedelta(weeks=number)
        with store.database.write() as session:
            rows = [
                {"public_id": f"{made.seed}-{week}-{one}", "received_utc": week, "source": "upload"}
                for one in range((made.pictures + 1) // 2)
            ]
            rows = [{**row, "patient_label": "P 1234"} for row in rows]
            added = session.scalars(insert(Examination).returning(Examination.id), rows).all()
            tallies = [_tally(made, rng, added[one // 2], week, one) for one in range(made.pictures)]
            session.execute(insert(Tally), tallies)
            session.execute(insert(Tally), [_failed(added[0], week)] * made.failed) if made.failed else None


def _tally(
    made: Made, rng: np.random.Generator, examination: int, week: datetime, one: int
) -> dict[str, object]:
    broken = rng.random() < 0.12
    logit = (rng.normal(1.6, 2.5) if broken else rng.gamma(2.4, 0.85) - 5.2) + made.shift
    chance: float | None = float(1 / (1 + np.exp(-logit)))
    refused = rng.random() < made.refused
    times = {"quality": 21.0, "preprocess": 12.5} | ({} if refused else {"infer": float(rng.gamma(30, 1.6))})
    warnings = ["The age of the patient is not known"] if rng.random() < 0.2 else []
    return {
        "examination_id": examination,
        "at_utc": week + timedelta(minutes=5 * one),
        "bundle_sha256": made.bundle,
        "verdict": "unreadable" if refused else str(POINTS.decide(float(chance or 0))),
        "reason": str(rng.choice(_REASONS)) if refused else "",
        "probability": None if refused else chance,
        "engine": "" if refused else "onnxruntime-fp32",
        "detail_json": json.dumps({"warnings": warnings, "timings_ms": times}),
    }


def _failed(examination: int, week: datetime) -> dict[str, object]:
    return {
        "examination_id": examination,
        "at_utc": week + timedelta(days=1),
        "bundle_sha256": "",
        "verdict": "failed",
        "reason": "timeout",
        "probability": None,
        "engine": "",
        "detail_json": "{}",
    }
