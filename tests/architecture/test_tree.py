from __future__ import annotations

import re
from pathlib import PurePath

import pytest

from tests.architecture.tree import ROOT, project_files

# Written in pieces, or this file would be found by its own search.
FORBIDDEN = {
    "an absolute path of a developer's machine": r"(?<![\w.}])/" + r"(work|home|root)/[a-z]",
    "the address of a package registry": r"pypi\." + r"org|python" + r"hosted\.org",
    "a private key": "BEGIN " + "(EC |RSA )?PRIVATE KEY-----\n[A-Za-z0-9+/]{20}",
    "an unfinished place": r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b",
}
_BINARY = {".png", ".jpg", ".ico", ".woff2", ".mo", ".dcm", ".onnx", ".tif", ".tiff"}


def _texts() -> list[str]:
    return [name for name in project_files() if PurePath(name).suffix not in _BINARY]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for name in _texts():
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {match[0]!r}" for match in pattern.finditer(text)]
    assert not found


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {
        PurePath(name).parent
        for name in project_files()
        if name.startswith("tests/") and name.endswith(".py")
    }
    with_parents = {parent for folder in folders for parent in (folder, *folder.parents)} - {PurePath()}
    assert not [folder for folder in with_parents if not (ROOT / folder / "__init__.py").is_file()]


def test_no_large_file_slips_in_but_the_reference_model() -> None:
    large = [name for name in project_files() if (ROOT / name).stat().st_size > 1_000_000]
    assert not [name for name in large if not name.startswith("runtime/reference/bundle/models/")]
