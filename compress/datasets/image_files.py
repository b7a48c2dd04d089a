"""One pass over the image files of a dataset: digest, declared size, and whether the file is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from compress.datasets.digests import THREADS
from compress.datasets.problems import Problem
from runtime import readers
from runtime.errors import InputError
from runtime.readers import raster
from runtime.readers.header import UPRIGHT
from runtime.readers.marks import is_dicom

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
_NO_IMAGE = "it is no JPEG, PNG, TIFF, BMP, WebP or DICOM file"
_SIDEWAYS = 5  # EXIF orientations from here on swap rows and columns


@dataclass(frozen=True)
class ImageFile:
    """height_px, width_px: once turned upright, as the reader will give it; 0 for DICOM.

    orientation: EXIF's, 1 for upright. fault: why the file cannot be used, "" for a sound one. Pixels are not
    decoded: a file may be whole and hold nonsense.
    """

    sha256: str = ""
    height_px: int = 0
    width_px: int = 0
    orientation: int = UPRIGHT
    fault: str = ""


def scan(paths: Iterable[Path]) -> dict[Path, ImageFile]:
    """Read every file once; a file that cannot be read is one with a fault."""
    unique = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(unique, pool.map(scan_one, unique), strict=True))


def scan_one(path: Path) -> ImageFile:
    """The facts of one file."""
    try:
        data = readers.load(path)
    except InputError as error:
        return ImageFile(fault=str(error))
    sha256 = hashlib.sha256(data).hexdigest()
    kind = raster.detect_format(data)
    if kind is None:
        return ImageFile(sha256, fault="" if is_dicom(data) else _NO_IMAGE)
    try:
        header = raster.INSPECTORS[kind](data)
    except InputError as error:
        return ImageFile(sha256, fault=str(error))
    size = (header.height_px, header.width_px)
    height_px, width_px = size[::-1] if header.orientation >= _SIDEWAYS else size
    return ImageFile(sha256, height_px, width_px, header.orientation)


def files_below(folder: Path) -> list[Path]:
    """Files in the folder and below it, sorted; hidden ones and those in hidden folders are left out.

    Programs write such beside the data and mean nothing by it: macOS "._image.png", notebooks
    ".ipynb_checkpoints/image.png".
    """
    found = (path for path in folder.rglob("*") if not _is_hidden(path.relative_to(folder)))
    return sorted(path for path in found if path.is_file())


def images_below(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """Those of `files_below` with one of the suffixes, in upper or lower case."""
    return [path for path in files_below(folder) if path.suffix.lower() in suffixes]


def by_name(
    paths: Iterable[Path], root: Path, problems: list[Problem], name_of: Callable[[Path], str]
) -> dict[str, Path]:
    """The files by the name that a table knows them by; two files of one name are a problem of that image."""
    found: dict[str, Path] = {}
    for path in paths:
        name = name_of(path)
        other = found.setdefault(name, path)
        if other is not path:
            places = " and ".join(repr(each.relative_to(root).as_posix()) for each in (other, path))
            problems.append(Problem(f"image {name!r} is there twice: {places}; keep one", path.stem))
    return found


def without_row(names: Iterable[str], table: str) -> list[str]:
    """A note on images that no row of the table names; none where every one has its row."""
    strangers = sorted(names)
    if not strangers:
        return []
    return [f"{len(strangers)} images have no row in {table}, for example {strangers[0]!r}: left out"]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
