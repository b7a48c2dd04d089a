from __future__ import annotations

from pathlib import Path

import pytest

from tests.compress.steps import graphs


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "model.onnx"
    path.write_bytes(graphs.residual_bytes())
    return path
