"""How long work still takes, in words."""

from __future__ import annotations

import pytest

from compress.progress import TimeLeft


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        ((0, 0.0), (10, 20.0), ", about 3 min left"),
        ((50, 0.0), (60, 10.0), ", about 40 s left"),  # resumed: the first 50 cost nothing now
        ((0, 0.0), (1, 600.0), ", about 16 h 30 min left"),
        ((0, 0.0), (100, 5.0), ""),
        ((5, 0.0), (5, 30.0), ""),
    ],
)
def test_the_rest_is_counted_at_the_pace_since_the_first_look(
    first: tuple[int, float], later: tuple[int, float], expected: str
) -> None:
    left = TimeLeft()
    assert not left.after(first[0], 100, first[1])
    said = left.after(later[0], 100, later[1])
    assert said == expected
