"""The model that comes along: opened without a word, and trusted for itself alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime import reference
from runtime.errors import BundleError, SignatureError
from runtime.main import app
from runtime.reference import open_named
from runtime.trust import TrustStore, generate_key, save_public_key
from tests.bundles import BundleOptions, make_bundle


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose reference model is a test bundle, on a machine that trusts nobody."""
    place, key = tmp_path / "package", generate_key()
    place.mkdir()
    make_bundle(place / "bundle", key, BundleOptions(name="along"))
    save_public_key(key.public_key(), place / "signer.pem")
    monkeypatch.setattr(reference, "_PACKAGE", place)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ULNA_TRUST", raising=False)
    return place


def test_without_a_name_the_model_that_came_along_is_opened_though_nobody_is_trusted(package: Path) -> None:
    bundle = open_named(None, None)

    assert bundle.manifest.name == "along"
    assert not TrustStore.default().keys


def test_its_key_counts_for_no_other_bundle(package: Path) -> None:
    with pytest.raises(SignatureError, match="does not trust"):
        open_named(package / "bundle", None)


def test_a_named_key_takes_the_place_of_the_one_that_came_along(package: Path, tmp_path: Path) -> None:
    save_public_key(generate_key().public_key(), tmp_path / "other.pem")

    with pytest.raises(SignatureError, match="does not trust"):
        open_named(None, [tmp_path / "other.pem"])


def test_an_installation_without_one_asks_for_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "_PACKAGE", tmp_path)

    with pytest.raises(BundleError, match="no reference model") as caught:
        open_named(None, None)
    assert "--bundle" in caught.value.hint


def test_verify_without_a_bundle_shows_the_model_that_came_along(package: Path) -> None:
    done = CliRunner().invoke(app, ["verify", "--json"])

    assert done.exit_code == 0, done.output
    assert '"along"' in done.output
