"""What the self-test found out about each engine, from the inference process to the screens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from runtime import strict
from runtime.errors import BundleFormatError
from runtime.golden import EngineResult


@dataclass(frozen=True)
class EngineReport:
    """key: like "openvino-int8". passed: it answered every golden case as released. reason: why, or why not.
    typical_ms: of one inference, None where it was not timed. device: on what it ran.
    """

    key: str
    passed: bool
    reason: str
    typical_ms: float | None = None
    device: str = ""


@dataclass(frozen=True)
class _Reports:
    engines: tuple[EngineReport, ...] = ()


def text_of(results: Sequence[EngineResult]) -> str:
    """As the worker reports it."""
    reports = tuple(
        EngineReport(
            one.key,
            one.passed,
            one.reason,
            round(one.latency.p50_ms, 1) if one.latency else None,
            one.device,
        )
        for one in results
    )
    return json.dumps(asdict(_Reports(reports)))


def of_text(text: str) -> tuple[EngineReport, ...]:
    """The same back; nothing for what is no such report."""
    if not text:
        return ()
    try:
        return strict.build(_Reports, strict.loads(text.encode(), "engines"), "engines").engines
    except BundleFormatError:
        return ()
