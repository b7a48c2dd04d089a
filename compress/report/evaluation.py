"""One evaluation as a self-contained HTML page. It holds radiographs and is as confidential as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.evaluate import SEEN_INCLUDED, SEEN_UNKNOWN, EvaluationResult
from compress.metrics import MetricsReport
from compress.report.gallery import ErrorCase, Gallery, in_pixels
from runtime.errors import StepError

PAGE = "evaluation.html"


@dataclass(frozen=True)
class GroupTable:
    """A table of groups beside each other. note: what a reader must know. unit: what is counted."""

    title: str
    column: str
    groups: tuple[tuple[str, MetricsReport], ...]
    note: str = ""
    unit: str = "images"


@dataclass(frozen=True)
class Page:
    """Everything the template needs; pictures are SVG. gallery: misses, then false alarms."""

    result: EvaluationResult
    metrics: dict[str, Any]
    facts: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[str, str, str], ...]
    confusion: tuple[tuple[str, str], ...]
    forest: str
    breakdowns: tuple[GroupTable, ...]
    gallery: Gallery

    @staticmethod
    def truth(case: ErrorCase) -> list[tuple[float, float, float, float]]:
        """True boxes in the pixels of the case's pictures."""
        return [] if case.pictures is None else in_pixels(case.truth, case.pictures)


def require_libraries() -> None:
    """Raise ModuleNotFoundError, which names the extra, where the page could not be made."""
    # An extra's library: `ulna evaluate` must work without it.
    import jinja2

    assert jinja2.__name__


def render_evaluation(result: EvaluationResult, gallery: Gallery) -> str:
    """The page as text. Every name and figure is escaped; nothing is fetched from anywhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from compress.report import figures

    environment = Environment(
        loader=PackageLoader("compress.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("evaluation.html.j2")
    return template.render(page=_page(result, gallery), f=figures)


def write_evaluation(path: Path, result: EvaluationResult, gallery: Gallery) -> None:
    """Render into a file, whole or not at all. Raises StepError where it cannot be written."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(render_evaluation(result, gallery), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StepError(f"cannot write {path}: {error.strerror}", "choose another folder") from error


def _page(result: EvaluationResult, gallery: Gallery) -> Page:
    from compress.report import evaluation_plots as plots
    from compress.report.figures import POINTS

    report = result.report
    return Page(
        result=result,
        metrics=report.to_json(),
        facts=tuple(_facts(result)),
        pictures=_pictures(result),
        confusion=tuple((POINTS[name], plots.confusion(point)) for name, point in report.points.items()),
        forest=plots.forest([("all images", report), *_groups(result)]),
        breakdowns=tuple(_breakdowns(result)),
        gallery=gallery,
    )


def _pictures(result: EvaluationResult) -> tuple[tuple[str, str, str], ...]:
    """(title, what to look for, drawing)."""
    from compress.report import evaluation_plots as plots

    seen, report = result.predictions, result.report
    if seen is None:
        return ()
    sure = f"{report.confidence:.0%}"
    drawn = (
        (
            "ROC curve",
            f"Shaded: {sure} bounds at each specificity, by drawing patients anew.",
            plots.roc(seen, report),
        ),
        (
            "Precision and recall",
            f"Shaded: {sure} bounds at each recall, likewise.",
            plots.precision_against_recall(seen, report),
        ),
        (
            "Calibration",
            f"Ten parts of equally many images, with {sure} intervals; on the dotted line probabilities mean "
            "what they say.",
            plots.calibration(seen, report.confidence),
        ),
    )
    return tuple((title, words, drawing) for title, words, drawing in drawn if drawing is not None)


def _groups(result: EvaluationResult) -> list[tuple[str, MetricsReport]]:
    found = [*result.report.by_body_part.items(), *result.report.by_view.items()]
    for tag, parts in result.by_tag.items():
        found += [(f"{tag}: {value or 'not said'}", report) for value, report in parts.items()]
    found += [(f"without {words}", report) for words, report in result.without.items()]
    return [(name or "not said", report) for name, report in found]


def _breakdowns(result: EvaluationResult) -> list[GroupTable]:
    report = result.report
    tables = [
        GroupTable("By body part", "body part", tuple(report.by_body_part.items())),
        GroupTable("By view", "view", tuple(report.by_view.items())),
        *(GroupTable(f"By {tag}", tag, tuple(parts.items())) for tag, parts in result.by_tag.items()),
        GroupTable("Without some images", "left out", tuple(result.without.items())),
        GroupTable(
            "By examination",
            "views combined by",
            tuple(result.by_study.items()),
            "One answer an examination, at the thresholds for single images where nothing else is said.",
            "examinations",
        ),
    ]
    return [table for table in tables if table.groups]


def _facts(result: EvaluationResult) -> list[tuple[str, str]]:
    bundle, data, report = result.bundle, result.data, result.report
    points = result.operating_points
    own = f" ({bundle['thresholds']})" if "thresholds" in bundle else ""
    return [
        ("Bundle", f"{bundle['name']} {bundle['version']}, sha256 {bundle['sha256'][:12]}"),
        ("Engine", f"{bundle['engine']} on {bundle['device']}"),
        ("Data", f"{data['name']}, sha256 {str(data['digest'])[:12]}"),
        ("Images", f"{report.images} answered, {report.fractured} fractured, {len(result.refused)} refused"),
        ("Patients", f"{report.patients}"),
        (
            "Thresholds",
            f"sensitive {points.high_sensitivity:.4f}, specific {points.high_specificity:.4f}{own}",
        ),
        ("Images the model was made with", _seen(result)),
    ]


def _seen(result: EvaluationResult) -> str:
    if result.seen == SEEN_UNKNOWN:
        return "the bundle does not say which: any may be among these"
    if result.seen == SEEN_INCLUDED:
        return "included: the figures flatter it"
    return f"left out, {sum(result.left_out.values())} of this data"
