"""What pages say of views that disagree, of files of somebody else, and of the known picture."""

from __future__ import annotations

import io
from typing import Any

import pytest

from device_app import create_app
from device_app.answers import summary
from device_app.store.records import TEST, Upload
from runtime.errors import InputError
from tests.device_app import sample
from tests.device_app.conftest import FixedReader
from tests.device_app.views.test_access import post
from tests.device_app.views.test_screens import READY

OTHER = "The file names another patient. Check whose picture this is."


@pytest.fixture
def client(config: Any, store: Any) -> Any:
    return create_app(config, FixedReader(READY)).test_client()


def give(store: Any, gap: float, seed: int, **more: str) -> str:
    """The address of an examination with one more picture."""
    upload = Upload(f"{seed}.png", **more)
    receipt = store.records.receive(io.BytesIO(sample.picture(gap, seed)), upload)
    return f"/examinations/{receipt.public_id}/"


def ident(address: str) -> str:
    return address.split("/")[-2]


def state(client: Any, address: str) -> Any:
    return client.get(f"{address}state", headers={"Accept": "application/json"}).json


def test_a_doubt_of_one_view_stands_in_the_history_and_in_the_title(client, store, work_off) -> None:
    page = give(store, sample.DOUBT, 9)
    for seed in (1, 2):
        give(store, sample.NONE, seed, examination=ident(page))
    work_off()
    assert summary(store.records.examination(ident(page))).state == "none"
    said = "One view by itself: Doubt: fracture possible"
    assert said in client.get("/history").text
    assert f"<title>No fracture found. {said}" in client.get(page).text


def test_a_picture_of_somebody_else_is_told_everywhere(client, store, work_off) -> None:
    page = give(store, sample.NONE, 1, patient_label="P 1")
    give(store, sample.NONE, 2, examination=ident(page))
    work_off()
    before = state(client, page)["seen"]
    for path in (page, "/history", f"{page}report/"):
        assert OTHER not in client.get(path).text
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE images SET names_other = 1 WHERE id = 2")
    assert state(client, page)["seen"] != before, "an open page hears of it"
    for path in (page, "/history", f"{page}report/"):
        assert f"View 2: {OTHER}" in client.get(path).text, path


def test_a_page_is_old_once_a_view_is_added_and_once_one_took_the_place_of_another(
    client, store, work_off
) -> None:
    page, other = give(store, sample.NONE, 1), give(store, sample.NONE, 2)
    work_off()
    alone = state(client, page)["seen"]
    assert f'data-seen="{alone}"' in client.get(page).text and state(client, page)["seen"] == alone
    store.grouping.join(ident(other), ident(page), "kiosk")
    both = state(client, page)["seen"]
    store.grouping.part(ident(page), 1, "kiosk")
    assert len({alone, both, state(client, page)["seen"]}) == 3
    assert state(client, other) == state(client, page), "the address that leads here tells of it too"


def test_the_known_picture_stays_by_itself(client, store, work_off) -> None:
    page, test, again = (
        give(store, sample.NONE, 1),
        *(give(store, sample.NONE, n, source=TEST) for n in (2, 3)),
    )
    for one, other in ((page, test), (test, page), (test, again)):
        assert post(client, f"{one}views", other=ident(other)).status_code == 409
    assert "Views of this examination" not in client.get(test).text
    assert "Views of this examination" in client.get(page).text
    assert ident(give(store, sample.NONE, 4, examination=ident(test))) != ident(test)
    with pytest.raises(InputError):
        store.grouping.join(ident(page), ident(test), "kiosk")


def test_a_known_picture_that_was_joined_away_is_not_one_any_more(client, store, work_off) -> None:
    first, _ = (give(store, sample.NONE, seed, source=TEST) for seed in (1, 2))
    work_off()
    with store.database.write() as session:
        for change in (
            "UPDATE images SET examination_id = 1",
            "UPDATE examinations SET joined_into_id = 1 WHERE id = 2",
        ):
            session.connection().exec_driver_sql(change)
    assert [one.public_id for one in store.records.of_source(TEST)] == [ident(first)]
    assert client.get("/first/test").status_code == 200
