"""The model card: one page of Markdown that travels with a model, every figure read from the run's record.

After Mitchell et al. 2019, "Model Cards for Model Reporting": what it is, what for, from whose data, how well
and for whom, and what nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import STATUS_OK
from compress.intervals import Interval
from compress.record import NodeRecord, RunRecord
from compress.report import figures
from compress.report.refitted import is_refitted, refit_words
from runtime.anomaly import DECLARED

_NONE = Interval.missing("not measured")
FEW_FRACTURES = 15
"""A body part or view with fewer fractured test images has no figure worth a name."""


@dataclass(frozen=True)
class CardPart:
    """One body part or view of the test patients."""

    name: str
    images: int
    fractured: int
    auroc: Interval
    sensitivity: Interval
    specificity: Interval

    @property
    def is_thin(self) -> bool:
        """Whether too few fractures were seen."""
        return self.fractured < FEW_FRACTURES


def render_card(record: RunRecord) -> str:
    """The card as Markdown. Raises nothing for figures that are missing: it says that they are."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Markdown, not HTML: nothing is escaped, and everything here is ours or the recipe's.
    environment = Environment(  # noqa: S701
        loader=PackageLoader("compress.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page = {
        "record": record,
        "release": record.recipe.get("release", {}),
        "files": next((node.facts.get("files", {}) for node in record.nodes if node.kind == "train"), {}),
        "shipped": [node for node in record.nodes if node.kind == "compile" and _made(node)],
        "checkpoint": next((node for node in record.nodes if node.kind == "train"), None),
        "trained_on": list(dict.fromkeys(_trained_on(record))),
        "calibration_use": _calibration_use(record),
        "parts": list(_parts(record.test)),
        "views": list(_parts(record.test, "by_view")),
        "shows_boxes": figures.interval(record.test, "places", "box").value is not None,
        "measured": record.expectation.get("measured", {}),
        "without": record.expectation.get("without", {}),
        "measured_rows": _side_by_side(record.expectation),
        "measured_parts": list(_parts(record.expectation.get("measured", {}))),
        "expected": list(_expected(record.expectation)),
        "anomaly": next((node.facts for node in record.nodes if node.kind == "statistics"), {}),
        "refitted": [(node.name, refit_words(node)) for node in record.nodes if _ships_refitted(node)],
        "unknown": list(_unknown(record.data)),
        "few": FEW_FRACTURES,
    }
    return environment.get_template("card.md.j2").render(**page, f=figures, declared=DECLARED)


def write_card(record: RunRecord, path: Path) -> None:
    """Render into a file, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(render_card(record), encoding="utf-8")
    partial.replace(path)


def _made(node: NodeRecord) -> bool:
    return node.status == STATUS_OK and figures.outcome(node) == "pass"


def _ships_refitted(node: NodeRecord) -> bool:
    return node.kind == "compile" and _made(node) and is_refitted(node)


def _parts(test: dict[str, Any], divided: str = "by_body_part") -> Iterator[CardPart]:
    for name, metrics in test.get(divided, {}).items():
        yield CardPart(
            name=name or "not said",
            images=metrics["images"],
            fractured=metrics["fractured"],
            auroc=figures.interval(metrics, "auroc"),
            sensitivity=figures.at_point(metrics, "high_sensitivity", "sensitivity"),
            specificity=figures.at_point(metrics, "high_sensitivity", "specificity"),
        )


def _expected(expectation: dict[str, Any]) -> Iterator[tuple[str, Interval, Interval]]:
    """(point, sensitivity, specificity) as chosen on some folds and measured on others."""
    for name, found in expectation.get("at_points_of_other_folds", {}).items():
        title = figures.POINTS[name]
        yield title, figures.interval(found, "sensitivity"), figures.interval(found, "specificity")


def _trained_on(record: RunRecord) -> Iterator[str]:
    """Where the weights that ship were learned: machine, precision and torch, epoch by epoch."""
    taught = [node.name for node in record.nodes if node.kind == "qat" and _ships_taught(record, node)]
    for node in record.nodes:
        learned = node.kind in ("train", "finetune") or node.name in taught
        history = node.facts.get("history", {}) if learned else {}
        if "trained_on" in history:
            yield from history["trained_on"]
        elif history.get("loss") and node.facts.get("trained_on"):  # as older trainings noted it
            yield node.facts["trained_on"]


def _ships_taught(record: RunRecord, node: NodeRecord) -> bool:
    """Whether the engine that grew from a quantization-aware training passed. node: the training."""
    grown = f"{node.engine}/{node.precision}-qat"
    return any(other.name == grown and _made(other) for other in record.nodes)


def _calibration_use(record: RunRecord) -> str:
    uses = ["scale of the logits"] if record.lineage else ["operating points", "calibration"]
    if record.recipe.get("fallback", {}).get("budget"):
        uses.append("what goes back to float")
    train, qat = record.recipe.get("train", {}), record.recipe.get("qat", {})
    keeps_best = train.get("keep") == "best" or (qat.get("epochs", 0) > 0 and qat["keep"] == "best")
    return ", ".join(["choice of the epoch", *uses] if keeps_best else uses)


def _side_by_side(expectation: dict[str, Any]) -> list[tuple[str, list[Interval]]]:
    """(figure, its value over all images and without those of each word)."""
    tables = [expectation.get("measured", {}), *expectation.get("without", {}).values()]
    rows = [figures.overall(table) for table in tables]
    return [(title, [dict(row).get(title, _NONE) for row in rows]) for title, _ in rows[0]]


def _unknown(data: dict[str, Any]) -> Iterator[str]:
    """Groups of people that the data does not name, so that nobody can say whether it serves them as well."""
    for name in ("age", "sex", "view"):
        if not data.get("known", {}).get(name):
            yield name
