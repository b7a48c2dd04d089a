"""A build's progress as it appears on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from runtime.build_bars import BuildBars
from runtime.trt_build.progress import BuildProgress


def shown(*steps: BuildProgress, terminal: bool = True) -> str:
    out = io.StringIO()
    with BuildBars(Console(file=out, force_terminal=terminal, width=80), "tensorrt-int8") as bars:
        for step in steps:
            bars.show(step)
    return out.getvalue()


def test_a_phase_stands_below_the_one_that_it_is_part_of_and_counts_its_steps() -> None:
    text = shown(BuildProgress("Building engine", "", 1, 6), BuildProgress("Timing", "Building engine", 2, 3))
    lines = text.splitlines()
    assert any("  Building engine" in line and "1/6" in line for line in lines)
    assert any("    Timing" in line and "2/3" in line for line in lines)


def test_a_phase_that_has_ended_is_gone_and_one_never_begun_is_no_trouble() -> None:
    begun, ended = BuildProgress("Building", "", 0, 6), BuildProgress("Building", "", 6, 6, ended=True)
    text = shown(begun, ended, BuildProgress("Writing", "", 0, 1))
    last = text[text.rindex("tensorrt-int8") :]
    assert "Writing" in last and "Building" not in last
    assert "tensorrt-int8" in shown(ended)


def test_what_is_no_terminal_gets_no_bars() -> None:
    assert shown(BuildProgress("Building engine", "", 1, 6), terminal=False).strip() == ""
