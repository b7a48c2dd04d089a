"""Engines for which no golden case can be found leave before the release, one by one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from compress.artifact import Artifact
from compress.golden import GoldenPool
from compress.golden_sources import keep_agreeing
from compress.ledger import Ledger, Node
from compress.progress import ProgressReporter
from compress.release import Shippable
from runtime.backends.base import Backend
from tests.compress.test_golden import pool

FAMILIAR, MOVED = np.full(4, 0.5), np.array([3.0, 3.0, 0.5, 0.5])


def nobody() -> Backend:
    raise AssertionError("who asks an engine here?")


def shippable(folder: Path, engine: str, seen: GoldenPool) -> Shippable:
    step = f"{engine}/int8"
    artifact = Artifact(step, folder / step, "model.onnx", "onnx", "0" * 64)
    return Shippable(engine, "int8", artifact, seen.reference, nobody)


def test_an_engine_with_other_features_fails_at_its_node_and_the_others_ship(tmp_path: Path) -> None:
    sound, said = pool([4.0, 3.0, -4.0, -3.0]), io.StringIO()
    (answer,) = sound.answers.values()
    keys = ("onnxruntime-int8", "openvino-int8")
    seen = replace(
        sound,
        answers=dict.fromkeys(keys, answer),
        strangeness=FAMILIAR,
        strange_to=dict(zip(keys, (FAMILIAR, MOVED), strict=True)),
    )
    ledger = Ledger(tmp_path, ProgressReporter(Console(file=said, width=300)))
    for engine in ("onnxruntime", "openvino"):
        ledger.skip_unless_made(Node(f"{engine}/int8", "export", engine, "compile"))
    items = tuple(shippable(tmp_path, engine, seen) for engine in ("onnxruntime", "openvino"))

    kept = keep_agreeing(seen, items, ledger)

    assert kept == items[:1]
    assert ledger.failed == ("openvino/int8",)
    error = ledger.nodes[1].facts["error"]
    assert "openvino/int8 has no golden cases" in error and "features_weight" in error
    assert "openvino/int8 has no golden cases" in said.getvalue()


def test_where_the_checkpoint_itself_has_none_no_engine_is_blamed(tmp_path: Path) -> None:
    seen = pool([4.0, 3.0, 2.0])
    ledger = Ledger(tmp_path, ProgressReporter(Console(file=io.StringIO())))
    items = (shippable(tmp_path, "onnxruntime", seen),)

    assert keep_agreeing(seen, items, ledger) == items
    assert ledger.failed == ()
