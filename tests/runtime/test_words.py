"""Words of pictures: one form, whatever they are made of, that stays as it is when it is asked again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.metadata import MetadataSpec
from runtime.words import MAX_WORDS_CHARS, VIEW_WORDS, as_words, view_word

long_texts = st.text(alphabet="aZ9 -+", min_size=MAX_WORDS_CHARS - 2, max_size=MAX_WORDS_CHARS + 8)


@given(st.one_of(st.text(max_size=80), long_texts))
def test_words_are_their_own_words(value: str) -> None:
    words = as_words(value)
    assert words is None or (as_words(words) == words and 0 < len(words) <= MAX_WORDS_CHARS)


def test_words_that_are_cut_at_a_space_are_fit_for_a_vocabulary() -> None:
    words = as_words("a" * (MAX_WORDS_CHARS - 1) + " bcd")
    assert words == "a" * (MAX_WORDS_CHARS - 1)
    assert MetadataSpec(("body_part",), body_parts=(words,)).words("body_part") == (words,)


def test_ulnas_own_words_for_views_stay() -> None:
    assert VIEW_WORDS == ("frontal", "lateral", "oblique")
    assert [view_word(word) for word in VIEW_WORDS] == list(VIEW_WORDS)
