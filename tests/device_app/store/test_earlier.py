"""Which examinations a later one can be compared with."""

from __future__ import annotations

from typing import Any

from device_app.store.earlier import earlier_examinations


def found(store: Any, receipt: Any, **options: int) -> list[str]:
    return [one.public_id for one in earlier_examinations(store.database, receipt.public_id, **options)]


def test_those_before_it_under_the_same_label_come_newest_first(store: Any, receive: Any) -> None:
    first, second = receive(b"1", label="P 7"), receive(b"2", label="P 7")
    receive(b"3", label="P 70")
    third, fourth = receive(b"4", label="P 7"), receive(b"5", label="P 7")
    assert found(store, third) == [second.public_id, first.public_id]
    assert found(store, first) == []
    assert found(store, fourth, limit=1) == [third.public_id]


def test_pictures_without_a_label_are_of_nobody(store: Any, receive: Any) -> None:
    receive(b"1"), receive(b"2", label=" ")
    assert found(store, receive(b"3")) == []
    assert earlier_examinations(store.database, "unknown") == ()


def test_a_label_is_compared_whole_and_to_the_letter(store: Any, receive: Any) -> None:
    for number, label in enumerate(("p 7", "P 7 ", "P%", "P_7", "P 7a")):
        receive(str(number).encode(), label=label)
    same = found(store, receive(b"x", label="P 7"))
    assert len(same) == 1  # a space at the end is none, as everywhere
