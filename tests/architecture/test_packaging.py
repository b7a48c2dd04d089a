from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.architecture.tree import PACKAGES, ROOT, project_files

HEAVY = {
    "torch",
    "onnx",
    "nncf",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
    "flask",
    "sqlalchemy",
    "pydicom",
    "scipy",
}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution of the tree, and a wheel built from that and not from the tree."""
    copy = tmp_path_factory.mktemp("tree")
    for name in project_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(dist.glob("*.whl")))


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {name for name in project_files() if name.split("/")[0] in PACKAGES}


@pytest.mark.parametrize(
    "pattern",
    [
        "runtime/py.typed",
        "compress/py.typed",
        "device_app/py.typed",
        "runtime/schemas/findings-1.json",
        "compress/recipes/demo.toml",
        "compress/report/templates",
        "compress/report/run.schema.json",
        "device_app/templates",
        "device_app/static",
        "device_app/store/migrations",
        "device_app/update/ulna-kiosk.service",
    ],
)
def test_the_wheel_holds_the_data_that_the_code_reads(wheel: zipfile.ZipFile, pattern: str) -> None:
    assert [name for name in wheel.namelist() if name == pattern or name.startswith(f"{pattern}/")]


def test_the_wheel_names_the_command_its_license_and_its_verbs(wheel: zipfile.ZipFile) -> None:
    info = next(name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    points = wheel.read(f"{info}/entry_points.txt").decode()
    assert "ulna = runtime.main:main" in points
    assert all(f"{package} = {package}.cli:app" in points for package in PACKAGES)
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_the_base_install_asks_for_nothing_heavy(wheel: zipfile.ZipFile) -> None:
    info = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = BytesParser().parsebytes(wheel.read(info))
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    base = {
        item.name.lower() for item in required if item.marker is None or item.marker.evaluate({"extra": ""})
    }
    assert base
    assert not base & HEAVY


def test_the_source_distribution_holds_what_a_build_needs(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names
