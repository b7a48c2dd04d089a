from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_app.access import pins
from runtime.errors import InputError

_WEAK = (
    *("12345", "1234567890123", "123456", "654321", "901234", "000000", "121212", "123123"),
    *("112211", "49x274", "४९२७४१"),
    *("112233", "665544", "102030", "121314", "117722", "11223344", "112233445566"),
    *("123321", "492294", "123234", "987123", "492492492", "890123", "109876"),
    *("147258", "159357", "789456", "741852", "142536", "147258369", "1122334"),
)


@pytest.mark.parametrize("pin", ["", "49 274", *_WEAK])
def test_a_weak_pin_is_refused(pin: str) -> None:
    with pytest.raises(InputError):
        pins.check_new(pin)


@pytest.mark.parametrize("pin", ["492741", "8302715", "100482", "274927492750"])
def test_another_is_taken(pin: str) -> None:
    pins.check_new(pin)


def is_taken(pin: str) -> bool:
    try:
        pins.check_new(pin)
    except InputError:
        return False
    return True


_RUNS = [
    f"{first}{first + step}{first + 2 * step}"
    for first in range(10)
    for step in range(-4, 5)
    if 0 <= first + 2 * step <= 9
]
_SOME = st.text("0123456789", min_size=3, max_size=6)
_PATTERNS = st.one_of(
    st.tuples(st.sampled_from(_RUNS), st.sampled_from(_RUNS)).map("".join),
    _SOME.map(lambda some: some + some[::-1]),
    _SOME.map(lambda some: some * 2),
    _SOME.map(lambda some: "".join(digit * 2 for digit in some)),
)


@settings(max_examples=100, deadline=None)
@given(_PATTERNS)
def test_runs_and_what_is_mirrored_repeated_or_doubled_are_refused(pin: str) -> None:
    assert not is_taken(pin)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(pins.MIN_DIGITS, pins.MAX_DIGITS))
def test_hardly_any_of_many_random_pins_is_refused(seed: int, digits: int) -> None:
    random = Random(seed)
    drawn = [f"{random.randrange(10**digits):0{digits}}" for _ in range(2000)]
    assert sum(map(is_taken, drawn)) > 0.96 * len(drawn)


def test_what_is_kept_is_argon2id_with_a_salt_of_its_own_and_not_the_pin() -> None:
    first, second = pins.hashed("492741"), pins.hashed("492741")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "492741" not in first
    assert pins.matches("492741", first) and pins.matches("492741", second)


_KEPT = pins.hashed("492741")


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=40).filter(lambda text: text != "492741"))
def test_no_other_text_matches(pin: str) -> None:
    assert not pins.matches(pin, _KEPT)


@pytest.mark.parametrize(
    "spoil", [lambda _: "", lambda _: "492741", lambda kept: kept[:11], lambda kept: kept[:-4]]
)
def test_a_hash_that_was_spoiled_matches_nothing(spoil: Callable[[str], str]) -> None:
    assert not pins.matches("492741", spoil(_KEPT))
