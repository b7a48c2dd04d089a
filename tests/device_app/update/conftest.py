from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.trust import generate_key, save_public_key
from tests.bundles import BundleOptions, make_bundle


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


class Workshop:
    """Makes and keeps signed bundles: two keys, each bundle once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keys = {name: generate_key() for name in ("maker", "stranger")}
        for name, key in self._keys.items():
            save_public_key(key.public_key(), self.trust(name))

    def trust(self, signer: str = "maker") -> Path:
        return self.folder / f"{signer}.pem"

    def bundle(self, version: str = "1.0.0", fault: str = "", signer: str = "maker") -> Path:
        path = self.folder / f"{signer}-{version}-{fault}"
        if not path.exists():
            make_bundle(path, self._keys[signer], BundleOptions(version=version, fault=fault))
        return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "box"


@pytest.fixture
def said() -> tuple[list[str], Callable[[str], None]]:
    lines: list[str] = []
    return lines, lines.append
