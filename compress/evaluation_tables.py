"""How an evaluation looks on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from compress.evaluate import SEEN_INCLUDED, SEEN_UNKNOWN, EvaluationResult
from compress.intervals import Interval
from compress.metrics import PEAK_TITLE, PLACE_TITLES, MetricsReport

_POINTS = {"high_sensitivity": "high sensitivity", "high_specificity": "high specificity"}


def evaluation_tables(result: EvaluationResult) -> Iterable[RenderableType]:
    """What was measured, on what, and what could not be measured."""
    report, bundle, data = result.report, result.bundle, result.data
    yield escape(
        f"{bundle['name']} {bundle['version']} ({bundle['sha256'][:12]}) with {bundle['engine']} on "
        f"{data['name']}: {data['images']} images, {report.patients} patients with an answer"
    )
    yield _said_of_seen(result)
    if "thresholds" in bundle:
        yield f"Thresholds: {bundle['thresholds']}."
    yield _overall(report)
    yield _points(result)
    yield _answers("what was said", result.verdicts)
    if report.by_body_part:
        yield _parts("by body part", "body part", report.by_body_part)
    if report.by_view:
        yield _parts("by view", "view", report.by_view)
    for tag, parts in result.by_tag.items():
        yield _parts(f"by {tag}", tag, parts)
    if result.without:
        yield _parts("without", "left out", result.without)
    if result.by_study:
        yield _parts("by examination", "views combined by", result.by_study)
    if result.by_examination:
        yield _answers("what was said of examinations of several views", result.by_examination)
    if result.refused:
        yield _refused(result)
    yield (
        f"In brackets: {report.confidence:.0%} intervals, images of one patient counted as dependent. "
        "Refused images are in no figure but the one that says so."
    )


def _said_of_seen(result: EvaluationResult) -> str:
    if result.seen == SEEN_UNKNOWN:
        return "The bundle does not say which images it was made with: any of these may be among them."
    if result.seen == SEEN_INCLUDED:
        return "Images that it was made with are included: the figures flatter it."
    sets = ", ".join(f"{count} {name}" for name, count in result.left_out.items()) or "none found"
    return f"Left out: {sum(result.left_out.values())} images of patients it was made with ({sets})."


def show(interval: Interval) -> str:
    """ "0.931 [0.902, 0.955]", or why there is no figure."""
    if interval.value is None or interval.low is None or interval.high is None:
        return f"- ({escape(interval.reason)})"
    return escape(f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]")


def _overall(report: MetricsReport) -> Table:
    table = _table("over all answered images", "figure", "value", "images")
    figures = {
        "AUROC": report.auroc,
        "average precision": report.average_precision,
        "Brier score": report.brier,
        "expected calibration error": report.ece,
        PEAK_TITLE: report.localisation,
        **{title: getattr(report.places, name) for name, title in PLACE_TITLES.items()},
    }
    for name, interval in figures.items():
        table.add_row(name, show(interval), str(interval.n))
    return table


def _points(result: EvaluationResult) -> Table:
    table = _table("at the operating points", "figure", *_POINTS.values())
    points = [result.report.points[name] for name in _POINTS]
    table.add_row("threshold", *(f"{point.threshold:.4f}" for point in points))
    for name in ("sensitivity", "specificity", "precision", "f1", "accuracy"):
        title = "F1" if name == "f1" else name
        table.add_row(title, *(show(getattr(point, name)) for point in points))
    missed = (result.pessimistic_sensitivity[name] for name in _POINTS)
    table.add_row("sensitivity, refused = missed", *(show(interval) for interval in missed))
    return table


def _answers(title: str, verdicts: dict[str, dict[str, int]]) -> Table:
    columns = next(iter(verdicts.values()))
    table = _table(title, "truth", *columns)
    for truth, counts in verdicts.items():
        table.add_row(truth, *(str(count) for count in counts.values()))
    return table


def _parts(title: str, what: str, parts: dict[str, MetricsReport]) -> Table:
    columns = (escape(what), "images", "fractured", "AUROC", "sensitivity", "specificity")
    table = _table(escape(title), *columns)
    for part, own in parts.items():
        table.add_row(
            escape(part or "not said"),
            str(own.images),
            str(own.fractured),
            show(own.auroc),
            show(own.points["high_sensitivity"].sensitivity),
            show(own.points["high_specificity"].specificity),
        )
    table.caption = "sensitivity at the high-sensitivity point, specificity at the high-specificity point"
    table.caption_justify = "left"
    return table


def _refused(result: EvaluationResult) -> Table:
    table = _table("refused images", "reason", "images", "fractured", "for example")
    for reason, count in Counter((case.code, case.message) for case in result.refused).most_common():
        cases = [case for case in result.refused if (case.code, case.message) == reason]
        ill = sum(case.label for case in cases)
        table.add_row(escape(f"{reason[0]}: {reason[1]}"), str(count), str(ill), escape(cases[0].case_id))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
