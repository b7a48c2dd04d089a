"""One file changed at random into another: what damage, carelessness and malice do to it."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from typing import Protocol

_MOST_CHANGES = 8
_HEADER_BYTES = 1024
_CHUNK_BYTES = 4096
_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF)
_WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Holder(Protocol):
    """Whatever has bytes that a change may borrow from."""

    @property
    def data(self) -> bytes:
        """All of them."""
        ...


def mutated(data: bytes, others: Sequence[Holder], seed: tuple[int, int]) -> bytes:
    """One to eight changes, half of them where headers stand. The same seed gives the same bytes."""
    # Reproducible, no secret.
    draw = random.Random(f"{seed[0]} {seed[1]}")
    changed = bytearray(data)
    for _ in range(draw.randint(1, _MOST_CHANGES)):
        if not changed:
            break
        draw.choice(_CHANGES)(changed, draw, others)
    return bytes(changed)


def _place(changed: bytearray, draw: random.Random) -> int:
    end = min(_HEADER_BYTES, len(changed)) if draw.random() < 0.5 else len(changed)
    return draw.randrange(end)


def _span(changed: bytearray, draw: random.Random) -> slice:
    start = _place(changed, draw)
    return slice(start, start + draw.randint(1, _CHUNK_BYTES))


def _flip_bit(changed: bytearray, draw: random.Random, _: Sequence[Holder]) -> None:
    changed[_place(changed, draw)] ^= 1 << draw.randrange(8)


def _set_byte(changed: bytearray, draw: random.Random, _: Sequence[Holder]) -> None:
    changed[_place(changed, draw)] = draw.choice(_BYTES)


def _set_word(changed: bytearray, draw: random.Random, _: Sequence[Holder]) -> None:
    """A length or a size that says something extreme, in either order of bytes."""
    size, value = draw.choice((2, 4)), draw.choice(_WORDS)
    word = struct.pack(draw.choice("<>") + "I", value)
    at = _place(changed, draw)
    changed[at : at + size] = word[:size] if draw.random() < 0.5 else word[-size:]


def _cut(changed: bytearray, draw: random.Random, _: Sequence[Holder]) -> None:
    del changed[_place(changed, draw) + 1 :]


def _remove(changed: bytearray, draw: random.Random, _: Sequence[Holder]) -> None:
    del changed[_span(changed, draw)]


def _repeat(changed: bytearray, draw: random.Random, _: Sequence[Holder]) -> None:
    span = _span(changed, draw)
    changed[span.start : span.start] = changed[span] * draw.choice((1, 2, 16))


def _noise(changed: bytearray, draw: random.Random, _: Sequence[Holder]) -> None:
    span = _span(changed, draw)
    changed[span] = draw.randbytes(len(changed[span]))


def _borrow(changed: bytearray, draw: random.Random, others: Sequence[Holder]) -> None:
    """A piece of another file, of whatever form."""
    other = draw.choice(others).data
    start = draw.randrange(len(other))
    changed[_span(changed, draw)] = other[start : start + draw.randint(1, _CHUNK_BYTES)]


_CHANGES: tuple[Callable[[bytearray, random.Random, Sequence[Holder]], None], ...] = (
    _flip_bit,
    _set_byte,
    _set_word,
    _set_word,
    _cut,
    _remove,
    _repeat,
    _noise,
    _borrow,
)
