"""The chain: whatever is done to it shows."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_app.audit import START, Anchor, Entry, Written, faults
from runtime.errors import InputError

_DETAIL = st.dictionaries(st.text(max_size=8), st.one_of(st.integers(), st.text(max_size=8), st.booleans()))


def chain(details: list[dict[str, object]]) -> list[Written]:
    made: list[Written] = []
    for number, detail in enumerate(details, 1):
        previous = made[-1].sha256 if made else START
        entry = Entry(
            number, f"2026-01-01T00:00:{number:02d}", "kiosk", "received", f"x{number}", detail, previous
        )
        made.append(Written(entry, entry.sha256))
    return made


def resealed(written: Written, **values: object) -> Written:
    """Changed by somebody who knows how digests are made."""
    entry = dataclasses.replace(written.entry, **values)  # type: ignore[arg-type]
    return Written(entry, entry.sha256)


LOG = chain([{"n": number} for number in range(6)])


@given(st.lists(_DETAIL, max_size=8))
def test_a_chain_as_it_was_written_is_sound_and_holds_every_anchor(details: list[dict[str, object]]) -> None:
    log = chain(details)
    anchors = [Anchor(0, START), *(Anchor(one.entry.number, one.sha256) for one in log)]
    assert faults(log, anchors) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at_utc", "2026-01-01T00:00:59"),
        ("actor", "box"),
        ("action", "answered"),
        ("subject", "other"),
        ("detail", {"n": 99}),
    ],
)
@pytest.mark.parametrize("index", range(6))
def test_a_changed_entry_is_told_with_its_number(index: int, name: str, value: object) -> None:
    spoiled = dataclasses.replace(LOG[index].entry, **{name: value})  # type: ignore[arg-type]
    log = [*LOG[:index], Written(spoiled, LOG[index].sha256), *LOG[index + 1 :]]
    assert faults(log) == [f"entry {index + 1} was changed"]


@pytest.mark.parametrize("index", range(5))
def test_a_changed_entry_with_a_digest_of_its_own_breaks_the_next(index: int) -> None:
    log = [*LOG[:index], resealed(LOG[index], subject="other"), *LOG[index + 1 :]]
    assert faults(log) == [f"entry {index + 2} does not follow the one before it"]


@pytest.mark.parametrize(("first", "last"), [(0, 0), (1, 1), (1, 3), (0, 4)])
def test_entries_that_were_taken_out_are_told(first: int, last: int) -> None:
    log = [*LOG[:first], *LOG[last + 1 :]]
    assert faults(log) == [f"entries {first + 1} to {last + 1} are missing"]


def test_an_end_that_was_cut_off_is_told_by_an_anchor_alone() -> None:
    anchor = Anchor(6, LOG[5].sha256)
    assert faults(LOG[:4]) == []
    assert faults(LOG[:4], [anchor]) == [
        "entry 6 was written down and is gone: the end of the log was cut off"
    ]


def test_a_log_written_anew_from_some_entry_on_is_told_by_an_anchor_alone() -> None:
    log = list(LOG[:2])
    for written in LOG[2:]:
        log.append(resealed(written, previous_sha256=log[-1].sha256, actor="box"))
    assert faults(log) == []
    assert faults(log, [Anchor(2, LOG[1].sha256)]) == []
    assert faults(log, [Anchor(5, LOG[4].sha256)]) == ["entry 5 is not the one that was written down"]


@given(st.integers(0, 10**17), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_an_anchor_is_read_as_it_was_written(number: int, digest: str) -> None:
    anchor = Anchor(number, digest)
    assert Anchor.of_text(f" {anchor.text()}\n") == anchor


@pytest.mark.parametrize(
    "text", ["", "6", "6:", "6:abc", f"x:{START}", f"-1:{START}", f"6:{START[:-1]}G", f"٦:{START}"]
)
def test_other_text_is_no_anchor(text: str) -> None:
    with pytest.raises(InputError, match="anchor"):
        Anchor.of_text(text)
