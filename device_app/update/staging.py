"""Copy a verified bundle onto the box's own disk, so that what is tested later is what was verified."""

from __future__ import annotations

import shutil
from pathlib import Path

from device_app.update import durable
from runtime.bundle import MANIFEST_NAME, SIGNATURE_NAME, Bundle, open_bundle
from runtime.durable import sync_folder
from runtime.errors import BundleError, DiskFullError
from runtime.trust import TrustStore

# Journal, links and folders need a little room beside the bundle itself.
_SPARE_BYTES = 1 << 20


def copy_bundle(bundle: Bundle, target: Path, trust: TrustStore) -> None:
    """Copy the files that the manifest names into the new folder `target`, flushed, and verify the copy.

    What is copied is what was checked: `Bundle.read` compares the digest of the very bytes it returns, and
    the manifest of the copy must have the digest of the one that was verified.
    Raises DiskFullError, BundleError; OSError for a disk that fails.
    """
    sizes = {name: entry.size_bytes for name, entry in bundle.manifest.files.items()}
    _require_room(target.parent, sum(sizes.values()))
    durable.make_folder(target)
    for name in sizes:
        _write(target / name, bundle.read(name))
    for name in (MANIFEST_NAME, SIGNATURE_NAME):
        _write(target / name, (bundle.root / name).read_bytes())
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        sync_folder(folder)
    if open_bundle(target, trust).digest != bundle.digest:
        raise BundleError(
            f"{bundle.root} changed while it was copied", "copy it to a sound disk and try again"
        )


def _write(path: Path, data: bytes) -> None:
    durable.make_folder(path.parent)
    durable.write_file(path, data)


def _require_room(folder: Path, size_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    needed_bytes = size_bytes + _SPARE_BYTES
    if free_bytes < needed_bytes:
        raise DiskFullError(
            f"the bundle needs {needed_bytes / 1e6:.1f} MB in {folder}, {free_bytes / 1e6:.1f} MB are free",
            durable.DISK_FULL_HINT,
        )
