from __future__ import annotations

from pathlib import Path

import pytest

from tests.compress.layers import nets


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The float network."""
    return nets.write(tmp_path_factory.mktemp("float"), nets.exported())


@pytest.fixture(scope="session")
def int8(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In eight bits for ONNX Runtime."""
    return nets.quantized("onnxruntime", source, tmp_path_factory.mktemp("int8") / "made")


@pytest.fixture(scope="session")
def ir8(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In eight bits for OpenVINO."""
    return nets.quantized("openvino", source, tmp_path_factory.mktemp("ir8") / "made")
