"""The bare install: every module of the runtime that names no extra imports, and every --help works."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import runtime
from runtime.extras import _EXTRA_OF

NEEDS_EXTRA = {"runtime.backends.ov": "openvino"}
"""Modules that are an extra's own, and the library they name when it is missing."""

BARE = "numpy cv2 onnxruntime cryptography typer rich"
BLOCK = f"""
import importlib.machinery, sys
blocked = {sorted(_EXTRA_OF)!r} + ["tensorrt", "openvino_telemetry", "cuda"]
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name.split(".")[0] in blocked else find(name, *rest))
"""


def modules() -> list[str]:
    found = pkgutil.walk_packages(runtime.__path__, "runtime.")
    return [module.name for module in found]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "COLUMNS": "100", "TERM": "dumb"},
    )  # fmt: skip


def test_the_block_really_hides_the_extras() -> None:
    done = python(f"import {BARE.replace(' ', ', ')}\nimport openvino")
    assert "No module named 'openvino'" in done.stderr


def test_every_module_imports_without_any_extra() -> None:
    names = [name for name in modules() if name not in NEEDS_EXTRA]
    assert len(names) > 20
    done = python(f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NEEDS_EXTRA)
def test_a_module_of_an_extra_names_the_library_that_is_missing(name: str) -> None:
    assert f"No module named '{NEEDS_EXTRA[name]}'" in python(f"import {name}").stderr


@pytest.mark.parametrize(
    "verb",
    [
        "",
        "detect",
        "verify",
        "doctor",
        "bench",
        *("keys", "keys new", "keys trust", "keys list"),
        *("engines", "engines build", "engines list", "engines prune"),
    ],
)
def test_help_works_without_any_extra(verb: str) -> None:
    done = python(
        f"import sys; sys.argv = ['ulna', *{verb.split()!r}, '--help']\nfrom runtime.main import main; main()"
    )
    assert done.returncode == 0, done.stderr
    assert "Usage: ulna" in done.stdout


def test_doctor_works_without_any_extra() -> None:
    done = python("import sys; sys.argv = ['ulna', 'doctor']\nfrom runtime.main import main; main()")
    assert done.returncode == 0, done.stderr
    assert "openvino is not installed" in done.stdout
    assert 'pip install "ulna[openvino]"' in " ".join(done.stdout.split())


def test_quick_help_imports_no_engine_and_no_image_library() -> None:
    code = (
        "import sys\nfrom runtime.cli import app\n"
        "print([name for name in ('numpy', 'cv2', 'onnxruntime', 'cryptography') if name in sys.modules])"
    )
    assert python(code).stdout.strip() == "[]"


def test_the_extras_are_those_of_the_project() -> None:
    import tomllib

    project = tomllib.loads((Path(runtime.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert set(_EXTRA_OF.values()) <= set(project["optional-dependencies"])
