"""The worker's own code on real pictures; its life as a process is in test_supervisor.py."""

import json
import math

import numpy as np
import pytest

from device_app.protocol import WorkerArguments
from device_app.worker import EngineFailedError, read_picture
from runtime.backends.base import TensorInfo
from runtime.detector import Detector
from runtime.errors import StoreError
from tests.device_app import sample


@pytest.mark.parametrize(
    ("gap", "verdict"), [(sample.NONE, "none"), (sample.DOUBT, "doubt"), (sample.FRACTURE, "fracture")]
)
def test_a_picture_becomes_an_answer_and_three_pictures(store, receive, detector, gap, verdict):
    receive(sample.picture(gap))
    claim = store.queue.claim("a")
    found = read_picture(claim, store, detector)
    record = json.loads(found.findings_json)
    assert found.verdict == record["verdict"] == verdict
    assert record["provenance"]["image_sha256"] == claim.sha256
    assert (
        found.bundle_sha256 == record["provenance"]["bundle_sha256"] == detector.spec.provenance.bundle_sha256
    )
    for kind in ("screen", "thumb", "heat"):
        assert store.files.derived_path(claim.sha256, kind).read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_changed_on_disk_is_not_read(store, receive, detector):
    receive(sample.picture(sample.FRACTURE))
    claim = store.queue.claim("a")
    store.files.path(claim.sha256).write_bytes(sample.picture(sample.NONE))
    with pytest.raises(StoreError, match="changed on disk"):
        read_picture(claim, store, detector)


class BrokenEngine:
    """An engine that loads and then answers with no number."""

    name, device = "broken", "cpu"
    inputs = (TensorInfo("image", (None, 1, 224, 224), "float32"),)
    outputs = ()

    def infer(self, feeds):
        return {"logit": np.full((1, 1), math.nan, np.float32), "map": np.zeros((1, 1, 14, 14), np.float32)}

    def close(self):
        pass


def test_an_engine_without_an_answer_gives_no_result(store, receive, detector):
    receive(sample.picture(sample.NONE))
    claim = store.queue.claim("a")
    with pytest.raises(EngineFailedError), Detector(BrokenEngine(), detector.spec) as broken:
        read_picture(claim, store, broken)


def test_arguments_survive_the_command_line(tmp_path):
    given = WorkerArguments(tmp_path / "a b", tmp_path / "-d", (tmp_path, tmp_path / "k"), 2, 1 << 30, "o", 7)
    assert WorkerArguments.from_argv(given.to_argv()) == given
