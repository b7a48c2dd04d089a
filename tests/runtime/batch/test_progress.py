from __future__ import annotations

import io

import pytest
from rich.console import Console

from runtime.batch import progress
from runtime.batch.progress import Pace, shown


def test_the_pace_counts_what_was_read_now_and_the_rest_what_is_left() -> None:
    pace = Pace(total=100, before=40, done=20, unreadable=3, started_s=10.0)

    assert pace.words(20.0) == "60 of 100 files, 2.0 a second, 3 unreadable, about 20 s left"
    assert Pace(None, done=5).words(1.0) == "5 files, 5.0 a second, 0 unreadable"
    assert Pace(10_000, done=1).words(1.0).endswith("about 2 h 47 min left")
    assert Pace(601, done=1).words(1.0).endswith("about 10 min left")


def test_a_log_has_plain_lines_and_a_terminal_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LOG_EVERY_S", 0.0)
    log, screen = io.StringIO(), io.StringIO()
    for console in (Console(file=log), Console(file=screen, force_terminal=True, width=120)):
        with shown(console, Pace(2)) as update:
            update()

    assert log.getvalue().startswith("  0 of 2 files, ")
    assert "\x1b" not in log.getvalue()
    assert "0 of 2 files" in screen.getvalue() and "\x1b" in screen.getvalue()
