"""What a real signed bundle says is to be expected."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from device_app.monitoring.expectation import Expectations, read_expectation
from runtime.bundle import open_bundle, write_bundle
from runtime.errors import SignatureError
from runtime.expected import BINS, ClassAnswers, ExpectedAnswers
from runtime.manifest import Manifest
from runtime.trust import TrustStore, generate_key, save_public_key
from tests.device_app import sample

CLASS = ClassAnswers(1, 2, 3, (6, *[0] * (BINS - 1)))
ANSWERS = ExpectedAnswers(4, 1, CLASS, CLASS)


def with_answers(root: Path, plain: Path, key, own_points: bool = False) -> str:
    """The sample bundle with expected answers; its digest."""
    old = open_bundle(plain, TrustStore.of(key))
    engines = old.manifest.engines
    if own_points:
        engines = tuple(replace(entry, operating_points=sample.POINTS) for entry in engines)
    files = {name: old.read(name) for name in old.manifest.files if name != "signer.pem"}
    manifest: Manifest = replace(old.manifest, expected=ANSWERS, engines=engines, files={})
    return write_bundle(root, manifest, files, key).digest


def test_the_answers_are_read_from_the_bundle_at_work(config, tmp_path, kiosk_bundle, kiosk_keys) -> None:
    digest = with_answers(tmp_path / "new", kiosk_bundle, kiosk_keys[0])
    known = Expectations(replace(config, bundle=tmp_path / "new"))
    found = known.of(digest, wait_s=60)
    assert found is not None and found.answers == ANSWERS and found.points == sample.POINTS
    assert known.of(digest) is found


def test_a_bundle_from_before_says_nothing(config) -> None:
    found = read_expectation(config)
    assert found.answers is None and found.points == sample.POINTS


def test_an_engine_with_thresholds_of_its_own_is_not_compared(
    config, tmp_path, kiosk_bundle, kiosk_keys
) -> None:
    with_answers(tmp_path / "new", kiosk_bundle, kiosk_keys[0], own_points=True)
    assert read_expectation(replace(config, bundle=tmp_path / "new")).answers is None


def test_nothing_is_known_before_the_inference_process_has_said_its_bundle(config) -> None:
    assert Expectations(config).of("") is None


def test_another_bundle_than_the_one_at_work_is_not_taken_for_it(config) -> None:
    known = Expectations(config)
    assert known.of("cd" * 32, wait_s=60) is None
    digest = json.loads(json.dumps(read_expectation(config).bundle_sha256))
    assert known.of(digest) is not None


def test_a_bundle_that_nobody_trusts_is_not_read(config, tmp_path) -> None:
    save_public_key(generate_key().public_key(), tmp_path / "other.pem")
    distrusting = replace(config, trust=(tmp_path / "other.pem",))
    with pytest.raises(SignatureError):
        read_expectation(distrusting)
    assert Expectations(distrusting).of("ab" * 32, wait_s=60) is None
