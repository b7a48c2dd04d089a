"""Verbs that are one process refuse to be started by torchrun, before they touch anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from compress.cli import app
from runtime.errors import RecipeError


@pytest.mark.parametrize(
    "verb",
    [
        ["run"],
        ["matrix"],
        ["patches", "train"],
        ["patches", "sample", "--sheet", "sheet.png"],
        ["patches", "compare"],
        ["train", "--from", "bundle", "--add", "cases"],
    ],
    ids=" ".join,
)
def test_a_verb_of_one_process_refuses_torchrun(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}
    with pytest.raises(RecipeError, match="torchrun started 2") as caught:
        CliRunner().invoke(app, [*verb, "--out", "out"], env=started, catch_exceptions=False)
    assert "without torchrun" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
