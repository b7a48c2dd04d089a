"""The model that comes along: opened without a word, trusted for itself alone, and nobody's picture in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import reference, selftest
from runtime.errors import SignatureError
from runtime.reference import open_named
from runtime.trust import TrustStore, fingerprint, generate_key, load_public_key, save_public_key
from tests.bundles import radiograph_png

ULNA = Path(sys.executable).with_name("ulna")
LARGEST_BYTES = 20 * 10**6


def test_it_opens_on_a_machine_that_trusts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ULNA_TRUST", raising=False)

    bundle = open_named(None, None)

    assert bundle.signed_by == fingerprint(load_public_key(reference.key()))
    assert bundle.signed_by not in {key.fingerprint for key in TrustStore.default().keys}


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    save_public_key(generate_key().public_key(), tmp_path / "other.pem")

    with pytest.raises(SignatureError, match="does not trust"):
        open_named(None, [tmp_path / "other.pem"])


def test_the_self_test_finds_an_engine_for_it_here_and_float_always_passes() -> None:
    """Eight bits may not add up alike on every processor, which is what the self-test is for."""
    bundle = open_named(None, None)
    passed = {result.key: result.passed for result in selftest.run(bundle)}

    assert passed["onnxruntime-fp32"]
    assert passed[selftest.choose(bundle).key]


def test_its_weights_are_small_enough_for_the_package() -> None:
    held = sum(path.stat().st_size for path in (reference.folder() / "models").rglob("*") if path.is_file())

    assert held <= LARGEST_BYTES


def test_its_golden_cases_are_computed_and_its_card_says_whose_data_it_is_from() -> None:
    manifest = open_named(None, None).manifest
    card = (reference.folder().parent / "MODEL_CARD.md").read_text(encoding="utf-8")

    assert manifest.provenance["recipe"]["release"]["golden"] == "synthetic"
    assert "CC BY 4.0" in card and "not a diagnosis" in card
    assert manifest.version in card.splitlines()[0]
    assert manifest.anomaly is not None


def test_detect_without_a_bundle_answers_with_it(tmp_path: Path) -> None:
    (tmp_path / "plate.png").write_bytes(radiograph_png(True))
    command = [ULNA, "detect", tmp_path / "plate.png", "--engine", "onnxruntime-fp32", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)})

    # A drawn plate may look strange to it, which is an answer too.
    assert done.returncode in (0, 1), done.stderr
    assert json.loads(done.stdout)["provenance"]["bundle_name"] == "ulna-reference"
