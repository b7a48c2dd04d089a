"""Examinations whose row is lost are at their old addresses again, as far as the log knows those."""

from __future__ import annotations

import io

import pytest

from device_app.mend import mend
from device_app.store import grouping as grouping_module
from device_app.store import open_store, prepare_store
from device_app.store.consent import Consents
from device_app.store.log import Action, append
from device_app.store.log_end import keep_end
from device_app.store.records import Upload
from tests.device_app import broken

PICTURES = 24


@pytest.fixture
def store(config):
    prepare_store(config)
    return open_store(config)


def held(store):
    """Address of the examination that each picture is in."""
    found = store.records.history(1, 1000).examinations
    return {image.sha256: one.public_id for one in found for image in one.images}


def mended(store, config, *statements):
    """Everything in the one file, damaged in these ways, mended, and started once more."""
    broken.settled(store, config.data_dir)
    connection = broken.connection_of(config.data_dir)
    for statement in ("DROP TABLE IF EXISTS settings", *statements):
        connection.execute(statement)
    connection.commit()
    connection.close()
    mend(config.data_dir, "box")
    prepare_store(config)
    return open_store(config)


NO_EXAMINATION = "DELETE FROM examinations"


def test_a_page_of_examinations_that_is_overwritten_costs_labels_and_no_address(config):
    store = broken.filled(config, PICTURES)
    before = held(store)
    consented = store.records.history(1, 99).examinations[0].public_id
    Consents(store.database).give(consented, "box")
    path = broken.settled(store, config.data_dir)
    connection = broken.connection_of(config.data_dir)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'examinations'").fetchone()[0]
    connection.close()
    broken.overwrite(path, (root - 1) * broken.PAGE_BYTES, broken.PAGE_BYTES)
    mend(config.data_dir, "box")
    prepare_store(config)
    store = open_store(config)
    assert held(store) == before and len(before) == PICTURES
    found = store.records.history(1, 99).examinations
    assert {one.patient_label for one in found} == {""} and {one.source for one in found} == {"recovered"}
    assert not any(one.consent_utc for one in found), "a consent that nobody can vouch for"
    store.close()


def test_an_answer_stays_with_the_address_that_is_printed_beside_it(config):
    store = broken.filled(config, PICTURES)
    answered = {one.public_id for one in store.records.history(1, 99).examinations if one.images[0].verdict}
    store = mended(store, config, "DELETE FROM examinations WHERE id > 9", "DELETE FROM images WHERE id = 11")
    for address in answered:
        assert store.records.examination(address).images
    store.close()


def whole_of_three(store):
    """Three examinations in one, a fourth beside it; their addresses."""
    first, second, third, other = (
        store.records.receive(io.BytesIO(b"picture %d" % number * 50), Upload("a.png")).public_id
        for number in range(4)
    )
    store.grouping.join(second, first, "box")
    store.grouping.join(first, third, "box")
    return first, second, third, other


LOST = {
    "all": (NO_EXAMINATION,),
    "those that were joined": ("DELETE FROM examinations WHERE id < 3",),
    "the one that they were joined into": ("DELETE FROM examinations WHERE id = 3",),
    "that and its pictures": ("DELETE FROM examinations WHERE id = 3", "DELETE FROM images WHERE id < 4"),
    "everything of them": (NO_EXAMINATION, "DELETE FROM images"),
}


@pytest.mark.parametrize("lost", LOST)
def test_joined_examinations_are_one_again_and_every_old_address_leads_there(config, store, lost):
    first, second, third, other = whole_of_three(store)
    before = held(store)
    store = mended(store, config, *LOST[lost])
    assert held(store) == before and len(before) == 4
    for address in (first, second, third):
        assert store.records.holder(address).public_id == third
    assert store.records.holder(other).public_id == other
    store.close()


def test_an_address_never_leads_to_a_picture_that_got_the_number_of_its_examination(config, store):
    """The log has lost that it was joined, and the next picture without a row is another patient's."""
    one, into = (
        store.records.receive(io.BytesIO(b"picture %d" % number * 50), Upload("a.png")).public_id
        for number in range(2)
    )
    store.grouping.join(one, into, "box")
    digests = [digest for digest, address in held(store).items() if address == into]
    store = mended(store, config, "DELETE FROM audit", NO_EXAMINATION + " WHERE id = 2", "DELETE FROM images")
    assert len({held(store)[digest] for digest in digests}) == 2
    assert store.records.holder(one) is None
    store.close()


def parted(store):
    """Two views of which one was taken out; the addresses of what was left and of what went."""
    whole = store.records.receive(io.BytesIO(b"picture 0" * 50), Upload("a.png")).public_id
    store.records.receive(io.BytesIO(b"picture 1" * 50), Upload("b.png", examination=whole))
    image = store.records.examination(whole).images[0]
    return whole, store.grouping.part(whole, image.id, "box")


@pytest.mark.parametrize("lost", [(NO_EXAMINATION,), (NO_EXAMINATION, "DELETE FROM images")])
def test_views_that_were_taken_apart_stay_apart_each_at_its_address(config, store, lost):
    parted(store)
    before = held(store)
    store = mended(store, config, *lost)
    assert held(store) == before and len(set(before.values())) == 2
    store.close()


def check_apart(store, config, whole, *lost):
    """Where of two views the one that went has only its row left, and the one that stayed not even that, the
    address of the whole is not given to the first.
    """
    stayed = store.records.examination(whole).images[0]
    went = next(digest for digest in held(store) if digest != stayed.sha256)
    store = mended(store, config, NO_EXAMINATION, f"DELETE FROM images WHERE id = {stayed.id}", *lost)
    after = held(store)
    assert after[went] not in (whole, after[stayed.sha256]) and len(after) == 2
    store.close()


def test_where_an_earlier_version_did_not_say_which_view_went_it_gets_a_new_address(
    config, store, monkeypatch
):
    def as_earlier(session, actor, action, subject="", image_sha256=None, **detail):
        append(session, actor, action, subject, **detail)

    with monkeypatch.context() as context:
        context.setattr(grouping_module, "append", as_earlier)
        whole, _ = parted(store)
    assert "image_sha256" not in store.log.page(1, 1).entries[0].detail
    check_apart(store, config, whole)


def test_where_entries_are_missing_since_a_picture_came_it_gets_a_new_address(config, store):
    parted(store)
    last = store.records.receive(io.BytesIO(b"picture 2" * 50), Upload("c.png")).public_id
    before = held(store)
    lost = f"DELETE FROM audit WHERE action = '{Action.PARTED}'"
    store = mended(store, config, lost, NO_EXAMINATION)
    after = held(store)
    assert {digest for digest in before if after[digest] == before[digest]} == {
        digest for digest in before if before[digest] == last
    }
    store.close()


NO_PARTING = {
    "spoilt": f"UPDATE audit SET detail_json = '{{' WHERE action = '{Action.PARTED}'",
    "cut off": f"DELETE FROM audit WHERE action = '{Action.PARTED}'",
}
"""The last entry of the log, of which nothing is left then."""


@pytest.mark.parametrize("end", NO_PARTING)
def test_where_the_end_of_the_log_is_lost_nothing_of_it_gives_an_address(config, store, end):
    whole, _ = parted(store)
    keep_end(store.database)
    check_apart(store, config, whole, NO_PARTING[end])


@pytest.mark.parametrize("end", NO_PARTING)
def test_what_was_chained_to_a_log_that_had_lost_its_end_proves_nothing_of_before(config, store, end):
    """Mended twice: the first time the log lost that a view was taken out."""
    whole, _ = parted(store)
    keep_end(store.database)
    check_apart(mended(store, config, NO_PARTING[end]), config, whole)


@pytest.mark.parametrize(
    "untold",
    [f"DELETE FROM audit WHERE action = '{Action.PARTED}'", "DELETE FROM audit WHERE number = 4"],
    ids=["the word of it", "a later entry"],
)
def test_a_view_that_was_taken_out_never_comes_back_among_the_others(config, store, untold):
    whole, _ = parted(store)
    stayed = store.records.examination(whole).images[0].sha256
    went = next(digest for digest in held(store) if digest != stayed)
    store.records.receive(io.BytesIO(b"picture 2" * 50), Upload("c.png"))
    store = mended(store, config, f"DELETE FROM images WHERE sha256 = '{went}'", untold)
    after = held(store)
    assert after[stayed] == whole != after[went] and len(after) == 3
    store.close()
