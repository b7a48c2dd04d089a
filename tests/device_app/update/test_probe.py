from __future__ import annotations

from pathlib import Path

import pytest

from device_app.update.probe import probe
from tests.device_app.update.conftest import Workshop

CRASHING_ENGINE = """
import os
import onnxruntime
onnxruntime.InferenceSession.run = lambda *args, **kwargs: os.abort()
"""


def test_a_sound_bundle_passes_and_says_with_which_engine(workshop: Workshop) -> None:
    result = probe(workshop.bundle(), workshop.trust())
    assert result.passed
    assert result.engine == "onnxruntime-fp32"


@pytest.mark.parametrize("fault", ["golden", "nan", "garbage"])
def test_a_bundle_that_answers_wrongly_fails_with_a_reason(workshop: Workshop, fault: str) -> None:
    result = probe(workshop.bundle(fault=fault), workshop.trust())
    assert not result.passed
    assert result.engine == ""
    assert result.reason


def test_an_engine_that_never_answers_is_ended_and_fails(workshop: Workshop) -> None:
    result = probe(workshop.bundle(fault="hang"), workshop.trust(), timeout_s=5)
    assert not result.passed
    assert "within 5 s" in result.reason


def test_an_engine_that_crashes_fails_and_the_installer_lives(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASHING_ENGINE)
    monkeypatch.syspath_prepend(tmp_path)
    result = probe(workshop.bundle(), workshop.trust())
    assert not result.passed
    assert "SIGABRT" in result.reason


def test_a_bundle_signed_by_another_key_is_not_even_loaded(workshop: Workshop) -> None:
    result = probe(workshop.bundle(signer="stranger"), workshop.trust())
    assert not result.passed
    assert "signed by key" in result.reason
