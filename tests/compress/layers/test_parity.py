"""Which layer is named, from figures alone."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from compress.layers.base import LayerTensor
from compress.layers.parity import LayerParity, with_drops

CHAIN = tuple(
    LayerTensor(name, "Conv", before)
    for name, before in (("a", ()), ("b", ("a",)), ("hidden", ("b",)), ("c", ("hidden",)), ("d", ("b", "c")))
)


def parity(**snr_db: float | None) -> LayerParity:
    return LayerParity(with_drops(CHAIN, snr_db, 40), images=1)


def test_the_layer_that_destroys_most_is_found_before_those_that_only_pass_it_on() -> None:
    found = parity(a=38.0, b=15.0, c=12.0, d=9.0)
    assert found.first_diverging is not None
    assert found.worst_drop is not None
    assert (found.first_diverging.name, found.worst_drop.name) == ("b", "b")
    assert [layer.drop_db for layer in found.layers] == [2.0, 23.0, 3.0, 3.0]


def test_the_first_to_diverge_need_not_be_the_worst() -> None:
    found = parity(a=21.0, b=19.0, c=2.0, d=2.0)
    assert found.first_diverging is not None
    assert found.worst_drop is not None
    assert (found.first_diverging.name, found.worst_drop.name) == ("b", "a")


def test_what_came_exact_is_no_worse_loser_than_eight_bits_allow() -> None:
    found = parity(a=150.0, b=36.0, c=25.0, d=25.0)
    assert found.worst_drop is not None
    assert found.worst_drop.name == "c"


def test_a_tensor_without_a_figure_is_looked_through_to_what_it_is_made_of() -> None:
    found = parity(a=30.0, b=None, c=24.0, d=24.0)
    assert [layer.drop_db for layer in found.layers] == [10.0, None, 6.0, 0.0]


def test_a_sum_is_held_against_the_worst_of_its_summands() -> None:
    drops = [layer.drop_db for layer in parity(a=40.0, b=35.0, c=20.0, d=22.0).layers]
    assert drops[-1] == -2.0


def test_nothing_lost_names_nothing() -> None:
    found = parity(a=150.0, b=150.0, c=150.0, d=150.0)
    assert (found.first_diverging, found.worst_drop) == (None, None)


@given(st.lists(st.none() | st.floats(-150, 150), min_size=4, max_size=4))
def test_json_holds_all_of_it(values: list[float | None]) -> None:
    found = parity(**dict(zip("abcd", values, strict=True)))
    assert LayerParity.from_json(json.loads(json.dumps(found.to_json()))) == found
