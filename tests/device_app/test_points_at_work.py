"""Limits of a site at work: in the worker's own code, and in a kiosk as a person starts it."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from device_app import KioskConfig
from device_app.answers import ScreenState, answer
from device_app.limits_text import limits_of_text
from device_app.monitoring.tally import tally
from device_app.store import Store, open_store, prepare_store
from device_app.store.log import Action
from device_app.store.models import SitePoints
from device_app.store.records import Upload
from device_app.store.site_cases import Scale, cases_of
from device_app.store.site_points import Change, change_points, last_decision
from device_app.worker import read_picture
from runtime.bundle import open_bundle
from runtime.detector import Detector, from_bundle
from runtime.findings import GivenPoints, OperatingPoints
from runtime.selftest import choose
from runtime.trust import TrustStore
from tests.device_app import sample
from tests.device_app.conftest import wait_until
from tests.device_app.test_serve import Kiosk

HIGHER = GivenPoints(OperatingPoints(0.6, 0.9), sample.POINTS)
"""By which the sample's doubtful picture is none, if its chance lies between."""


@pytest.fixture
def given(kiosk_bundle: Any, kiosk_keys: Any) -> Iterator[Detector]:
    trust = TrustStore.from_paths(kiosk_keys[1])
    with from_bundle(open_bundle(kiosk_bundle, trust), sample.KEY) as opened:
        yield opened


def decide(store: Store, bundle: str, points: GivenPoints | None, after: int = 0) -> int:
    return change_points(store.database, "p1", Change(bundle, points, "tested", after, {})).number


def read_one(store: Store, detector: Detector, data: bytes) -> str:
    receipt = store.records.receive(io.BytesIO(data), Upload("a.png"))
    claim = store.queue.claim("here")
    assert claim is not None and store.queue.complete(claim, read_picture(claim, store, detector))
    return receipt.public_id


def test_new_answers_are_decided_by_given_limits_and_say_so_and_old_ones_stay(
    store: Store, given: Detector
) -> None:
    first = read_one(store, given, sample.picture(sample.DOUBT, 1))
    given.given = HIGHER
    second = read_one(store, given, sample.picture(sample.DOUBT, 2))
    old, new = (store.records.examination(one).images[0] for one in (first, second))  # type: ignore[union-attr]
    assert (answer(old).state, answer(old).points) == (ScreenState.DOUBT, sample.POINTS)
    assert (answer(new).state, answer(new).points) == (ScreenState.NONE, HIGHER.points)
    record = json.loads(new.findings_json or "")
    assert record["bundle_points"] == vars(sample.POINTS)
    assert record["provenance"]["thresholds_sha256"] == HIGHER.points.digest
    assert "bundle_points" not in json.loads(old.findings_json or "")
    logged = [one.detail for one in store.log.page(1, 20).entries if one.action == Action.ANSWERED]
    digests = [detail["thresholds_sha256"] for detail in logged]
    assert digests == [HIGHER.points.digest, sample.POINTS.digest]
    scale = Scale(given.spec.provenance.bundle_sha256, sample.POINTS)
    assert len(cases_of(store.database).evidence(scale).answered) == 2


def test_the_watch_goes_by_what_the_bundle_would_have_said(store: Store, given: Detector) -> None:
    given.given = HIGHER
    found = read_one(store, given, sample.picture(sample.DOUBT, 1))
    image = store.records.examination(found).images[0]  # type: ignore[union-attr]
    told = tally(image.findings_json or "")
    assert (told.verdict, told.by_bundle) == ("none", "doubt")


def test_limits_that_stand_in_for_others_do_not_count(store: Store, given: Detector) -> None:
    given.given = replace(HIGHER, instead_of=OperatingPoints(0.2, 0.7))
    found = read_one(store, given, sample.picture(sample.DOUBT, 1))
    said = answer(store.records.examination(found).images[0])  # type: ignore[union-attr]
    assert (said.state, said.points) == (ScreenState.DOUBT, sample.POINTS)


def test_the_self_test_goes_by_the_bundles_own(given: Detector, kiosk_bundle: Any, kiosk_keys: Any) -> None:
    given.given = HIGHER
    assert given.spec.operating_points == sample.POINTS
    bundle = open_bundle(kiosk_bundle, TrustStore.from_paths(kiosk_keys[1]))
    assert choose(bundle).key == sample.KEY


def test_a_refused_picture_says_by_what_it_would_have_been_decided(given: Detector) -> None:
    given.given = HIGHER
    found = given.detect_bytes(b"no picture")
    assert found.refusal is not None and found.provenance.thresholds_sha256 == HIGHER.points.digest


@pytest.fixture
def running(config: KioskConfig) -> Iterator[tuple[Kiosk, Store]]:
    prepare_store(config)
    kiosk, store = Kiosk(config), open_store(config)
    wait_until(lambda: kiosk.health()["healthy"])
    yield kiosk, store
    store.close()
    kiosk.end()


def used(kiosk: Kiosk) -> OperatingPoints | None:
    limits = limits_of_text(kiosk.health()["reader"]["limits"])
    return None if limits is None else limits.used


def ended(kiosk: Kiosk, address: str) -> str:
    wait_until(lambda: kiosk.state(address) != "working")
    return str(kiosk.state(address))


def test_a_kiosk_at_work_takes_a_change_with_the_next_picture_and_keeps_it(
    running: tuple[Kiosk, Store], config: KioskConfig
) -> None:
    kiosk, store = running
    assert used(kiosk) == sample.POINTS
    first = kiosk.send(sample.picture(sample.DOUBT, 1), "a.png")
    assert ended(kiosk, first) == "doubt"
    bundle = kiosk.health()["reader"]["bundle_sha256"]
    number = decide(store, bundle, HIGHER)
    second = kiosk.send(sample.picture(sample.DOUBT, 2), "b.png")
    assert ended(kiosk, second) == "none" and ended(kiosk, first) == "doubt"
    wait_until(lambda: used(kiosk) == HIGHER.points)
    box = urllib.request.urlopen(kiosk.address + "/box").read().decode()
    assert "chosen by this clinic" in box
    decide(store, bundle, None, number)
    assert ended(kiosk, kiosk.send(sample.picture(sample.DOUBT, 3), "c.png")) == "doubt"


@pytest.mark.parametrize(("before", "after"), [("{", "["), ("0.6", "0.5")], ids=["unreadable", "changed"])
def test_limits_that_are_not_as_they_were_chosen_give_no_answer_until_they_are_chosen_again(
    running: tuple[Kiosk, Store], before: str, after: str
) -> None:
    kiosk, store = running
    bundle = kiosk.health()["reader"]["bundle_sha256"]
    decide(store, bundle, HIGHER)
    with store.database.write() as session:
        row = session.query(SitePoints).one()
        assert before in row.points_json
        row.points_json = row.points_json.replace(before, after)
    address = kiosk.send(sample.picture(sample.NONE, 1), "a.png")
    wait_until(lambda: kiosk.health()["reader"]["phase"] == "cannot_answer")
    told = kiosk.health()["reader"]
    assert "cannot be read" in told["reason"] and "Limits of this clinic" in told["hint"]
    assert kiosk.state(address) == "working" and told["bundle_sha256"] == bundle
    last = last_decision(store.database, bundle)
    assert last is not None
    decide(store, bundle, None, last.number)
    assert ended(kiosk, address) == "none"
    wait_until(lambda: kiosk.health()["healthy"])


def test_a_kiosk_that_starts_with_limits_that_cannot_be_read_says_which_model_they_are_of(
    config: KioskConfig, kiosk_bundle: Any, kiosk_keys: Any
) -> None:
    prepare_store(config)
    store = open_store(config)
    bundle = open_bundle(kiosk_bundle, TrustStore.from_paths(kiosk_keys[1])).digest
    decide(store, bundle, HIGHER)
    with store.database.write() as session:
        session.query(SitePoints).one().points_json = "{"
    kiosk = Kiosk(config)
    try:
        wait_until(lambda: kiosk.health()["reader"]["phase"] == "cannot_answer")
        assert kiosk.health()["reader"]["bundle_sha256"] == bundle and used(kiosk) == sample.POINTS
    finally:
        store.close()
        kiosk.end()
