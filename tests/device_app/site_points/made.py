"""Made clinics: examinations with answers and with what people said of them, without any picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from device_app.agreement import Share
from device_app.site_points.cases import Answered, Case, Evidence, Source, Truth
from device_app.site_points.limits import Promise
from device_app.store import Store
from device_app.store.models import Examination, Image, Job, Reading, Result
from runtime.expected import LOGIT_EDGES, ClassAnswers, ExpectedAnswers
from runtime.findings import Findings, OperatingPoints, Provenance, Verdict

BASE = OperatingPoints(0.06, 0.45)
PROMISE = Promise(Share(90, 100), Share(150, 200), Share(190, 200), 1.0)
NOON = datetime(2026, 1, 5, 12)


def expected(base: OperatingPoints) -> ExpectedAnswers:
    """A maker's test in which 90 of 100 fractures were found and 150 of 200 others left alone."""
    return ExpectedAnswers(
        patients=300, refused=0, healthy=_answers(base, 10, 40, 150), fractured=_answers(base, 60, 30, 10)
    )


def _answers(base: OperatingPoints, fracture: int, doubt: int, none: int) -> ClassAnswers:
    places = np.searchsorted(LOGIT_EDGES, [_logit(base.high_specificity) + 0.5, -0.9, -6.0])
    counts = np.zeros(len(LOGIT_EDGES) + 1, int)
    for place, count in zip(places, (fracture, doubt, none), strict=True):
        counts[place] += count
    return ClassAnswers(fracture, doubt, none, tuple(counts.tolist()))


def _logit(chance: float) -> float:
    return float(np.log(chance / (1 - chance)))


def case(chance: float, fractured: bool, name: str = "a", source: Source = Source.OUTCOME) -> Case:
    """A followed-up examination of one view, answered by BASE."""
    return Case(Answered(name, chance, chance, BASE.decide(chance)), Truth(fractured, source))


def cases(fractures: Sequence[float], others: Sequence[float]) -> tuple[Case, ...]:
    """By their chances."""
    rows = [*((chance, True) for chance in fractures), *((chance, False) for chance in others)]
    return tuple(case(chance, fractured, f"e{number}") for number, (chance, fractured) in enumerate(rows))


def evidence_of(known: Sequence[Case], more: Sequence[float] = ()) -> Evidence:
    """more: chances of examinations that nobody has followed up."""
    others = [
        Answered(f"n{number}", chance, chance, BASE.decide(chance)) for number, chance in enumerate(more)
    ]
    answered = (*(one.answered for one in known), *others)
    return Evidence(answered, {one.answered.examination: one.truth for one in known})


def chances(seed: int, count: int, mean: float, spread: float) -> NDArray[np.float64]:
    """Of normal logits."""
    logits = np.random.default_rng(seed).normal(mean, spread, count)
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)


@dataclass(frozen=True)
class Seen:
    """One examination for a store. chances: of its views. kind: of what was said of it, "" for nothing.

    used: by what it was decided, None for the engine's own.
    """

    chances: tuple[float, ...]
    kind: str = ""
    fractured: bool = False
    used: OperatingPoints | None = None
    examination: OperatingPoints | None = None


def fill(store: Store, bundle: str, base: OperatingPoints, seen: Sequence[Seen]) -> None:
    """As worker and readers would have written them."""
    with store.database.write() as session:
        for number, one in enumerate(seen):
            row = Examination(
                public_id=f"made-{number}", received_utc=NOON, source="upload", patient_label="P 1"
            )
            row.images = [_image(bundle, base, one, f"{number}-{view}") for view in range(len(one.chances))]
            for image, chance in zip(row.images, one.chances, strict=True):
                image.result = _result(bundle, base, one, image.sha256, chance)
            session.add(row)
            session.flush()
            if one.kind:
                session.add(_reading(row, one))


def _image(bundle: str, base: OperatingPoints, one: Seen, name: str) -> Image:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Image(sha256=digest, size_bytes=1, file_name=name, received_utc=NOON, job=Job(state="done"))


def _result(bundle: str, base: OperatingPoints, one: Seen, digest: str, chance: float) -> Result:
    points = one.used or base
    source = Provenance(digest, bundle, "made", "1.0", "onnxruntime", "fp32", "cpu", "m" * 64, points.digest)
    found = Findings(
        points.decide(chance), source, probability=chance, operating_points=points, width_px=1, height_px=1
    )
    rule = {
        "rule": "mean_logit",
        "operating_points": None if one.examination is None else asdict(one.examination),
    }
    more = {"examination": rule} | ({} if one.used is None else {"bundle_points": asdict(base)})
    text = json.dumps({**found.to_json(), **more})
    return Result(verdict=str(found.verdict), findings_json=text, bundle_sha256=bundle, created_utc=NOON)


def _reading(row: Examination, one: Seen) -> Reading:
    verdict = Verdict.FRACTURE if one.fractured else Verdict.NONE
    return Reading(
        examination_id=row.id,
        actor="p1",
        kind=one.kind,
        verdict=str(verdict),
        box_verdict="doubt",
        views=len(one.chances),
        at_utc=NOON,
    )


def clinic(fractures: int, others: int, mean: float, base: OperatingPoints, seed: int = 0) -> list[Seen]:
    """Examinations of one view, all followed up; mean: of the fractures' logits above the lower limit."""
    low = _logit(base.high_sensitivity)
    broken = chances(seed, fractures, low + mean, 1.2).tolist()
    whole = chances(seed + 1, others, low - 1.2, 1.0).tolist()
    return [
        *(Seen((chance,), "outcome", True) for chance in broken),
        *(Seen((chance,), "outcome", False) for chance in whole),
    ]
