"""Says which steps decide by thresholds of their own, by which, and why another keeps the locked ones."""

from __future__ import annotations

from collections.abc import Iterable

from compress.record import NodeRecord
from compress.report.figures import POINTS


def is_refitted(node: NodeRecord) -> bool:
    """Whether the step was judged at thresholds of its own."""
    return bool(node.verdict.get("operating_points", {}).get("refitted"))


def refit_words(node: NodeRecord) -> str:
    """Its thresholds beside the locked ones, or why it has none of its own; "" where it may have none."""
    seen = node.verdict.get("operating_points")
    if not seen:
        return ""
    if not seen["refitted"]:
        return f"the locked ones, not re-fitted: {seen['reason']}"
    counts = seen["selection_patients"]
    patients = f"{counts['fractured']} fractured and {counts['healthy']} healthy selection patients"
    said = [f"its own, re-fitted on {patients}: {_moves(seen)}"]
    if "examinations" in seen:
        said.append(f"for examinations of several views {_moves(seen['examinations'])}")
    return "; ".join(said)


def refitted_words(nodes: Iterable[NodeRecord]) -> str:
    """Names of the steps with thresholds of their own, "" where there are none."""
    names = [node.name for node in nodes if is_refitted(node)]
    return f"re-fitted for {', '.join(names)}; see each step" if names else ""


def _moves(seen: dict[str, dict[str, float]]) -> str:
    return ", ".join(
        f"{title} {seen['candidate'][name]:.4f} in place of {seen['reference'][name]:.4f}"
        for name, title in POINTS.items()
    )
