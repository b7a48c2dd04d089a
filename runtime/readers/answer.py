"""What a reading process says of one file: a picture's facts, or why there is none. Both as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime import strict
from runtime.errors import BundleFormatError, InputError, UnreadableImageError, UnsupportedImageError
from runtime.radiograph import AcquisitionFacts, FileSays, Radiograph

MAX_BYTES = 1 << 16
_KINDS: dict[str, type[InputError]] = {
    "unreadable": UnreadableImageError,
    "unsupported": UnsupportedImageError,
}
_DAMAGED = "The file was damaged on its way. Export or copy it again."


@dataclass(frozen=True)
class _Said:
    """refused: of _KINDS, "" where there is a picture, whose pixels travel apart, unless they stand in the
    file as they are, from its byte `at` on.
    """

    refused: str = ""
    message: str = ""
    hint: str = ""
    height_px: int = 0
    width_px: int = 0
    bit_depth: int = 0
    format: str = ""
    colour_spread: float = 0.0
    facts: AcquisitionFacts = dataclasses.field(default_factory=AcquisitionFacts)
    warnings: tuple[str, ...] = ()
    at: int | None = None


def of_picture(radiograph: Radiograph, at: int | None = None) -> bytes:
    """Everything but pixels and digest. at: where in the file the pixels stand as they are."""
    said = _Said(
        height_px=radiograph.height_px,
        width_px=radiograph.width_px,
        bit_depth=radiograph.bit_depth,
        format=radiograph.format,
        colour_spread=radiograph.colour_spread,
        facts=radiograph.facts,
        warnings=radiograph.warnings,
        at=at,
    )
    return json.dumps(dataclasses.asdict(said), allow_nan=False).encode()


def of_header(says: FileSays) -> bytes:
    """What a header says of whose picture it is, ahead of the picture."""
    return json.dumps(dataclasses.asdict(says)).encode()


def of_refusal(error: InputError) -> bytes:
    """Its kind and its words."""
    kind = next(name for name, kind in _KINDS.items() if isinstance(error, kind))
    return json.dumps({"refused": kind, "message": str(error), "hint": error.hint}).encode()


@dataclass(frozen=True, eq=False)
class Beside:
    """What comes with the words. pixels: (N,). given: (M,) the file itself, where they may stand."""

    pixels: NDArray[np.uint16]
    given: NDArray[np.uint8]

    def plane(self, height_px: int, width_px: int, at: int | None) -> NDArray[np.uint16]:
        """(H, W). Raises ValueError for a place or a size that cannot be."""
        if min(height_px, width_px) < 1:  # numpy takes a negative side for one that it shall find out
            raise ValueError(f"no picture has {height_px} x {width_px} pixels")
        if at is None:
            return self.pixels.reshape(height_px, width_px)
        if at < 0 or at % 2:
            raise ValueError(f"no picture can stand at byte {at}")
        end = at + 2 * height_px * width_px
        return self.given[at:end].view(np.uint16).reshape(height_px, width_px)


def understand(said: bytes, beside: Beside, sha256: str) -> Radiograph:
    """The picture of which `said` tells, with the pixels that came with it. Nothing is believed.

    Raises the InputError that was said, and UnreadableImageError for words that make no sense.
    """
    try:
        table = strict.build(_Said, strict.loads(said, "answer"), "answer")
        if table.refused:
            raise _KINDS[table.refused](table.message, table.hint)
        _require_pairs(table.facts)
        return Radiograph(
            beside.plane(table.height_px, table.width_px, table.at),
            table.bit_depth,
            sha256,
            table.format,
            table.colour_spread,
            table.facts,
            table.warnings,
        )
    except (BundleFormatError, KeyError, TypeError, ValueError) as error:
        raise UnreadableImageError("the file confused the program that reads it", _DAMAGED) from error


def understand_header(said: bytes) -> FileSays:
    """What a header says; nothing where the words make no sense."""
    try:
        return strict.build(FileSays, strict.loads(said, "header"), "header")
    except (BundleFormatError, KeyError, TypeError, ValueError):
        return FileSays()


def _require_pairs(facts: AcquisitionFacts) -> None:
    for pair in (facts.window, facts.pixel_spacing_mm):
        if pair is not None and len(pair) != 2:
            raise ValueError(f"expected two values, got {len(pair)}")
