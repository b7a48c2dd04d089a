"""The kiosk's screen as the benchmark sees it: another file each round, and a row with every figure."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import kiosk_screen
from benchmarks.kiosk_screen import fresh
from runtime.errors import UlnaError
from runtime.readers import read_bytes
from tests.bundles import radiograph_png
from tests.runtime.readers.makers import dicom, plate

HAS_BROWSER = shutil.which("chromium") and importlib.util.find_spec("playwright")


def test_each_round_sends_other_bytes_of_the_same_picture() -> None:
    for data in (dicom(plate(200, 100)), radiograph_png(True)):
        rounds = [fresh(data, number) for number in range(3)]
        assert len({data, *rounds}) == 4
        first, second, third = (read_bytes(one) for one in rounds)
        assert (first.pixels == second.pixels).all() and (first.pixels == third.pixels).all()
        assert first.warnings == second.warnings == read_bytes(data).warnings


def test_without_a_browser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UlnaError, match="no Chromium") as failed, kiosk_screen.opened_browser():
        pass
    assert "chromium" in failed.value.hint


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not HAS_BROWSER, reason="no Chromium or no Playwright on this machine")
def test_the_command_writes_a_row_with_the_times_of_picture_answer_and_window(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(kiosk_screen.main)
    (tmp_path / "picture.png").write_bytes(radiograph_png(True))
    given = ["--picture", str(tmp_path / "picture.png"), "--rounds", "1", "--out", str(tmp_path / "out.json")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    (row,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    assert row["rounds"] == 1 and "on the screen" in done.output
    for name in ("screen p50 ms", "screen p90 ms", "answer p50 ms", "first screen ms", "window p50 ms"):
        assert row[name] > 0, name
