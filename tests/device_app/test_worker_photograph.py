"""A photograph of a film is straightened before it is shown and read, and says that it is one."""

from __future__ import annotations

import io
import json

import cv2
import numpy as np
import pytest

from device_app.gray_values import ViewFacts
from device_app.store import Store
from device_app.store.queue import Claim
from device_app.store.records import Upload
from device_app.worker import read_picture
from runtime.photograph import PHOTOGRAPHED
from tests.device_app import sample
from tests.device_app.photographs import ALONG, GOOD, SHAKEN, photograph


def claimed(store: Store, data: bytes, photographed: bool = True) -> Claim:
    store.records.receive(io.BytesIO(data), Upload("photo.jpg", photographed=photographed))
    claim = store.queue.claim("a")
    assert claim is not None and claim.photographed is photographed
    return claim


def shown(store: Store, claim: Claim) -> tuple[int, int]:
    """Width and height of the picture on the screen."""
    data = store.files.derived_path(claim.sha256, "screen").read_bytes()
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE).shape
    return width, height


@pytest.mark.parametrize(("gap", "verdict"), [(sample.NONE, "none"), (sample.FRACTURE, "fracture")])
def test_the_film_in_it_is_shown_and_read_and_marked(store, detector, gap, verdict) -> None:
    claim = claimed(store, photograph(gap))
    found = read_picture(claim, store, detector)
    record = json.loads(found.findings_json)

    assert found.verdict == verdict
    assert PHOTOGRAPHED in record["warnings"]
    width, height = shown(store, claim)
    assert (width, height) == (record["width_px"], record["height_px"])
    assert width / height == pytest.approx(400 / 520, rel=0.03)
    for box in record["boxes"]:  # in the pixels of what is shown, where the gap of the film is
        assert (box["y0_px"] + box["y1_px"]) / 2 / height == pytest.approx(ALONG, abs=0.05)
    facts = ViewFacts.from_json(store.files.derived_path(claim.sha256, "facts").read_bytes())
    assert (facts.width_px, facts.height_px, facts.row_mm) == (width, height, None)


def test_a_refused_photograph_is_shown_as_it_is_with_the_reason(store, detector) -> None:
    claim = claimed(store, photograph(sample.FRACTURE, scene=SHAKEN))
    found = read_picture(claim, store, detector)

    assert found.verdict == "unreadable"
    assert json.loads(found.findings_json)["refusal"]["code"] == "film_blurred"
    assert shown(store, claim) == (2000, 1500)


def test_a_file_sent_as_a_photograph_by_mistake_is_no_result(store, detector) -> None:
    found = read_picture(claimed(store, sample.picture(sample.FRACTURE)), store, detector)

    assert json.loads(found.findings_json)["refusal"]["code"] == "film_not_found"


def test_what_cannot_be_read_at_all_is_no_result_as_a_photograph_either(store, detector) -> None:
    found = read_picture(claimed(store, b"no picture"), store, detector)

    assert json.loads(found.findings_json)["refusal"]["code"] == "damaged"


def test_a_photograph_that_nobody_calls_one_is_read_as_it_is(store, detector) -> None:
    claim = claimed(store, photograph(sample.NONE, scene=GOOD), photographed=False)
    found = read_picture(claim, store, detector)

    assert PHOTOGRAPHED not in json.loads(found.findings_json)["warnings"]
    assert shown(store, claim) == (2000, 1500)
