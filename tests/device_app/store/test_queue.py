import io
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from device_app.store import prepare_store
from device_app.store.database import now_utc
from device_app.store.models import Image, Job, JobState
from device_app.store.queue import FailureCode, QueueLimits, ReadResult
from device_app.store.records import Upload
from device_app.store.sources import TEST
from device_app.store.tallies import rows_after

ANSWER = ReadResult("none", "{}", "0" * 64)


def image_of(store, receipt):
    return store.records.examination(receipt.public_id).images[0]


def test_pictures_are_taken_in_the_order_they_came(store, receive):
    receipts = [receive(b"%d" % number) for number in range(3)]
    taken = [store.queue.claim("a").sha256 for _ in range(3)]
    assert taken == [image_of(store, receipt).sha256 for receipt in receipts]
    assert store.queue.claim("a") is None


def test_a_result_is_stored_once(store, receive):
    receipt = receive(b"x")
    claim = store.queue.claim("a")
    assert store.queue.complete(claim, ANSWER)
    assert not store.queue.complete(claim, ReadResult("fracture", "{}", "0" * 64))
    assert image_of(store, receipt).verdict == "none"


def test_a_worker_believed_dead_cannot_answer_any_more(store, receive):
    receipt = receive(b"x")
    late = store.queue.claim("late")
    store.queue.abandon("late", FailureCode.TIMEOUT)
    second = store.queue.claim("second")
    assert not store.queue.complete(late, ReadResult("none", "{}", "0" * 64))
    assert not store.queue.fail(late, FailureCode.FILE_LOST)
    assert store.queue.complete(second, ReadResult("fracture", "{}", "0" * 64))
    assert image_of(store, receipt).verdict == "fracture"


def test_a_picture_that_kills_two_workers_is_given_up(store, receive):
    receipt = receive(b"x")
    for owner in ("first", "second"):
        assert image_of(store, receipt).state is JobState.QUEUED
        store.queue.claim(owner)
        store.queue.abandon(owner, FailureCode.DIED, "signal 11")
    image = image_of(store, receipt)
    assert (image.state, image.failure, image.detail) == (JobState.FAILED, "died", "signal 11")
    assert store.queue.claim("third") is None


def test_a_picture_that_killed_a_worker_waits_behind_the_others(store, receive):
    bad, good = receive(b"bad"), receive(b"good")
    store.queue.claim("first")
    store.queue.abandon("first", FailureCode.DIED)
    assert store.queue.claim("second").sha256 == image_of(store, good).sha256
    assert store.queue.claim("third").sha256 == image_of(store, bad).sha256


def test_stopping_in_good_order_is_not_held_against_a_picture(store, receive):
    receipt = receive(b"x")
    for _ in range(20):
        store.queue.claim("a")
        assert store.queue.release("a") == 1
    assert image_of(store, receipt).state is JobState.QUEUED


def test_power_cuts_alone_give_a_picture_up_only_after_many(store, receive, config):
    receipt = receive(b"x")
    for cut in range(QueueLimits().max_attempts):
        assert image_of(store, receipt).state is JobState.QUEUED, cut
        store.queue.claim("a")
        prepare_store(config)
    assert (image_of(store, receipt).state, image_of(store, receipt).failure) == (
        JobState.FAILED,
        "interrupted",
    )


def test_an_expired_lease_is_taken_over(store, receive):
    receive(b"x")
    store.queue.claim("gone")
    with store.database.write() as session:
        session.execute(update(Job).values(lease_until_utc=now_utc() - timedelta(seconds=1)))
    assert store.queue.claim("next") is not None


def test_a_failed_picture_is_read_again_only_when_asked(store, receive):
    receipt = receive(b"x")
    store.queue.fail(store.queue.claim("a"), FailureCode.FILE_LOST, "gone")
    image = image_of(store, receipt)
    assert image.state is JobState.FAILED and store.queue.claim("a") is None
    assert store.queue.retry(image.id) and not store.queue.retry(image.id)
    assert store.queue.claim("a").image_id == image.id


def test_a_failed_picture_that_was_removed_is_not_read_again(store, receive):
    receipt = receive(b"x")
    store.queue.fail(store.queue.claim("a"), FailureCode.DIED)
    image = image_of(store, receipt)
    with store.database.write() as session:
        session.execute(update(Image).values(removed_utc=now_utc()))
    assert not store.queue.retry(image.id)
    assert image_of(store, receipt).state is JobState.FAILED and store.queue.claim("a") is None


def test_what_ended_a_worker_and_was_no_pictures_fault_counts_as_a_try_and_not_as_a_death(store, receive):
    receipt, other = receive(b"x"), receive(b"y")
    for _ in range(QueueLimits().max_attempts):
        assert image_of(store, receipt).state is JobState.QUEUED
        store.queue.claim("ended")
        assert store.queue.recover("ended") == 1
    assert image_of(store, receipt).failure == "interrupted"
    store.queue.claim("alive")
    assert store.queue.recover("ended") == 0 and image_of(store, other).state is JobState.WORKING


def test_the_known_picture_is_not_counted_among_a_clinics(store):
    for source in (TEST, "upload"):
        store.records.receive(io.BytesIO(source.encode()), Upload("a.png", source=source))
        store.queue.complete(store.queue.claim("a"), ANSWER)
        store.records.receive(io.BytesIO(source.encode() + b"2"), Upload("b.png", source=source))
        store.queue.fail(store.queue.claim("a"), FailureCode.DIED)
    counted = [row.examination for row in rows_after(store.database, 0)]
    clinics = {image.examination_id for image in _images(store) if image.examination.source != TEST}
    assert len(counted) == 2 and set(counted) == clinics


def _images(store):
    with store.database.read() as session:
        return [*session.scalars(select(Image).options(joinedload(Image.examination)))]


def test_places_in_the_queue_count_what_is_read_before(store, receive):
    receipts = [receive(b"%d" % number) for number in range(3)]
    store.queue.claim("a")
    assert [image_of(store, receipt).ahead for receipt in receipts] == [0, 1, 2]
    counts = store.queue.counts()
    assert (counts.waiting, counts.working) == (2, 1)


@pytest.mark.parametrize("values", [{"state": "lost"}, {"state": "working", "lease_owner": ""}])
def test_the_database_refuses_states_that_cannot_be(store, receive, values):
    receive(b"x")
    with pytest.raises(Exception, match="CHECK constraint"), store.database.write() as session:
        session.execute(update(Job).values(**values))
