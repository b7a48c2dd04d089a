"""Says in one sentence which value of a recipe is impossible, and what it may be."""

from __future__ import annotations

LARGEST_SEED = (1 << 32) - 1


def at_least(least: int, **values: int) -> None:
    """Raise ValueError for a value below `least`."""
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def within(low: float, high: float, **values: float) -> None:
    """Raise ValueError unless low < value < high."""
    for name, value in values.items():
        if not low < value < high:
            raise ValueError(f"{name} must lie between {low:g} and {high:g}, got {value:g}")


def within_or_at(low: float, high: float, **values: float) -> None:
    """Raise ValueError unless low <= value <= high."""
    for name, value in values.items():
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low:g} to {high:g}, got {value:g}")


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ValueError for a word that is not known."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def seed_like(name: str, value: int) -> None:
    """Raise ValueError for a number that no generator takes as its seed."""
    if not 0 <= value <= LARGEST_SEED:
        raise ValueError(f"{name} must be 0 to {LARGEST_SEED}, got {value}")
