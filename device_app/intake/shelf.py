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
_FOLDER_BITS, _FILE_BITS = 0o1770, 0o660
"""Of the watched folder's mode. Set-user and set-group bits are left out: the unit lets nobody set those. So
are everybody's: what lay in a closed folder of a patient's would be open to all on a shelf.
"""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SEEN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
"""Held until it has been moved, so that its inode is not given to another."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def put_away(root: Path, found: Found, shelf: str, note: str = "") -> bool:
    """Move a file to a shelf, with a note beside it where there is one to write.

    False when the file is no longer the one that was found: then it stays. Raises OSError when it cannot be
    moved.
    """
    with folder_of(root, found.parts) as source, folder_of(root, (shelf,)) as top:
        access = os.fstat(top)
        target = _opened(shelf, top, access)
        try:
            name = _move(source, found, target)
            if name and note:
                _write_note(target, f"{name}.txt", note, access)
            return bool(name)
        finally:
            os.close(target)


def _opened(shelf: str, top: int, access: os.stat_result) -> int:
    made = False
    with suppress(FileExistsError):
        os.mkdir(shelf, 0o770, dir_fd=top)
        made = True
    target = os.open(shelf, _FOLDER, dir_fd=top)
    if made:  # one that is there may have been closed on purpose: it holds patients' pictures
        _share(target, access, _FOLDER_BITS, 0o700)
    return target


def _share(descriptor: int, access: os.stat_result, bits: int, owner: int) -> None:
    """Open what we made to the group of the watched folder as that is: it must read why, and empty shelves.

    Whatever the process keeps to itself by its umask. Not every share knows owners and modes. owner: bits
    that we keep: the folder's owner may be somebody else.
    """
    with suppress(OSError):
        os.fchown(descriptor, -1, access.st_gid)
    with suppress(OSError):
        os.fchmod(descriptor, access.st_mode & bits | owner)


def _move(source: int, found: Found, target: int) -> str:
    """Its name on the shelf; "" where it is no longer the one that was found."""
    file = os.open(found.name, _SEEN, dir_fd=source)
    try:
        if Signature.of(os.fstat(file)) != found.signature:
            return ""
        name = _renamed(source, found.name, target, _spoken(found))
        facts = os.stat(name, dir_fd=target, follow_symlinks=False)
        if os.path.samestat(facts, os.fstat(file)) and _is_unwritten(facts, found.signature):
            return name
        _renamed(target, name, source, found.name)  # replaced in this moment: nobody has read it
        return ""
    finally:
        os.close(file)


def _renamed(source: int, name: str, target: int, wanted: str) -> str:
    """Move a file to a name that is free; that name. Raises OSError."""
    free = _reserve(target, wanted)
    try:
        os.rename(name, free, src_dir_fd=source, dst_dir_fd=target)
    except OSError:
        with suppress(OSError):
            os.unlink(free, dir_fd=target)
        raise
    return free


def _is_unwritten(facts: os.stat_result, before: Signature) -> bool:
    """Of a file that was moved, which changes its other times."""
    return (facts.st_size, facts.st_mtime_ns) == (before.size_bytes, before.modified_ns)


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


def _write_note(folder: int, name: str, note: str, access: os.stat_result) -> None:
    with suppress(OSError):  # the file has been moved: that is what counts
        descriptor = os.open(
            _reserve(folder, name), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            _share(descriptor, access, _FILE_BITS, 0o600)
            file.write(note)
