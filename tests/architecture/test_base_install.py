from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.architecture.bare import base_distributions, extra_modules, run_bare
from tests.architecture.tree import project_files

# One file an engine or a format, named after it: these alone may need an extra as soon as they are imported.
NAMING_AN_EXTRA = {"ov", "trt", "dicom"}

IMPORT_ALL = """
import importlib, traceback
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(f"{name}: {type(error).__name__}: {error}")
"""

HELP_OF_ALL = """
import json, typer
from typer.testing import CliRunner
from runtime.main import app
group = typer.main.get_command(app)
runner = CliRunner()
verbs = [[]] + [[name] for name in group.list_commands(None)]
for verb in list(verbs):
    command = group.get_command(None, verb[0]) if verb else None
    verbs += [[*verb, name] for name in getattr(command, "commands", {})]
report = {}
for verb in verbs:
    result = runner.invoke(app, [*verb, "--help"], prog_name="ulna")
    report[" ".join(verb)] = "" if result.exit_code == 0 and "Usage" in result.output else repr(result)
print(json.dumps(report))
"""


def _modules(package: str) -> list[str]:
    names = [name for name in project_files() if name.startswith(f"{package}/") and name.endswith(".py")]
    dotted = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names]
    return [name for name in dotted if name.rpartition(".")[2] not in NAMING_AN_EXTRA]


def test_the_base_install_is_small() -> None:
    assert {"numpy", "onnxruntime", "typer"} <= base_distributions()
    assert not {"torch", "onnx", "openvino", "flask", "sqlalchemy", "pydicom"} & base_distributions()
    assert "torch" in extra_modules()


def test_every_module_of_runtime_imports_without_extras(tmp_path: Path) -> None:
    modules = _modules("runtime")
    assert len(modules) > 10
    done = run_bare(IMPORT_ALL, tmp_path, *modules)
    assert done.stdout + done.stderr == ""


def test_every_command_line_module_and_the_updater_import_without_extras(tmp_path: Path) -> None:
    modules = [
        name
        for package in ("runtime", "compress", "device_app")
        for name in _modules(package)
        if name.rpartition(".")[2].startswith("cli") or name.startswith("device_app.update")
    ]
    assert len(modules) > 5
    done = run_bare(IMPORT_ALL, tmp_path, *modules)
    assert done.stdout + done.stderr == ""


def test_the_help_of_every_verb_works_without_extras(tmp_path: Path) -> None:
    done = run_bare(HELP_OF_ALL, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert {verb: problem for verb, problem in report.items() if problem} == {}
    expected = {
        "bench",
        "detect",
        "doctor",
        "evaluate",
        "install",
        "rollback",
        "run",
        "serve",
        "slots",
        "verify",
    }
    assert expected <= set(report)


@pytest.mark.parametrize("verb", ["run", "serve"])
def test_a_verb_whose_extra_is_missing_says_which(verb: str, tmp_path: Path) -> None:
    code = "sys.argv = ['ulna', *sys.argv[1:]]\nfrom runtime.main import main\nmain()\n"
    arguments = {"run": ["--out", "run"], "serve": ["--bundle", "none", "--data", "data"]}[verb]
    done = run_bare(code, tmp_path, verb, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr
