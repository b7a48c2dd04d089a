from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.batch.kit import make_clinic


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed bundle and the key that signed it."""
    return make_clinic(tmp_path_factory.mktemp("clinic"))
