"""PINs: which are good enough, and how they are kept. Argon2id (RFC 9106) with OWASP's cost for it."""

from __future__ import annotations

import itertools
import os
import threading

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from runtime.errors import InputError

MIN_DIGITS, MAX_DIGITS = 6, 12
_MEMORY_KIB, _ITERATIONS, _LANES = 19 * 1024, 2, 1
_SALT_BYTES, _HASH_BYTES = 16, 32
_one_at_a_time = threading.Lock()
"""Many tries at once would take the box's memory, which pictures need."""


def check_new(pin: str) -> None:
    """Raises InputError for a PIN that is too short, too long, no digits, or among the first to be tried."""
    if not pin.isascii() or not pin.isdigit() or not MIN_DIGITS <= len(pin) <= MAX_DIGITS:
        raise InputError(f"a PIN is {MIN_DIGITS} to {MAX_DIGITS} digits", "choose another PIN")
    if _has_pattern(pin):
        raise InputError("this PIN is too easy to guess", "choose one without a pattern")


def _has_pattern(pin: str) -> bool:
    """Of hardly any digits, each of them twice, the same again, mirrored, or counting: by pairs, or in runs
    of three on average. Lines on a keypad are such runs too (147, 159).
    """
    pairs = [int(pin[place : place + 2]) for place in range(0, len(pin) - 1, 2)]
    is_repeated = pin[::2] == pin[1::2] or pin in (pin * 2)[1:-1]
    counts = _runs(pairs) == 1 or _runs([int(digit) for digit in pin]) <= len(pin) // 3
    return len(set(pin)) < 3 or is_repeated or pin == pin[::-1] or counts


def _runs(numbers: list[int]) -> int:
    """Into how few parts they fall that rise, fall or stay by even steps."""
    runs, step = 1, None
    for before, after in itertools.pairwise(numbers):
        if step is None:
            step = after - before
        elif after - before != step:
            runs, step = runs + 1, None
    return runs


def hashed(pin: str) -> str:
    """The PIN as it is kept, in PHC form. About 30 ms and 19 MiB."""
    with _one_at_a_time:
        return _argon2().derive_phc_encoded(pin.encode())


def matches(pin: str, pin_hash: str) -> bool:
    """Whether it is the PIN that was hashed; takes as long for a wrong one."""
    with _one_at_a_time:
        try:
            Argon2id.verify_phc_encoded(pin.encode()[:256], pin_hash)
        except (InvalidKey, ValueError):
            return False
    return True


def _argon2() -> Argon2id:
    return Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_ITERATIONS,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )
