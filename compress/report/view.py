"""What the page shows, worked out from the record; the template only lays it out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from compress.artifact import STATUS_DEFERRED
from compress.intervals import Interval
from compress.layers.measured import FACT
from compress.record import NodeRecord, RunRecord
from compress.report import figures, plots
from compress.report.layers import LayersPanel, panels
from compress.report.refitted import refit_words, refitted_words

_FLIPS_SHOWN = 100
_LONG_FACTS = frozenset(
    (
        "history",
        "channels",
        "parity_by_feed",
        "traceback",
        FACT,
        "lint",
        "speed",
        "fallback",
        "speed_against_float",
        "sensitivity",
        "timed",
        "calibration_ids",
    )
)
"""Facts that other parts of the page draw, or that only a machine reads; step.json holds them."""


@dataclass(frozen=True)
class Branch:
    """A node of the tree with what grew from it."""

    node: NodeRecord
    children: tuple[Branch, ...]


@dataclass(frozen=True)
class Headline:
    """One large number: what it is, and what it is compared with."""

    title: str
    value: str
    note: str


@dataclass(frozen=True)
class Row:
    """One step in the table."""

    node: NodeRecord
    badges: tuple[figures.Badge, ...]
    size_change: str
    macs: str
    parameters: str
    auroc: Interval
    shares: tuple[Interval, ...]


@dataclass(frozen=True)
class PartRow:
    """One body part or view, for the original checkpoint and for what ships."""

    name: str
    images: int
    fractured: int
    figures: tuple[tuple[Interval, Interval], ...]
    worst: str


@dataclass(frozen=True)
class _Kind:
    """A kind of group: where metrics and verdicts keep it, and the key that names one of them."""

    figures: str
    checks: str
    key: str


_KINDS = (_Kind("by_body_part", "body_parts", "body_part"), _Kind("by_view", "views", "view"))


@dataclass(frozen=True)
class Page:
    """Everything the template needs."""

    record: RunRecord
    root: NodeRecord | None
    shipped: NodeRecord | None
    sentence: str
    facts: tuple[tuple[str, str], ...]
    headlines: tuple[Headline, ...]
    tree: tuple[Branch, ...]
    rows: tuple[Row, ...]
    forest: tuple[plots.ForestPanel, ...]
    layers: tuple[LayersPanel, ...]
    pictures: tuple[tuple[str, Markup], ...]
    legend: tuple[plots.Series, ...]
    parts: tuple[PartRow, ...]
    stops: tuple[tuple[str, tuple[str, ...]], ...]
    deferred: tuple[NodeRecord, ...]
    recipe_json: str
    flips_shown: int = _FLIPS_SHOWN

    @staticmethod
    def node_facts(node: NodeRecord) -> list[tuple[str, str]]:
        """The artifact's short facts as words."""
        return _node_facts(node)

    @staticmethod
    def flip_counts(node: NodeRecord) -> str:
        """How many decisions changed, and how many of them for the worse."""
        return _flip_counts(node)


def view(record: RunRecord) -> Page:
    """Record -> page."""
    judged = [node for node in record.nodes if node.roc or node.latency_ms]
    return Page(
        record=record,
        root=figures.root(record),
        shipped=figures.shipped(record),
        sentence=_sentence(record),
        facts=tuple(_facts(record)),
        headlines=tuple(_headlines(record)),
        tree=_tree(record.nodes),
        rows=tuple(_row(record, node) for node in record.nodes),
        forest=plots.forest(record.nodes),
        layers=panels(record.nodes),
        pictures=_pictures(record, judged),
        legend=plots.series(judged),
        parts=tuple(_parts(record)),
        stops=tuple((node.name, tuple(_reasons(node))) for node in record.nodes if _reasons(node)),
        deferred=tuple(node for node in record.nodes if node.status == STATUS_DEFERRED),
        recipe_json=json.dumps(record.recipe, indent=2, ensure_ascii=False),
    )


def _node_facts(node: NodeRecord) -> list[tuple[str, str]]:
    """The artifact's short facts as words."""
    shown = [(key, _words(value)) for key, value in node.facts.items() if key not in _LONG_FACTS]
    if thresholds := refit_words(node):
        shown.append(("thresholds", thresholds))
    speed = node.facts.get("speed", {})
    if "sentence" in speed:
        shown.append(("pruned, against unpruned", speed["sentence"]))
    mixed = node.facts.get("speed_against_float", {})
    return [*shown, ("against float", mixed.get("sentence") or mixed["not_measured"])] if mixed else shown


def _flip_counts(node: NodeRecord) -> str:
    """ "7 decisions changed, 3 of them away from the truth", by what they are compared with."""
    comparisons: dict[str, list[bool]] = {}
    for flip in node.verdict.get("flips", ()):
        comparisons.setdefault(flip.get("against", ""), []).append(bool(flip.get("harmful")))
    if not comparisons:
        return "no decision changed"
    return "; ".join(_flip_count(against, harmful) for against, harmful in comparisons.items())


def _flip_count(against: str, harmful: list[bool]) -> str:
    noun = "decision" if len(harmful) == 1 else "decisions"
    words = f"{len(harmful)} {noun} changed, {sum(harmful)} of them away from the truth"
    return f"against {against}: {words}" if against else words


def _sentence(record: RunRecord) -> str:
    outcomes = Counter(figures.outcome(node) for node in record.nodes if figures.outcome(node))
    judged = sum(outcomes.values())
    said = [f"{outcomes['pass']} of {judged} gates passed" if judged else "No gate was reached"]
    if outcomes["fail"]:
        said.append(f"{outcomes['fail']} failed")
    if outcomes["inconclusive"]:
        said.append(f"{outcomes['inconclusive']} inconclusive")
    missing = [node.title for node in record.nodes if node.status in ("failed", "not run")]
    if missing:
        said.append(f"{len(missing)} {'step was' if len(missing) == 1 else 'steps were'} not made")
    end = "A bundle was released." if record.release else "Nothing was released."
    return f"{', '.join(said)}. {end}"


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    machine, points = record.machine, record.operating_points
    cores = machine.get("usable_cores", machine.get("cores"))
    digest = record.data.get("digest", "")
    facts = [
        ("Recipe", f"{record.recipe.get('name', figures.DASH)} (seed {record.recipe.get('seed', 0)})"),
        ("Data", str(record.data.get("name", figures.DASH)) + (f", sha256 {digest[:12]}" if digest else "")),
        ("Machine", f"{machine.get('cpu', figures.DASH)}" + (f", {cores} cores" if cores else "")),
        ("Started", f"{_moment(record.started_utc)}, took {figures.seconds_text(record.seconds)}"),
    ]
    named = [f"{figures.POINTS.get(name, name)} {value:.4f}" for name, value in points.items()]
    own = refitted_words(record.nodes)
    facts.append(("Locked thresholds", ", ".join(named) or "none were chosen"))
    return [*facts, ("Thresholds of their own", own)] if own else facts


def _moment(utc: str) -> str:
    """ "2026-01-01 10:00 UTC"; what is no time stays as it is."""
    try:
        return f"{datetime.fromisoformat(utc).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return utc


def _headlines(record: RunRecord) -> list[Headline]:
    first, last = figures.root(record), figures.shipped(record)
    if first is None or last is None:
        return []
    auroc = figures.interval(last.metrics, "auroc")
    before = figures.interval(first.metrics, "auroc")
    macs = [figures.cost_of(record, node, "macs") for node in (first, last)]
    found = [
        Headline("Ships, fastest here", last.title, str(record.release.get("reason", ""))),
        Headline(
            "AUROC, gate patients",
            figures.value_text(auroc),
            f"{figures.bounds_text(auroc)}; original {figures.value_text(before)}",
        ),
        Headline(
            "Size", figures.size_text(last.size_bytes), _times(first.size_bytes, last.size_bytes, "smaller")
        ),
    ]
    if all(macs):
        found.append(Headline("MACs", figures.count_text(macs[1]), _times(macs[0], macs[1], "fewer")))
    speeds = [node.latency_ms.get("p50", 0.0) for node in (first, last)]
    if all(speeds):
        note = _times(speeds[0], speeds[1], "faster") + " than the original in torch"
        found.append(Headline("Median latency", f"{speeds[1]:.2f} ms", note))
    return found


def _times(before: float, after: float, word: str) -> str:
    if not before or not after:
        return ""
    return f"{before / after:.1f} times {word}" if before > after else f"{after / before:.1f} times as much"


def _tree(nodes: Sequence[NodeRecord]) -> tuple[Branch, ...]:
    """Nodes below their parents; one whose parent is not in the record starts a tree of its own."""
    names = {node.name for node in nodes}

    def grow(parent: str, above: frozenset[str]) -> tuple[Branch, ...]:
        own = [node for node in nodes if node.parent == parent and node.name not in above]
        return tuple(Branch(node, grow(node.name, above | {node.name})) for node in own)

    roots = [node for node in nodes if node.parent not in names]
    return tuple(Branch(node, grow(node.name, frozenset({node.name}))) for node in roots)


def _row(record: RunRecord, node: NodeRecord) -> Row:
    first = figures.root(record)
    whole = first.size_bytes if first is not None else 0
    change = "" if node is first or not whole or not node.size_bytes else f"{node.size_bytes / whole:.0%}"
    return Row(
        node=node,
        badges=figures.badges(node),
        size_change=change,
        macs=figures.count_text(figures.cost_of(record, node, "macs")),
        parameters=figures.count_text(figures.cost_of(record, node, "parameters")),
        auroc=figures.interval(node.metrics, "auroc"),
        shares=tuple(
            figures.at_point(node.metrics, point, figure)
            for point in figures.POINTS
            for figure in ("sensitivity", "specificity")
        ),
    )


def _pictures(record: RunRecord, judged: Sequence[NodeRecord]) -> tuple[tuple[str, Markup], ...]:
    drawn = (
        ("ROC curves on the gate patients", plots.roc(judged, record.operating_points)),
        ("Latency against AUROC", plots.cost(judged)),
        ("Latency and size by engine", plots.bars(record.nodes)),
        ("Training", plots.training(record)),
    )
    return tuple((title, picture) for title, picture in drawn if picture is not None)


def _parts(record: RunRecord) -> list[PartRow]:
    first, last = figures.root(record), figures.shipped(record)
    if first is None:
        return []
    shown = last.metrics if last is not None else {}
    return [
        _part(name, metrics, shown.get(kind.figures, {}).get(name, {}), _worst(last, kind, name))
        for kind in _KINDS
        for name, metrics in first.metrics.get(kind.figures, {}).items()
    ]


def _worst(node: NodeRecord | None, kind: _Kind, name: str) -> str:
    """The worst outcome of a group's checks, "" where it has none."""
    checks = [] if node is None else node.verdict.get(kind.checks, ())
    outcomes = {check["outcome"] for check in checks if check[kind.key] == name}
    return next((word for word in ("fail", "inconclusive", "pass") if word in outcomes), "")


def _part(name: str, first: dict[str, Any], last: dict[str, Any], worst: str) -> PartRow:
    pairs = [
        (figures.interval(first, "auroc"), figures.interval(last, "auroc")),
        *(
            (figures.at_point(first, point, figure), figures.at_point(last, point, figure))
            for point, figure in (("high_sensitivity", "sensitivity"), ("high_specificity", "specificity"))
        ),
    ]
    counts = int(first.get("images", 0)), int(first.get("fractured", 0))
    return PartRow(name or "not stated", *counts, tuple(pairs), worst)


def _reasons(node: NodeRecord) -> list[str]:
    """Why a step went no further: what it could not do, or each check that did not pass."""
    if node.status == "failed":
        return [str(node.facts.get("error", "the step could not be made; no reason was recorded"))]
    if node.status == "not faster":
        return _slow(node)
    found = [
        f"{check.get('title', check['metric'])}: {check.get('reason') or check['outcome']}"
        for check in node.verdict.get("checks", ())
        if check["outcome"] != "pass"
    ]
    parity = node.facts.get("gate_parity", {})
    if isinstance(parity, dict) and parity.get("outcome") == "fail":
        found.append(f"parity: logits differ by {_words(parity.get('worst'))}, allowed {parity.get('limit')}")
    return found


def _slow(node: NodeRecord) -> list[str]:
    """What did not pay, with its ratio: pruning, conversion or both."""
    place = "with these layers in float" if node.facts.get("in_float") else "here"
    words = {
        "speed": "pruning did not pay here",
        "speed_against_float": f"{node.precision.upper()} did not pay {place}",
    }
    seen = ((said, node.facts.get(name, {})) for name, said in words.items())
    return [f"{said}: {facts['sentence']}" for said, facts in seen if facts.get("stops")]


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000:
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items() if item not in ("", None))
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    return str(value)
