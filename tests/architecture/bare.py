"""Run Python as it would be after `pip install ulna` without extras: what only extras bring is not there."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_BLOCKER = """
import sys
class _WithoutExtras:
    names = frozenset({names!r})
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in self.names
        return None if hidden else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [_WithoutExtras(finder) for finder in sys.meta_path]
"""


@cache
def base_distributions() -> frozenset[str]:
    """The distributions that the base install brings, with all that they need in turn."""
    found: set[str] = set()
    waiting = ["ulna"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    return frozenset(found)


def extra_modules() -> list[str]:
    """Top-level modules that are installed here but would not be in a base install."""
    base = base_distributions()
    return sorted(
        module
        for module, owners in metadata.packages_distributions().items()
        if not base & {canonicalize_name(owner) for owner in owners} and module not in sys.stdlib_module_names
    )


def run_bare(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new interpreter that finds no module of an extra; `folder` is a scratch folder."""
    script = folder / "bare.py"
    script.write_text(_BLOCKER.format(names=extra_modules()) + code, encoding="utf-8")
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
