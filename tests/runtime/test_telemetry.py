"""No engine tells anybody that it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRST_IMPORTS = (
    "import runtime.backends.ort",
    "import compress.steps.rounding",
    "import device_app",
    "import benchmarks.results",
)


@pytest.mark.parametrize("first", FIRST_IMPORTS)
def test_onnxruntime_keeps_no_name_for_the_machine_and_no_reports(first: str, tmp_path: Path) -> None:
    told = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    environment = {**told, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "CI": ""}
    code = f"{first}; import onnxruntime, os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=environment)
    left = [path for path in tmp_path.rglob("*") if "onnxruntime" in str(path).lower()]
    assert left == []
