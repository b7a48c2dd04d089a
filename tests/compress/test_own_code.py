"""The digest of the code: of this very code, and of all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compress.own_code import own_code


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("compress", "runtime"):
        (tmp_path / name / "steps").mkdir(parents=True)
        (tmp_path / name / "steps" / "one.py").write_text("1")
    monkeypatch.setattr("compress.own_code.resources.files", lambda name: tmp_path / name)
    own_code.cache_clear()
    yield tmp_path
    own_code.cache_clear()


def test_any_changed_or_moved_source_is_another_code(packages: Path) -> None:
    seen = {own_code()}
    changes: tuple[Callable[[], object], ...] = (
        lambda: (packages / "runtime" / "steps" / "one.py").write_text("2"),
        lambda: (packages / "compress" / "steps" / "one.py").rename(packages / "compress" / "two.py"),
        lambda: (packages / "runtime" / "new.py").write_text(""),
    )
    for change in changes:
        change()
        own_code.cache_clear()
        seen.add(own_code())
    assert len(seen) == 4


def test_what_is_no_source_changes_nothing(packages: Path) -> None:
    before = own_code()
    (packages / "compress" / "recipe.toml").write_text("[x]")
    own_code.cache_clear()
    assert own_code() == before
