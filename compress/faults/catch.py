"""Who caught it, where: read off the record of a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compress.ledger import FAILED, NOT_FASTER, STOPPED
from compress.lint.finding import ERROR
from runtime.errors import BackendError, BundleError, DigestMismatchError, UlnaError

_SHOWN = 2
_LENGTH = 70
_SHIPS = ("ok", "deferred")


@dataclass(frozen=True)
class Catch:
    """step: node of the tree, "data", "release" or "self-test". by: which gate, lint or check.

    words: what it said.
    """

    step: str
    by: str
    words: str

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)


def catches(record: Mapping[str, Any], error: UlnaError | None) -> tuple[Catch, ...]:
    """All that stopped something, in the order of the tree. record: run.json, {} where there is none.

    error: with which the run ended, None for one that ended well.
    """
    found = tuple(catch for node in record.get("nodes", ()) if (catch := _of_node(node)) is not None)
    if found or error is None:
        return found
    return (_of_error(error, in_tree=bool(record)),)


def crash_of(record: Mapping[str, Any]) -> str:
    """The words of a step that ended in an error of no kind of ours, "" without one: a fault that crashes has
    been put in wrongly, and proves nothing.
    """
    crashed = (node["facts"]["error"] for node in record.get("nodes", ()) if "traceback" in node["facts"])
    return next(crashed, "")


def passed_on(record: Mapping[str, Any], spoiled: Sequence[str]) -> tuple[str, ...]:
    """Engines of the release that were made with the fault in them: none may be there.

    Nodes are named "engine/precision" in the tree; whatever was released counts where nothing is spoiled
    alone (a fault of the data or of the box spoils all).
    """
    if not record.get("release"):
        return ()
    ok = [
        node["name"]
        for node in record["nodes"]
        if node["kind"] == "compile" and node["status"].startswith(_SHIPS)
    ]
    return tuple(name for name in ok if not spoiled or name in spoiled)


def _of_node(node: Mapping[str, Any]) -> Catch | None:
    status, facts = node["status"], node.get("facts", {})
    if status == NOT_FASTER:
        return Catch(node["name"], "speed", _speed(facts))
    if status == STOPPED:
        return _of_gate(node)
    if status == FAILED:
        return Catch(node["name"], _refused_by(facts), str(facts.get("error", "")))
    return None


def _refused_by(facts: Mapping[str, Any]) -> str:
    rules = dict.fromkeys(item["rule"] for item in facts.get("lint", ()) if item["severity"] == ERROR)
    return f"lint: {', '.join(rules)}" if rules else f"the step: {_first(str(facts.get('error', '')))}"


def _of_gate(node: Mapping[str, Any]) -> Catch:
    parity = node.get("facts", {}).get("gate_parity", {})
    checks = [check for check in node["verdict"].get("checks", ()) if check["outcome"] != "pass"]
    by: list[str] = []
    words: list[str] = []
    if parity and parity["outcome"] != "pass":
        by.append("parity")
        worst = "no number" if parity["worst"] is None else f"{parity['worst']:.3g}"
        words.append(f"logits differ by {worst}, at most {parity['limit']:g}")
    if checks:
        titles = [check["title"] for check in checks]
        more = f" and {len(titles) - _SHOWN} more" if len(titles) > _SHOWN else ""
        by.append(f"gate: {'; '.join(titles[:_SHOWN])}{more}")
        words += [check["reason"] for check in checks[:_SHOWN]]
    return Catch(node["name"], ", ".join(by), "; ".join(words))


def _speed(facts: Mapping[str, Any]) -> str:
    found = [
        item["sentence"] for name, item in facts.items() if name.startswith("speed") and "sentence" in item
    ]
    return "; ".join(found)


def _of_error(error: UlnaError, in_tree: bool) -> Catch:
    """in_tree: whether the tree was grown, so that what went wrong lies behind it and not before."""
    words = "; ".join(filter(None, (str(error), error.hint)))
    if isinstance(error, BackendError | BundleError):
        damaged = DigestMismatchError.__name__ in words
        return Catch("self-test", "digest of the file" if damaged else "golden cases", words)
    if in_tree:
        return Catch("release", _first(str(error)), words)
    return Catch("data", f"the division: {_first(str(error))}", words)


def _first(words: str) -> str:
    """What fits into a table: of a list of problems the first."""
    short = words.rpartition(" problems: ")[2].partition(";")[0].partition(" (")[0]
    return short if len(short) <= _LENGTH else f"{short[:_LENGTH]}…"
