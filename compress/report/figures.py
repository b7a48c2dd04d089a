"""Reads the figures of a record and words them; a missing one becomes a dash, never a zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compress.artifact import STATUS_DEFERRED
from compress.intervals import Interval
from compress.lint.finding import Finding
from compress.lint.words import Group, grouped
from compress.metrics import PEAK_TITLE, PLACE_TITLES
from compress.record import NodeRecord, RunRecord

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
POINTS = {"high_sensitivity": "high-sensitivity point", "high_specificity": "high-specificity point"}
_OVERALL = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "localisation": PEAK_TITLE,
}
LINEAGE = {
    "old": "On gate patients of the released model, on whom it may not be worse",
    "new": "On new patients, who came with the added cases",
}
"""What a record's lineage compares, and on whom."""
_CORES = {"cores": "in all", "usable_cores": "usable"}
_NONE = Interval.missing("not measured")
_MADE = ("ok", STATUS_DEFERRED)


@dataclass(frozen=True)
class Badge:
    """A word with a shape and a colour. kind: pass | fail | inconclusive | deferred | idle."""

    kind: str
    word: str


def interval(metrics: dict[str, Any], *path: str) -> Interval:
    """The interval at metrics[path[0]][path[1]]…, one without a value where there is none."""
    found: Any = metrics
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return Interval(**found) if isinstance(found, dict) else _NONE


def at_point(metrics: dict[str, Any], point: str, figure: str) -> Interval:
    """A figure at an operating point."""
    return interval(metrics, "points", point, figure)


def overall(metrics: dict[str, Any]) -> list[tuple[str, Interval]]:
    """Figures over all images, by title; of the boxes shown only those that somebody looked at."""
    found = [(title, interval(metrics, name)) for name, title in _OVERALL.items()]
    places = [(title, interval(metrics, "places", name)) for name, title in PLACE_TITLES.items()]
    return found + [(title, figure) for title, figure in places if figure.value is not None]


def at_points(metrics: dict[str, Any]) -> list[tuple[str, list[Interval]]]:
    """Figures at the operating points, by title; accuracy where it was measured."""
    rows = [
        ("F1" if name == "f1" else name, [at_point(metrics, point, name) for point in POINTS])
        for name in ("sensitivity", "specificity", "precision", "f1", "accuracy")
    ]
    return [row for row in rows if row[0] != "accuracy" or any(item.value is not None for item in row[1])]


def compared(table: dict[str, Any]) -> list[tuple[str, Interval, Interval, str]]:
    """(title, released, improved, difference in words) of one kind of patients in a record's lineage."""
    rows = []
    for check in table.get("differences", ()):
        path = ("points", check["point"], check["metric"]) if check["point"] else (check["metric"],)
        pair = [interval(table[name], *path) for name in ("released", "improved")]
        rows.append((str(check["title"]), pair[0], pair[1], difference_text(check)))
    return rows


def difference_text(check: dict[str, Any]) -> str:
    """ "+0.012, at least -0.010 and at most +0.034" by the one-sided bounds; a dash where there is none."""
    if check.get("difference") is None:
        return DASH
    texts = [signed_text(check[name]) for name in ("difference", "lower_bound", "upper_bound")]
    return f"{texts[0]}, at least {texts[1]} and at most {texts[2]}"


def value_text(figure: Interval, digits: int = 3) -> str:
    """ "0.931" or a dash."""
    return DASH if figure.value is None else f"{figure.value:.{digits}f}"


def bounds_text(figure: Interval, digits: int = 3) -> str:
    """ "0.902 to 0.955", or nothing."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{figure.low:.{digits}f} to {figure.high:.{digits}f}"


def interval_text(figure: Interval, digits: int = 3) -> str:
    """ "0.931 [0.902, 0.955]" or a dash."""
    if figure.value is None or figure.low is None or figure.high is None:
        return DASH
    return f"{figure.value:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def stacked_text(figure: Interval, digits: int = 3) -> str:
    """The same on two short lines, for narrow columns."""
    if figure.value is None or figure.low is None or figure.high is None:
        return DASH
    return f"{figure.value:.{digits}f}\n{figure.low:.{digits}f}{DASH}{figure.high:.{digits}f}"


def size_text(size_bytes: int) -> str:
    """ "1.24 MB"; a dash for nothing."""
    if not size_bytes:
        return DASH
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def count_text(count: Any) -> str:
    """ "12.3 M", "1.24 G"; a dash where it is not known."""
    if not isinstance(count, int | float) or count <= 0:
        return DASH
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count:g}"


def ms_text(latency_ms: dict[str, float], name: str = "p50") -> str:
    """ "4.31"; a dash where nothing was timed."""
    return f"{latency_ms[name]:.2f}" if name in latency_ms else DASH


def seconds_text(seconds: float) -> str:
    """ "12.3 s", "4 min 05 s", "1 h 02 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def signed_text(value: float | None, digits: int = 3) -> str:
    """ "+0.012", with a real minus sign; a dash for None."""
    return DASH if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def gate_checks(node: NodeRecord) -> list[dict[str, Any]]:
    """What a gate's table lists: all that its outcome rests on, then every drift that it only notes."""
    noted = [check for check in node.verdict.get("drift", ()) if check["outcome"] != "fail"]
    return [*node.verdict.get("checks", ()), *noted]


def margin_text(check: dict[str, Any]) -> str:
    """ "0.02", or "0.0279 (3%)" where it is a share of the reference's figure; a dash for neither."""
    share, margin = check.get("margin_share"), check.get("margin")
    words = DASH if margin is None else f"{margin:.4g}"
    return words if share is None else f"{words} ({100 * share:g}%)"


def p_text(check: dict[str, Any]) -> str:
    """ "0.031, adjusted 0.62"; a dash where there is none."""
    if check.get("p_value") is None:
        return DASH
    adjusted = check.get("p_adjusted")
    return f"{check['p_value']:.2g}" + ("" if adjusted is None else f", adjusted {adjusted:.2g}")


def number_text(value: float | None) -> str:
    """ "0.00123"; a dash where there is no finite number."""
    return DASH if value is None else f"{value:.3g}"


def lint_groups(node: NodeRecord) -> tuple[Group, ...]:
    """What was found in the graph before it was compiled, one line a rule."""
    return grouped(Finding(**item) for item in node.facts.get("lint", ()))


def outcome(node: NodeRecord) -> str:
    """pass | fail | inconclusive of the node's gate, "" where it was not judged."""
    return str(node.verdict.get("outcome", ""))


def badges(node: NodeRecord) -> tuple[Badge, ...]:
    """What happened to the node: its gate's outcome, and what its status adds."""
    found = []
    if outcome(node):
        found.append(Badge(outcome(node), outcome(node)))
    parity = node.facts.get("gate_parity")
    if isinstance(parity, dict) and parity.get("outcome") == "fail":
        found.append(Badge("fail", "parity fail"))
    if node.status == STATUS_DEFERRED:
        found.append(Badge("deferred", "deferred"))
    elif node.status == "failed":
        found.append(Badge("fail", "not made"))
    elif node.status == "not faster":
        found.append(Badge("fail", "not faster"))
    elif node.status == "replaced":
        found.append(Badge("idle", "replaced"))
    elif node.status not in _MADE and not found:
        found.append(Badge("idle", node.status))
    return tuple(found) or (Badge("idle", "only timed" if node.kind == "timed" else "not gated"),)


def confidence_text(record: RunRecord) -> str:
    """Of the intervals, as "95%"; a dash where nothing was measured."""
    found = next((node.metrics["confidence"] for node in record.nodes if "confidence" in node.metrics), None)
    return DASH if found is None else f"{100 * found:g}%"


def calibration_text(node: NodeRecord) -> str:
    """ "32 images: hand 16, leg 16." by body part where that was noted."""
    parts = node.facts.get("calibration_parts") or {}
    named = ", ".join(f"{part or 'not stated'} {count}" for part, count in parts.items())
    return f"{node.facts['calibration_images']} images" + (f": {named}." if named else ".")


def machine_facts(record: RunRecord) -> list[tuple[str, str]]:
    """The processor and what it can do, as far as they were noted: measured times are of it alone."""
    machine = record.machine
    cores = [f"{machine[key]} {words}" for key, words in _CORES.items() if machine.get(key)]
    system = [machine.get("system", ""), f"Python {machine['python']}" if machine.get("python") else ""]
    found = {
        "Processor": " ".join(filter(None, (machine.get("cpu"), machine.get("architecture")))),
        "Processor flags": " ".join(machine.get("cpu_flags", ())),
        "Cores": ", ".join(cores),
        "Memory": f"{machine['memory_bytes'] / 1e9:.1f} GB" if machine.get("memory_bytes") else "",
        "System": ", ".join(filter(None, system)),
    }
    return [(name, words) for name, words in found.items() if words]


def root(record: RunRecord) -> NodeRecord | None:
    """The original checkpoint."""
    return next((node for node in record.nodes if not node.parent), None)


def shipped(record: RunRecord) -> NodeRecord | None:
    """The last node of the engine that the released bundle would use here."""
    engine, _, precision = str(record.release.get("engine", "")).rpartition("-")
    # Both forms of TensorRT grow on one branch.
    target = engine.removesuffix("_rtx")
    nodes = [
        node
        for node in record.nodes
        if target
        and (node.engine, node.precision) == (target, precision)
        and node.kind != "timed"
        and node.status != "replaced"
    ]
    return nodes[-1] if nodes else None


def cost_of(record: RunRecord, node: NodeRecord, name: str) -> Any:
    """`macs` or `parameters`: the node's own, else what it inherited on its way; None if never counted.

    Export, quantization and compilation keep the architecture and so these counts; statistics have none.
    """
    if node.kind == "statistics":
        return None
    by_name = {item.name: item for item in record.nodes}
    seen: set[str] = set()
    current: NodeRecord | None = node if node.status != "not run" else None
    while current is not None and current.name not in seen:
        if name in current.facts:
            return current.facts[name]
        seen.add(current.name)
        current = by_name.get(current.parent)
    return None
