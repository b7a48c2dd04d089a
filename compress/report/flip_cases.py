"""Which cases were decided otherwise than by the original checkpoint, and by which nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compress.record import NodeRecord

MOST_SHOWN = 200
BEFORE_ENGINES = "before the engines"
"""Stands for the engine of the torch side and of the exported graph."""
_UNMENDED = "prune"


@dataclass(frozen=True)
class Change:
    """One node on another side of an operating point.

    from_, to: "positive" or "negative". against: what it was compared with, "" for the original checkpoint.
    harmful: away from the truth. before, after: probabilities. kind: of the node. threshold: the node's own
    at that point, None where it is judged at the locked one.
    """

    node: str
    engine: str
    kind: str
    point: str
    from_: str
    to: str
    against: str
    harmful: bool
    before: float
    after: float
    threshold: float | None = None

    @property
    def shift(self) -> float:
        """How far the probability moved."""
        return abs(self.after - self.before)


@dataclass(frozen=True)
class ChangedCase:
    """changes: in the order of the tree, at least one. label: 1 fractured, 0 healthy."""

    case_id: str
    patient_id: str
    body_part: str
    label: int
    changes: tuple[Change, ...]

    @property
    def harmful(self) -> bool:
        """Whether any node went away from the truth."""
        return any(change.harmful for change in self.changes)

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines whose nodes changed it, in the order of the tree."""
        return tuple(dict.fromkeys(change.engine for change in self.changes))

    @property
    def pictured(self) -> tuple[str, ...]:
        """One node an engine: of those compared with the original the one that moved farthest.

        The pruned network before it is mended stands only where no later node changed the case.
        """
        found: dict[str, Change] = {}
        for change in self.changes:
            known = found.get(change.engine)
            if not change.against and (known is None or _weight(change) >= _weight(known)):
                found[change.engine] = change
        return tuple(change.node for change in found.values())

    @property
    def only_unmended(self) -> bool:
        """Whether nothing but the pruned network before its fine-tuning changed it, which never ships."""
        return all(change.kind == _UNMENDED for change in self.changes)


@dataclass(frozen=True)
class Selection:
    """shown: in the order of the page. left_out: what there was no room for, harmful_left_out: of these."""

    shown: tuple[ChangedCase, ...]
    left_out: int = 0
    harmful_left_out: int = 0

    @property
    def in_all(self) -> int:
        """Cases with a changed decision."""
        return len(self.shown) + self.left_out


def changed_cases(nodes: Sequence[NodeRecord]) -> tuple[ChangedCase, ...]:
    """Harmful ones first; then what may ship, fractured ones and the farthest moved before others."""
    facts: dict[str, tuple[str, str, int]] = {}
    changes: dict[str, list[Change]] = {}
    for node in nodes:
        for flip in node.verdict.get("flips", ()):
            facts.setdefault(flip["case_id"], (flip["patient_id"], flip["body_part"], flip["label"]))
            changes.setdefault(flip["case_id"], []).append(_change(node, flip))
    cases = [ChangedCase(name, *facts[name], tuple(own)) for name, own in changes.items()]
    return tuple(sorted(cases, key=_order))


def select(cases: Sequence[ChangedCase], most: int = MOST_SHOWN) -> Selection:
    """The first of them, and what becomes of the others."""
    rest = cases[most:]
    return Selection(tuple(cases[:most]), len(rest), sum(case.harmful for case in rest))


def _change(node: NodeRecord, flip: dict[str, object]) -> Change:
    return Change(
        node=node.name,
        engine=node.engine or BEFORE_ENGINES,
        kind=node.kind,
        point=str(flip["point"]),
        from_=str(flip["from"]),
        to=str(flip["to"]),
        against=str(flip.get("against", "")),
        harmful=bool(flip["harmful"]),
        before=float(flip["reference_probability"]),  # type: ignore[arg-type]  # as Flip.to_json wrote it
        after=float(flip["candidate_probability"]),  # type: ignore[arg-type]
        threshold=flip.get("candidate_threshold"),  # type: ignore[arg-type]
    )


def _weight(change: Change) -> tuple[bool, bool, float]:
    return change.kind != _UNMENDED, change.harmful, change.shift


def _order(case: ChangedCase) -> tuple[bool, bool, bool, float]:
    return not case.harmful, case.only_unmended, not case.label, -max(item.shift for item in case.changes)
