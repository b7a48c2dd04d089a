from pathlib import Path

import pytest

from compress.breakdown import Breakdown, check, parse_without, tag_values
from compress.datasets.base import Case
from runtime.errors import StepError

_CASES = tuple(
    Case(f"c{i}", f"p{i}", Path(f"{i}.png"), i % 2, "hand", tags={"hardware": str(i % 2), "serial": str(i)})
    for i in range(30)
)


def test_what_is_wrong_with_a_breakdown_is_listed_whole() -> None:
    wanted = Breakdown(("metal", "serial"), (("hardware", "7"), ("cast", "1")))
    with pytest.raises(StepError) as refused:
        check(_CASES, wanted)
    for words in ("tag metal", "serial has 30 values", "hardware=7", "tag cast"):
        assert words in str(refused.value)
    assert "hardware, serial" in refused.value.hint


def test_a_breakdown_that_the_images_have_passes() -> None:
    check(_CASES, Breakdown(("hardware",), (("serial", "3"),)))
    assert tag_values(_CASES[:2], "hardware").tolist() == ["0", "1"]
    assert tag_values(_CASES[:1], "unknown").tolist() == [""]


def test_a_value_may_hold_an_equals_sign_or_be_empty() -> None:
    assert parse_without(["a=b=c", "hardware="]) == (("a", "b=c"), ("hardware", ""))
    with pytest.raises(StepError, match="2 problems"):
        parse_without(["hardware", "=1"])
