"""The radiograph with the answer on it, for one of thousands: its name, and the file, whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from runtime.batch.task import Place
from runtime.durable import replace_file
from runtime.errors import UlnaError
from runtime.findings import Findings

ENDING = ".overlay.png"
_MOST_STEM_LETTERS = 60
_DIGEST_LETTERS = 16


def draw(data: bytes | None, findings: Findings) -> bytes | None:
    """PNG bytes; a blank picture above the words for what is no radiograph.

    None where there is an answer but the radiograph cannot be read a second time: "no fracture found" below
    a blank picture would be no less than a lie.
    """
    from runtime.overlay import render
    from runtime.readers import read_bytes

    radiograph = None
    if data is not None:
        with contextlib.suppress(Exception):  # whatever it is, the findings of what is none say it already
            radiograph = read_bytes(data)
    if radiograph is None and findings.refusal is None:
        return None
    return render(radiograph, findings)


def keep(folder: str, place: Place, picture: bytes | None) -> None:
    """Write it under its name; None leaves none there, not that of an earlier answer either.

    Raises UlnaError.
    """
    path = Path(folder) / name_of(place)
    try:
        if picture is None:
            path.unlink(missing_ok=True)
        else:
            replace_file(path, picture)
    except OSError as error:
        raise UlnaError(
            f"cannot write {path}: {error.strerror}", "make room, then run the same command again"
        ) from error


def name_of(place: Place) -> str:
    """The same in every run. A member's name lends it plain letters, never a path."""
    words = f"{place.path}\0{place.member}\0{place.occurrence}".encode("utf-8", "surrogatepass")
    last = (place.member or place.path).rsplit("/", 1)[-1]
    stem = last.rpartition(".")[0] or last
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem)
    digest = hashlib.sha256(words).hexdigest()[:_DIGEST_LETTERS]
    return f"{digest}-{plain[:_MOST_STEM_LETTERS]}{ENDING}"
