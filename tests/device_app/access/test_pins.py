from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_app.access import pins
from runtime.errors import InputError

_WEAK = (
    *("12345", "1234567890123", "123456", "654321", "901234", "000000", "121212", "123123"),
    *("112211", "49x274", "४९२७४१"),
)


@pytest.mark.parametrize("pin", ["", "49 274", *_WEAK])
def test_a_weak_pin_is_refused(pin: str) -> None:
    with pytest.raises(InputError):
        pins.check_new(pin)


@pytest.mark.parametrize("pin", ["492741", "8302715", "100482", "274927492750"])
def test_another_is_taken(pin: str) -> None:
    pins.check_new(pin)


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
