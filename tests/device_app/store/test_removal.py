"""Pictures go, answers stay, and no row ever claims a picture which is gone."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from device_app.housekeeping import Housekeeping
from device_app.retention import FIRST_UTC, PROVEN_AFTER, Clock
from device_app.settings import Settings
from device_app.store import prepare_store
from device_app.store.database import now_utc
from device_app.store.removal import Removal
from tests.device_app import sample
from tests.device_app.conftest import wait_until


@pytest.fixture
def removal(store):
    return Removal(store.database, store.files, store.records.adopting)


@pytest.fixture
def answered(receive, work_off):
    """A picture under a label, read."""
    receipt = receive(sample.picture(sample.FRACTURE), "WANJIKU.png", "Wanjiku 17")
    work_off()
    return receipt.public_id


def image_of(store, public_id):
    (image,) = store.records.examination(public_id).images
    return image


def files_of(config, sha256):
    return [
        path for folder in ("images", "derived") for path in (config.data_dir / folder).rglob(f"{sha256}*")
    ]


def remove(store, removal, public_id):
    return removal.remove([image_of(store, public_id).id], now_utc())


def test_bytes_and_names_go_and_the_answer_stays(config, store, removal, answered):
    before = image_of(store, answered)
    assert len(files_of(config, before.sha256)) > 4
    assert remove(store, removal, answered) == 1
    after, whole = image_of(store, answered), store.records.examination(answered)
    assert not files_of(config, before.sha256)
    assert after.removed_utc and (after.file_name, whole.patient_label) == ("", "")
    assert after.findings_json == before.findings_json
    entry = store.log.page(1, 1).entries[0]
    assert (entry.actor, entry.action) == ("box", "pictures_removed")
    assert entry.detail == {"pictures": 1, "image_sha256s": [before.sha256]}


def test_what_waits_is_not_removed_even_where_it_is_asked_for(store, removal, receive):
    waiting = receive(sample.picture(sample.NONE)).public_id
    assert remove(store, removal, waiting) == 0 and image_of(store, waiting).removed_utc is None


def test_a_label_stays_while_another_view_is_here(store, removal, receive, work_off):
    one = receive(sample.picture(sample.NONE, seed=1), label="Wanjiku 17").public_id
    two = receive(sample.picture(sample.NONE, seed=2), label="Wanjiku 17").public_id
    store.grouping.join(two, one, "box")
    work_off()
    first, second = store.records.examination(one).images
    removal.remove([first.id], now_utc())
    assert store.records.examination(one).patient_label == "Wanjiku 17"
    removal.remove([second.id], now_utc())
    assert store.records.examination(one).patient_label == ""


def test_the_same_picture_sent_again_is_a_new_one_and_the_old_answer_stays(
    config, store, removal, answered, receive, work_off
):
    remove(store, removal, answered)
    again = receive(sample.picture(sample.FRACTURE), label="Otieno")
    assert not again.known and again.public_id != answered
    work_off()
    new, old = image_of(store, again.public_id), image_of(store, answered)
    assert new.verdict == old.verdict == "fracture" and new.sha256 != old.sha256
    store.files.read(new.sha256)
    prepare_store(config)  # which sweeps
    store.files.read(new.sha256)


def test_files_left_by_a_power_cut_between_row_and_file_are_swept_at_the_start(
    config, store, removal, answered, monkeypatch
):
    digest = image_of(store, answered).sha256
    with monkeypatch.context() as context:
        context.setattr(store.files.__class__, "erase", cut)
        with pytest.raises(KeyboardInterrupt):
            remove(store, removal, answered)
    assert image_of(store, answered).removed_utc and files_of(config, digest)
    prepare_store(config)
    assert not files_of(config, digest)


def cut(*_):
    raise KeyboardInterrupt


def test_a_removed_picture_is_shown_as_removed_everywhere(store, removal, answered, client):
    remove(store, removal, answered)
    page = client.get(f"/examinations/{answered}/").text
    assert "The picture was removed on" in page and "Fracture" in page
    assert "<image" not in page and "screen.png" not in page
    history = client.get("/history").text
    assert "Picture removed" in history and "thumb.png" not in history and "Wanjiku" not in history
    image = image_of(store, answered)
    assert client.get(f"/examinations/{answered}/images/{image.id}/screen.png").status_code == 404


@pytest.mark.parametrize("trusted", [True, False])
def test_a_running_kiosk_removes_by_the_rule_if_its_clock_is_trusted(
    store, removal, answered, client, monkeypatch, trusted
):
    monkeypatch.setattr("device_app.housekeeping._FIRST_AFTER_S", 0.01)
    monkeypatch.setattr("device_app.housekeeping._LOOK_EVERY_S", 0.01)
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE images SET received_utc = '2001-01-01 00:00:00.000000'")
    written(store, answered, datetime(2001, 1, 1))
    Settings(store.database).change("box", keep_days=30)
    removal.keep_clock(Clock(now_utc(), PROVEN_AFTER if trusted else timedelta(0)))
    with Housekeeping(client.application):
        if trusted:
            wait_until(lambda: image_of(store, answered).removed_utc)
        else:
            wait_until(lambda: removal.clock().proven > timedelta(seconds=0.1))
    assert (image_of(store, answered).removed_utc is not None) is trusted


@pytest.mark.parametrize(
    "kept", ["{}", "[]", '{"seen_utc": "soon", "proven_s": 1}', '{"seen_utc": 1}', "nonsense"]
)
def test_a_clock_that_was_kept_spoilt_is_one_never_seen(store, removal, kept):
    removal.keep_clock(Clock(now_utc()))
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE settings SET value_json = ?", (kept,))
    assert removal.clock() is None


def test_what_a_picture_takes_of_the_disk_is_measured_with_all_that_is_made_of_it(
    config, store, removal, answered
):
    taken, first = removal.taken_since(now_utc() - timedelta(days=1))
    on_disk = sum(path.stat().st_size for path in files_of(config, image_of(store, answered).sha256))
    assert taken == pytest.approx(on_disk) and first is not None
    assert removal.taken_since(now_utc() + timedelta(days=1)) == (0, None)


def written(store, public_id, moment):
    seconds = moment.replace(tzinfo=UTC).timestamp()
    os.utime(store.files.path(image_of(store, public_id).sha256), (seconds, seconds))


def came(store, public_id, moment):
    """As by a clock that said so."""
    with store.database.write() as session:
        session.execute(
            text("UPDATE images SET received_utc = :moment WHERE id = :id"),
            {"moment": moment.isoformat(" "), "id": image_of(store, public_id).id},
        )
    written(store, public_id, moment)


def due(removal, now):
    return removal.due(30, Clock(now, PROVEN_AFTER), now).image_ids


def test_a_picture_of_a_clock_that_was_behind_has_its_time_from_the_one_before(
    store, removal, receive, work_off
):
    now = datetime(2026, 11, 28, 12)
    first, second = (receive(sample.picture(sample.NONE, seed=seed)).public_id for seed in (1, 2))
    work_off()
    came(store, first, now - timedelta(days=10))
    came(store, second, datetime(2000, 1, 2))
    assert due(removal, now) == ()
    later = now + timedelta(days=21)
    assert set(due(removal, later)) == {image_of(store, one).id for one in (first, second)}


def test_no_picture_came_before_there_was_this_program(store, removal, receive, work_off):
    """The first one of a box whose clock began in 2000."""
    one = receive(sample.picture(sample.NONE)).public_id
    work_off()
    came(store, one, datetime(2000, 1, 2))
    assert due(removal, FIRST_UTC + timedelta(days=9)) == ()
    assert len(due(removal, FIRST_UTC + timedelta(days=400))) == 1
    assert len(due(removal, datetime(2001, 1, 2))) == 1, "a clock of now that is behind too is not trusted"


def test_a_picture_that_was_sent_again_has_its_time_from_then(store, removal, receive, work_off):
    now = now_utc() + timedelta(days=20)
    one = receive(sample.picture(sample.NONE)).public_id
    work_off()
    came(store, one, now - timedelta(days=100))
    assert len(due(removal, now)) == 1
    assert receive(sample.picture(sample.NONE)).known
    assert due(removal, now) == () and len(due(removal, now + timedelta(days=30))) == 1


def test_labels_of_examinations_that_were_joined_go_with_the_last_view(
    config, store, removal, receive, work_off
):
    ids = [
        receive(sample.picture(sample.NONE, seed=seed), label="Wanjiku 17").public_id for seed in (1, 2, 3)
    ]
    store.grouping.join(ids[0], ids[1], "box")
    store.grouping.join(ids[1], ids[2], "box")
    work_off()
    assert removal.remove([image.id for image in store.records.examination(ids[2]).images], now_utc()) == 3
    assert [store.records.examination(one).patient_label for one in ids] == [""] * 3
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"Wanjiku" not in (config.data_dir / "kiosk.sqlite3").read_bytes(), "left in a free page"


def test_what_was_said_of_the_patient_goes_out_of_the_answer_too(store, removal, answered):
    said = {
        "age_years": 41.0,
        "sex": "female",
        "body_part": "hand",
        "view": "frontal",
        "notes": ["41 is old"],
    }
    whole = {**json.loads(image_of(store, answered).findings_json), "metadata": said}
    with store.database.write() as session:
        session.execute(text("UPDATE results SET findings_json = :text"), {"text": json.dumps(whole)})
    remove(store, removal, answered)
    kept = {"age_years": None, "sex": "", "body_part": "hand", "view": "frontal", "notes": []}
    assert json.loads(image_of(store, answered).findings_json) == {**whole, "metadata": kept}


def test_a_file_that_cannot_be_removed_keeps_no_other_and_is_tried_again(
    config, store, removal, receive, work_off
):
    one, two = (receive(sample.picture(sample.NONE, seed=seed)).public_id for seed in (1, 2))
    work_off()
    digests = [image_of(store, public_id).sha256 for public_id in (one, two)]
    stuck = config.data_dir / "derived" / digests[0][:2] / f"{digests[0]}.odd"
    stuck.mkdir()  # which no unlink removes
    assert removal.remove([image_of(store, public_id).id for public_id in (one, two)], now_utc()) == 2
    assert not files_of(config, digests[1]) and files_of(config, digests[0]) == [stuck]
    prepare_store(config)  # it keeps no start
    stuck.rmdir()
    stuck.write_bytes(b"left")
    removal.erase_left()
    assert not files_of(config, digests[0])


def test_a_picture_that_comes_again_is_not_taken_for_a_file_that_was_left(store, removal, answered, receive):
    remove(store, removal, answered)
    again = receive(sample.picture(sample.FRACTURE))
    removal.erase_left()
    store.files.read(image_of(store, again.public_id).sha256)


def test_the_log_holds_no_name(store, removal, answered):
    remove(store, removal, answered)
    assert "WANJIKU" not in json.dumps([vars(one.entry) for one in store.log.written()]).upper()
