"""The pages' times under load: rows for every page, on a real kiosk with a real queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import kiosk_load
from tests.bundles import radiograph_png


def test_a_row_sets_the_full_queue_against_no_queue_and_counts_what_is_in_time() -> None:
    row = kiosk_load._row("history", idle=[10.0] * 99 + [20.0], full=[30.0] * 98 + [151.0] * 2)
    assert (row["idle p50 ms"], row["full p50 ms"], row["p50 ratio"]) == (10.0, 30.0, 3.0)
    assert (row["full p99 ms"], row["share within 150 ms"], row["requests"]) == (151.0, 0.98, 100)


@pytest.mark.slow
def test_every_page_gets_its_times_idle_and_with_a_queue(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(kiosk_load.main)
    (tmp_path / "picture.png").write_bytes(radiograph_png(True))
    given = ["--picture", str(tmp_path / "picture.png"), "--out", str(tmp_path / "out.json")]
    done = CliRunner().invoke(app, [*given, "--requests", "7", "--turns", "1", "--waiting", "40"])
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    assert [row["page"] for row in rows][-1] == "all" and len(rows) == 8
    assert sum(row["requests"] for row in rows[:-1]) == rows[-1]["requests"] == 4 * 7
    for row in rows:
        assert 0 < row["full p50 ms"] <= row["full p99 ms"] and 0 <= row["share within 150 ms"] <= 1
