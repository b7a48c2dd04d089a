"""Prefetching changes nothing but who makes the items."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.training.prefetch import prefetched


@settings(max_examples=25, deadline=None)
@given(items=st.lists(st.integers(), max_size=20))
def test_the_same_items_come_in_the_same_order(items: list[int]) -> None:
    assert list(prefetched(iter(items))) == items


def test_items_are_made_in_a_thread_of_their_own() -> None:
    makers = list(prefetched(threading.get_ident() for _ in range(3)))
    assert len(set(makers)) == 1
    assert makers[0] != threading.get_ident()


def test_an_error_comes_where_its_item_would_have_come() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("third")

    seen = []
    with pytest.raises(KeyError, match="third"):
        for item in prefetched(failing()):
            seen.append(item)
    assert seen == [1, 2]


def test_who_leaves_early_leaves_no_thread_behind_and_few_items_made() -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    before = threading.active_count()
    items = prefetched(endless())
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before
    assert len(made) <= 5
