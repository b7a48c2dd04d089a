"""What the weekly figures keep of one answer. Pure: the text of Findings in, plain values out.

Whatever stands in the text, something comes out: the figures must never keep an answer from being stored.
Nothing that a file says of its patient is kept.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from runtime import strict
from runtime.errors import BundleFormatError
from runtime.findings import OperatingPoints, Verdict

FAILED = "failed"
"""Verdict of a try that ended without any answer."""
_SAID_BY_A_FILE = re.compile(r"(?<![A-Za-z])['\"]|[0-9:;(]")
_MAX_KIND_CHARS = 80
_MAX_CODE_CHARS = 20
_MAX_ENGINE_CHARS = 40


class Tally(NamedTuple):
    """A tuple, for there are tens of thousands a year.

    verdict: a Verdict, "failed", or "" for what cannot be understood. reason: code of a refusal.

    probability: None without one. engine: like "onnxruntime-int8". warnings: their kinds. timings_ms: per
    stage. by_bundle: the verdict by the bundle's own limits, where a site's stood in for them, else "".
    """

    verdict: str
    reason: str = ""
    probability: float | None = None
    engine: str = ""
    warnings: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = MappingProxyType({})
    by_bundle: str = ""

    def detail_json(self) -> str:
        """What has no column of its own."""
        more = {"by_bundle": self.by_bundle} if self.by_bundle else {}
        return json.dumps({"warnings": self.warnings, "timings_ms": dict(self.timings_ms), **more})


def tally(findings_json: str) -> Tally:
    """Of what was stored as an answer."""
    try:
        record = json.loads(findings_json)
    except (RecursionError, ValueError):
        record = None
    record = record if isinstance(record, dict) else {}
    source = _table(record.get("provenance"))
    engine = "-".join(filter(None, (_word(source.get("engine")), _word(source.get("precision")))))
    verdict, chance = _word(record.get("verdict")), _probability(record.get("probability"))
    return Tally(
        verdict=verdict if verdict in set(map(str, Verdict)) else "",
        reason=_word(_table(record.get("refusal")).get("code"))[:_MAX_CODE_CHARS],
        probability=chance,
        engine=engine[:_MAX_ENGINE_CHARS],
        warnings=tuple(map(warning_kind, filter(_is_text, _list(record.get("warnings"))))),
        timings_ms=_timings(record.get("timings_ms")),
        by_bundle=_by_bundle(record.get("bundle_points"), chance),
    )


def warning_kind(warning: str) -> str:
    """A warning without figures and without what a file or a person has said: its beginning."""
    return _SAID_BY_A_FILE.split(warning, maxsplit=1)[0].strip(" .,")[:_MAX_KIND_CHARS]


def details(text: str) -> tuple[tuple[str, ...], dict[str, float], str]:
    """Kinds of warnings, milliseconds per stage and the verdict by the bundle's own limits, as
    `Tally.detail_json` wrote them; nothing in other text.
    """
    try:
        table = strict.loads(text.encode(), "detail")
        return tuple(table["warnings"]), table["timings_ms"], str(table.get("by_bundle", ""))
    except (BundleFormatError, KeyError, TypeError, ValueError):
        return (), {}, ""


def _by_bundle(points: Any, chance: float | None) -> str:
    if chance is None or not isinstance(points, dict):
        return ""
    try:
        return str(OperatingPoints(**points).decide(chance))
    except (OverflowError, TypeError, ValueError):
        return ""


def _probability(value: Any) -> float | None:
    return float(value) if _is_number(value) and 0 <= value <= 1 else None


def _timings(value: Any) -> dict[str, float]:
    return {str(name): float(ms) for name, ms in _table(value).items() if _is_number(ms) and ms >= 0}


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that no float is as large as
        return False


def _word(value: Any) -> str:
    """A text as a table can hold it, half a letter left out; "" for what is none."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
