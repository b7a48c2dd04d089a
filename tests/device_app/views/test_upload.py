"""What the upload keeps together, whose they are, and what it says where it could not do as asked."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from device_app import create_app
from device_app.store.records import MAX_VIEWS
from tests.device_app import sample
from tests.device_app.conftest import FixedReader
from tests.device_app.views.test_screens import BROKEN, READY, token

NOT_ADDED = "It was not added to the examination that it was sent for."
NOT_TAKEN = "What was said of the patient now was not taken."
PARTED = "This picture was not put together with the one that was already here."
ALONE = "This picture stands by itself: the other examination takes no more views."
NOT_FOUND = "This picture stands by itself: the other examination was not found."
OTHER_LABEL = (
    "This picture stands by itself: the other examination has another patient number or name, or none."
)


@pytest.fixture
def client(config: Any, store: Any) -> Any:
    return create_app(config, FixedReader(READY)).test_client()


def post(client: Any, *seeds: int, script: bool = False, **form: str) -> Any:
    """Pictures of these seeds, as the form sends them."""
    files = [(io.BytesIO(sample.picture(sample.NONE, seed)), f"{seed}.png") for seed in seeds]
    data = {"csrf_token": token(client), "picture": files, **form}
    headers = {"Accept": "application/json"} if script else {}
    return client.post("/pictures", data=data, headers=headers, content_type="multipart/form-data")


def give(client: Any, *seeds: int, **form: str) -> list[dict[str, Any]]:
    """The outcomes, as the page's script gets them."""
    outcomes: list[dict[str, Any]] = post(client, *seeds, script=True, **form).get_json()["outcomes"]
    return outcomes


def notes(client: Any, outcome: dict[str, Any]) -> str:
    """What stands above the result that an outcome leads to."""
    return " ".join(re.findall(r'<p class="note" role="status">(.*?)</p>', client.get(outcome["url"]).text))


def fill(client: Any, label: str) -> dict[str, Any]:
    """An examination that takes no more views."""
    first = give(client, 1, patient_label=label)[0]
    for seed in range(2, MAX_VIEWS + 1):
        give(client, seed, examination=first["examination"])
    return first


def images(store: Any) -> list[tuple[str, str, dict[str, str]]]:
    """Patient, file and facts of every picture, newest first."""
    with store.database.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT patient_label, file_name, facts_json FROM images JOIN examinations"
            " ON examinations.id = examination_id ORDER BY images.id"
        )
        return [(label, name, json.loads(facts) if facts else {}) for label, name, facts in rows]


def test_a_view_that_is_anothers_picture_is_not_added_and_says_whose_it_is(client: Any, store: Any) -> None:
    give(client, 1, patient_label="A 17")
    other = give(client, 2, patient_label="B 23")[0]
    again = give(client, 1, examination=other["examination"])[0]

    assert again["known"] and again["apart"]
    assert NOT_ADDED in again["says"] and "stored under the patient “A 17”" in again["says"]
    said = notes(client, again)
    assert NOT_ADDED in said and "stored under the patient “A 17”" in said
    assert len(store.records.examination(other["examination"]).images) == 1


def test_a_view_that_is_there_already_is_only_known(client: Any) -> None:
    first = give(client, 1, patient_label="A 17")[0]
    again = give(client, 1, examination=first["examination"])[0]

    assert again["known"] and not again["apart"]
    assert NOT_ADDED not in again["says"] and "Take care" not in again["says"]


def test_an_old_address_is_the_examination_that_holds_the_others(client: Any, store: Any) -> None:
    first, second = (give(client, seed)[0] for seed in (1, 2))
    store.grouping.join(second["examination"], first["examination"], "kiosk")
    third = give(client, 3, examination=second["examination"])[0]
    again = give(client, 3, examination=second["examination"])[0]

    assert third["url"] == first["url"] and not third["apart"] and not again["apart"]


def test_a_picture_beside_a_full_examination_is_the_same_patients_and_says_so(
    client: Any, store: Any
) -> None:
    full = fill(client, "A 17")
    ninth = give(client, 30, examination=full["examination"])[0]

    assert ninth["apart"] and ALONE in ninth["says"] and ALONE in notes(client, ninth)
    assert store.records.examination(ninth["examination"]).patient_label == "A 17"


@pytest.mark.parametrize("label", ["A 17", ""])
def test_a_new_picture_under_another_label_than_the_examinations_stands_by_itself(
    client: Any, store: Any, label: str
) -> None:
    """An examination that nobody has named is not known to be that patient's either."""
    first = give(client, 1, patient_label=label)[0]
    other = give(client, 2, patient_label="B 23", examination=first["examination"])[0]

    assert other["apart"] and OTHER_LABEL in other["says"] and OTHER_LABEL in notes(client, other)
    assert store.records.examination(other["examination"]).patient_label == "B 23"
    before = store.records.examination(first["examination"])
    assert (before.patient_label, len(before.images)) == (label, 1)


def test_a_new_picture_under_the_examinations_own_label_is_a_view_of_it(client: Any, store: Any) -> None:
    first = give(client, 1, patient_label="A 17")[0]
    second = give(client, 2, patient_label=" A  17 ", examination=first["examination"])[0]

    assert not second["apart"] and second["examination"] == first["examination"]
    assert len(store.records.examination(first["examination"]).images) == 2


def test_of_a_full_examination_under_another_label_the_label_is_told(client: Any, store: Any) -> None:
    full = fill(client, "A 17")
    ninth = give(client, 30, examination=full["examination"], patient_label="B 23")[0]

    assert OTHER_LABEL in ninth["says"] and ALONE not in ninth["says"]
    assert store.records.examination(ninth["examination"]).patient_label == "B 23"


def test_a_picture_sent_for_an_examination_that_is_not_here_says_so(client: Any, store: Any) -> None:
    alone = give(client, 1, examination="nowhere", patient_label="A 17")[0]

    assert alone["apart"] and NOT_FOUND in alone["says"] and NOT_FOUND in notes(client, alone)
    assert store.records.examination(alone["examination"]).patient_label == "A 17"


def test_of_a_picture_stored_while_the_box_cannot_answer_nobody_is_told_to_wait(
    config: Any, store: Any
) -> None:
    client = create_app(config, FixedReader(BROKEN)).test_client()
    says = give(client, 1)[0]["says"]

    assert says == "Stored. The box cannot answer now: the picture will be read when the box is mended."


@pytest.mark.parametrize("name", ["Fuß.png".encode("latin-1"), "手.png".encode("gbk"), b"\xff\xfe"])
def test_a_file_whose_name_is_no_utf8_is_taken(client: Any, store: Any, name: bytes) -> None:
    form = [
        (b'name="csrf_token"', token(client).encode()),
        (b'name="patient_label"', "Ä 17".encode()),
        (b'name="picture"; filename="' + name + b'"', sample.picture(sample.NONE)),
    ]
    parts = [b"--cut\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % part for part in form]
    answer = client.post(
        "/pictures", data=b"".join(parts) + b"--cut--\r\n", content_type="multipart/form-data; boundary=cut"
    )

    assert answer.status_code == 303
    label, shown, _ = images(store)[0]
    assert label == "Ä 17" and "\N{REPLACEMENT CHARACTER}" in shown and shown.isprintable()


def test_without_a_script_what_is_not_as_it_was_asked_is_told_before_a_result(client: Any) -> None:
    full = fill(client, "A 17")
    alone = post(client, 30, examination=full["examination"])
    known = post(client, 30, examination=full["examination"])

    assert alone.status_code == 201 and ALONE in alone.text and 'class="outcome' in alone.text
    assert known.status_code == 200 and NOT_ADDED in known.text
    assert "Another view of the same examination" in known.text


def test_views_of_one_injury_follow_a_picture_that_is_here_under_the_same_label(
    client: Any, store: Any
) -> None:
    first = give(client, 1, patient_label="A 17")[0]
    known, new = give(client, 1, 2, patient_label="A 17", together="yes")

    assert known["known"] and new["examination"] == first["examination"] and not new["apart"]
    assert len(store.records.examination(first["examination"]).images) == 2


def test_views_of_one_injury_do_not_follow_another_patients_picture_and_say_so(
    client: Any, store: Any
) -> None:
    first = give(client, 1, patient_label="A 17")[0]
    known, second, third = give(client, 1, 2, 3, patient_label="B 23", together="yes")

    assert known["known"] and "stored under the patient “A 17”" in known["says"]
    assert second["apart"] and PARTED in second["says"] and PARTED in notes(client, second)
    assert third["examination"] == second["examination"] != first["examination"]
    assert len(store.records.examination(first["examination"]).images) == 1


def test_the_script_says_itself_that_an_earlier_picture_is_elsewhere(client: Any) -> None:
    give(client, 1, patient_label="A 17")
    known = give(client, 1, patient_label="B 23", together="yes", several="yes")[0]
    new = give(client, 2, patient_label="B 23", together="yes", several="yes", parted="yes")[0]

    assert known["examination"] == "" and new["apart"] and PARTED in new["says"]


GIRL = {"patient_label": "A 17", "age": "7", "sex": "female", "body_part": "wrist", "view": "lateral"}


@pytest.mark.parametrize(
    ("together", "label", "facts"),
    [
        ("yes", "A 17", {"age": "7", "sex": "female", "body_part": "wrist"}),
        ("injuries", "A 17", {"age": "7", "sex": "female"}),
        ("patients", "", {}),
        ("", "", {}),
    ],
)
@pytest.mark.parametrize("script", [False, True])
def test_of_several_pictures_each_gets_what_is_true_of_all(
    config: Any, store: Any, together: str, label: str, facts: dict[str, str], script: bool
) -> None:
    client = create_app(config, FixedReader(type(READY)(READY.phase))).test_client()  # asks everything
    if script:
        said = [give(client, seed, **GIRL, together=together, several="yes")[0] for seed in (1, 2)]
    else:
        said = give(client, 1, 2, **GIRL, together=together)

    assert [(one, given) for one, _, given in images(store)] == [(label, facts)] * 2
    assert all((NOT_TAKEN in one["says"]) is (not label) for one in said)


def test_one_picture_gets_all_that_was_said_whatever_the_form_says_of_several(
    config: Any, store: Any
) -> None:
    client = create_app(config, FixedReader(type(READY)(READY.phase))).test_client()
    give(client, 1, **GIRL, together="patients")

    assert images(store)[0][0] == "A 17" and images(store)[0][2]["view"] == "lateral"


def test_views_added_together_keep_the_part_that_they_show(client: Any, store: Any) -> None:
    first = give(client, 1, patient_label="A 17")[0]
    give(client, 2, 3, examination=first["examination"], body_part="wrist", view="lateral")

    assert [facts for *_, facts in images(store)] == [{}, {"body_part": "wrist"}, {"body_part": "wrist"}]


def test_the_form_without_scripts_offers_what_the_script_asks(client: Any) -> None:
    page = client.get("/").text
    offered = re.findall(r'name="together" value="([^"]+)"', page)
    asked = re.findall(r'<button class="button[^"]*" type="button" value="([^"]+)"', page)

    assert sorted(offered) == sorted(asked) == ["injuries", "patients", "yes"]
    assert 'value="patients" autocomplete="off" checked' in page
