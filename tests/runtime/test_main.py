"""The `ulna` command itself: finding verbs, errors, exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
import typer

from runtime import main as command
from runtime.errors import GateError, UlnaError

PLUGINS = {
    "runtime": """
import typer
app = typer.Typer()
keys = typer.Typer()
app.add_typer(keys, name="keys")
@app.command()
def near(): "A verb of the first package."; typer.echo("near was run")
@keys.command()
def new(): "Inside a group."; typer.echo("new was run")
@keys.command()
def old(): "Inside a group."
""",
    "single": """
import typer
app = typer.Typer()
@app.command()
def lonely(name: str = "x"): "The only verb of its package."; typer.echo(f"lonely {name}")
""",
    "failing": """
import typer
from runtime.errors import GateError, UlnaError
app = typer.Typer()
@app.command()
def known(): raise UlnaError("it is broken\\nin two lines", "mend it")
@app.command()
def gate(): raise GateError("the gate failed", verdict=None)
@app.command()
def disk(): open("/no/such/file")
@app.command()
def evil(): raise UlnaError("file \x1b[2Jgone was altered")
@app.command()
def bug(): raise KeyError("a real bug")
@app.command()
def slow():
    import time
    typer.echo("started")
    time.sleep(60)
@app.command()
def extra():
    import torch
""",
    "torchy": "import torch\n",
    "buggy": "import typer\nfrom runtime import nonsense_that_is_not_there\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A module path without torch: the plug-ins, and a blocked torch."""
    for name, source in PLUGINS.items():
        (tmp_path / f"plugin_{name}.py").write_text(source)
    return tmp_path


def ulna(folder: Path, plugins: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these plug-ins as its only packages, on a machine without torch."""
    return subprocess.run(
        _program(folder, plugins, *arguments), capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "COLUMNS": "100", "TERM": "dumb"},
    )  # fmt: skip


def _program(folder: Path, plugins: str, *arguments: str) -> list[str]:
    points = ", ".join(f"EntryPoint({name!r}, 'plugin_{name}:app', 'ulna.verbs')" for name in plugins.split())
    code = f"""
import importlib.machinery, sys
from importlib import metadata
from importlib.metadata import EntryPoint
sys.path.insert(0, {str(folder)!r})
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name == "torch" else find(name, *rest))
metadata.entry_points = lambda group: [{points}]
sys.argv = ["ulna", *{list(arguments)!r}]
from runtime.main import main
main()
"""
    return [sys.executable, "-c", code]


def test_help_lists_the_verbs_of_all_packages_side_by_side(folder: Path) -> None:
    done = ulna(folder, "single runtime failing", "--help")
    assert done.returncode == 0, done.stderr
    for verb in ("near", "keys", "lonely", "known"):
        assert f" {verb} " in done.stdout
    assert "A verb of the first package." in done.stdout


def test_verbs_and_verbs_of_groups_run(folder: Path) -> None:
    assert ulna(folder, "runtime single", "near").stdout == "near was run\n"
    assert ulna(folder, "runtime single", "keys", "new").stdout == "new was run\n"
    assert ulna(folder, "runtime single", "lonely", "--name", "y").stdout == "lonely y\n"


def test_a_verb_of_the_runtime_needs_no_other_package(folder: Path) -> None:
    """Not even one whose import fails with a real bug."""
    assert ulna(folder, "buggy torchy runtime", "near").stdout == "near was run\n"


def test_help_names_a_package_whose_libraries_are_missing_and_what_installs_them(folder: Path) -> None:
    done = ulna(folder, "runtime torchy", "--help")
    assert done.returncode == 0, done.stderr
    assert "near" in done.stdout
    assert "torchy (torch is not installed)" in " ".join(done.stdout.split())
    assert 'pip install "ulna[compress]"' in " ".join(done.stdout.split())


def test_a_verb_that_a_missing_package_may_bring_says_what_to_install(folder: Path) -> None:
    done = ulna(folder, "runtime torchy", "train")
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert "no verb 'train' here" in error and "torch is not installed" in error
    assert hint == 'hint: run pip install "ulna[compress]"'


def test_a_real_bug_in_a_package_is_shown_not_hidden(folder: Path) -> None:
    done = ulna(folder, "runtime buggy", "--help")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "nonsense_that_is_not_there" in done.stderr


def test_a_verb_that_needs_a_missing_library_says_what_to_install(folder: Path) -> None:
    done = ulna(folder, "failing", "extra")
    assert done.returncode == 1
    assert done.stderr == 'error: torch is not installed\nhint: run pip install "ulna[compress]"\n'


def test_a_known_error_is_one_line_and_a_hint_and_exit_code_1(folder: Path) -> None:
    done = ulna(folder, "failing", "known")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: it is broken in two lines\nhint: mend it\n"


def test_a_failed_gate_is_exit_code_3_and_no_hint_is_no_line(folder: Path) -> None:
    done = ulna(folder, "failing", "gate")
    assert (done.returncode, done.stderr) == (3, "error: the gate failed\n")


def test_a_file_that_the_system_refuses_is_one_line_and_exit_code_1(folder: Path) -> None:
    done = ulna(folder, "failing", "disk")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == "error: cannot use /no/such/file: No such file or directory"
    assert second.startswith("hint: ")


def test_a_file_name_in_an_error_cannot_steer_the_terminal(folder: Path) -> None:
    assert ulna(folder, "failing", "evil").stderr == "error: file ?[2Jgone was altered\n"


def test_a_bug_in_a_verb_keeps_its_traceback(folder: Path) -> None:
    done = ulna(folder, "failing", "bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "KeyError" in done.stderr


@pytest.mark.parametrize("arguments", [("nonsense",), ("near", "--nonsense"), ("keys", "nonsense")])
def test_wrong_usage_is_exit_code_2(folder: Path, arguments: tuple[str, ...]) -> None:
    done = ulna(folder, "runtime single", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_mistyped_verb_is_answered_with_the_nearest(folder: Path) -> None:
    assert "Did you mean 'lonely'" in ulna(folder, "runtime single", "lonly").stderr.replace("\n", " ")


def test_an_interrupt_is_exit_code_130_without_a_traceback(folder: Path) -> None:
    with subprocess.Popen(
        _program(folder, "failing", "slow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert "Traceback" not in process.stderr.read()


def test_two_packages_with_one_verb_are_a_bug(folder: Path) -> None:
    (folder / "plugin_twin.py").write_text(PLUGINS["single"])
    done = ulna(folder, "single twin", "--help")
    assert done.returncode == 1
    assert "'lonely', which another package has already" in done.stderr


def test_the_version_is_that_of_the_distribution(folder: Path) -> None:
    assert ulna(folder, "runtime", "--version").stdout == f"ulna {metadata.version('ulna')}\n"


def test_every_declared_package_can_be_loaded_here() -> None:
    for point in metadata.entry_points(group=command.ENTRY_POINT_GROUP):
        assert isinstance(point.load(), typer.Typer)


def test_exit_codes_belong_to_the_errors() -> None:
    assert (UlnaError("x").exit_code, GateError("x", None).exit_code) == (1, 3)
    assert importlib.import_module("runtime.main") is command
