"""The worker's own code on real pictures; its life as a process is in test_supervisor.py."""

import json
import math

import numpy as np
import pytest

from device_app import worker
from device_app.gray_values import ViewFacts, unpack
from device_app.protocol import EXIT_STOPPED, WorkerArguments
from device_app.store.models import Job
from device_app.store.queue import FailureCode
from device_app.worker import EngineFailedError, read_picture
from runtime.backends.base import TensorInfo
from runtime.detector import Detector
from runtime.errors import DiskFullError, StoreError
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


def test_a_picture_that_cannot_be_drawn_costs_the_screen_and_not_the_answer(
    store, receive, detector, monkeypatch
):
    receive(sample.picture(sample.FRACTURE))
    claim = store.queue.claim("a")
    monkeypatch.setattr("device_app.worker.screen_png", lambda *_: 1 / 0)
    assert read_picture(claim, store, detector).verdict == "fracture"


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


class WatchingEngine(BrokenEngine):
    """An engine that looks at what is on disk when it is asked, and gives no answer."""

    def __init__(self, store, sha256):
        self.there = []
        self._kinds = [(kind, store.files.derived_path(sha256, kind)) for kind in (*SHOWN_FIRST, "heat")]

    def infer(self, feeds):
        self.there = [kind for kind, path in self._kinds if path.is_file()]
        return super().infer(feeds)


SHOWN_FIRST = ("facts", "screen", "thumb", "values")


def test_the_picture_is_on_the_screens_before_the_engine_looks_at_it(store, receive, detector):
    receive(sample.picture(sample.NONE))
    claim = store.queue.claim("a")
    engine = WatchingEngine(store, claim.sha256)
    with pytest.raises(EngineFailedError), Detector(engine, detector.spec) as broken:
        read_picture(claim, store, broken)
    assert engine.there == list(SHOWN_FIRST)


def test_a_picture_shown_by_a_try_that_failed_gets_its_answer_from_the_next(store, receive, detector):
    receive(sample.picture(sample.FRACTURE))
    claim = store.queue.claim("a")
    with pytest.raises(EngineFailedError), Detector(BrokenEngine(), detector.spec) as broken:
        read_picture(claim, store, broken)
    store.queue.abandon("a", FailureCode.ENGINE, "no number")
    again = store.queue.claim("b")
    assert again.sha256 == claim.sha256
    assert read_picture(again, store, detector).verdict == "fracture"


def test_the_stored_values_are_the_files_own(store, receive, detector):
    receive(sample.picture(sample.FRACTURE))
    claim = store.queue.claim("a")
    read_picture(claim, store, detector)
    facts = ViewFacts.from_json(store.files.derived_path(claim.sha256, "facts").read_bytes())
    data = store.files.derived_path(claim.sha256, "values").read_bytes()
    values = unpack(data, facts.values_width_px, facts.values_height_px)
    assert np.array_equal(values, sample.forearm(sample.FRACTURE))


class Told:
    """A reader, its reports and its orders in one; told to stop after so many waits."""

    def __init__(self, detector, waits):
        self.detector, self.events, self._waits = detector, [], waits

    def take_points(self, store):
        pass

    def report(self, reports):
        pass

    def send(self, event, **facts):
        self.events.append(event)

    def wait(self, seconds):
        self._waits -= 1

    @property
    def stopping(self):
        return self._waits == 0


@pytest.mark.parametrize("first", ["claim", "complete"])
def test_a_full_disk_costs_no_worker_and_no_picture_its_try(store, receive, detector, monkeypatch, first):
    receive(sample.picture(sample.FRACTURE))
    queue, full = store.queue, [3]

    def failing(method):
        def call(*arguments):
            full[0] -= 1
            if full[0] >= 0:
                raise DiskFullError("no room", "free some")
            return method(*arguments)

        return call

    for name in (first, "release"):
        monkeypatch.setattr(queue, name, failing(getattr(queue, name)))
    told = Told(detector, 4)  # three without room, one with nothing to do
    assert worker._work("a", store, told, told, told) == EXIT_STOPPED
    assert told.events.count("no_room") == 3 and told.events[-2:] == ["done", "idle"]
    with store.database.read() as session:
        job = session.query(Job).one()
        assert (job.state, job.attempts, job.deaths) == ("done", 1, 0)


def test_arguments_survive_the_command_line(tmp_path):
    given = WorkerArguments(tmp_path / "a b", tmp_path / "-d", (tmp_path, tmp_path / "k"), 2, 1 << 30, "o", 7)
    assert WorkerArguments.from_argv(given.to_argv()) == given
