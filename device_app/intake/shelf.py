"""Where a watched folder's files go once they are dealt with: `taken` and `refused`, right in the folder.

They are moved and not deleted: the box is not the archive's owner, and a mistake of ours must not cost the
only copy. A move is a rename on the same disk, so that no file is ever half there; nothing is overwritten,
because its new name is first made by us, empty, as one that did not exist.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from device_app.intake.steady import Found, Signature
from device_app.intake.tree import folder_of

TAKEN, REFUSED = "taken", "refused"
SHELVES = (TAKEN, REFUSED)
_LONGEST_NAME_BYTES = 200
_MOST_TRIES = 10_000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def put_away(root: Path, found: Found, shelf: str, note: str = "") -> bool:
    """Move a file to a shelf, with a note beside it where there is one to write.

    False when the file is no longer the one that was found: then it stays. Raises OSError when it cannot be
    moved.
    """
    with folder_of(root, found.parts) as source, folder_of(root, (shelf,)) as top:
        with suppress(FileExistsError):
            os.mkdir(shelf, 0o770, dir_fd=top)
        target = os.open(shelf, _FOLDER, dir_fd=top)
        try:
            return _move(source, found, target, note)
        finally:
            os.close(target)


def _move(source: int, found: Found, target: int, note: str) -> bool:
    name = _reserve(target, _spoken(found))
    try:
        facts = os.stat(found.name, dir_fd=source, follow_symlinks=False)
        if Signature.of(facts) != found.signature:
            os.unlink(name, dir_fd=target)
            return False
        os.rename(found.name, name, src_dir_fd=source, dst_dir_fd=target)
    except OSError:
        with suppress(OSError):
            os.unlink(name, dir_fd=target)
        raise
    if note:
        _write_note(target, f"{name}.txt", note)
    return True


def _spoken(found: Found) -> str:
    """Its name with those of its folders before it: two patients' folders may both hold an IMG1.dcm."""
    return " - ".join(found.parts)


def _reserve(folder: int, wanted: str) -> str:
    stem, dot, ending = wanted.rpartition(".")
    stem, ending = (stem, dot + ending) if stem and len(ending) <= 8 else (wanted, "")
    stem = _shortened(stem, _LONGEST_NAME_BYTES - len(os.fsencode(ending)))
    for number in range(1, _MOST_TRIES):
        name = f"{stem}{ending}" if number == 1 else f"{stem} ({number}){ending}"
        try:
            os.close(os.open(name, _NEW, 0o660, dir_fd=folder))
        except FileExistsError:
            continue
        return name
    raise FileExistsError("too many files have the same name")


def _shortened(text: str, most_bytes: int) -> str:
    whole = os.fsencode(text)
    return text if len(whole) <= most_bytes else whole[:most_bytes].decode("utf-8", "ignore")


def _write_note(folder: int, name: str, note: str) -> None:
    with suppress(OSError):  # the file has been moved: that is what counts
        descriptor = os.open(
            _reserve(folder, name), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(note)
