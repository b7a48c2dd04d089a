"""A bundle: a folder with manifest.json, manifest.sig (raw Ed25519 over the manifest's bytes) and files.

The order of checks, each on bytes already read and none before the one above it has passed:

1. manifest.sig is 64 bytes and was made over manifest.json by a trusted key;
2. manifest.json parses and says nothing impossible;
3. the folder holds exactly the files that it names, all of them regular, of the size it names;
4. each file has the digest it names.

`Bundle.read` checks the digest once more on the bytes it returns, so nothing can change in between.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime import trust as trust_module
from runtime.anomaly import AnomalyDetector, FeatureStatistics
from runtime.backends.base import ModelFiles
from runtime.durable import publish_folder, sync_tree, write_synced
from runtime.errors import BundleError, BundleFormatError, DigestMismatchError, SignatureError
from runtime.manifest import (
    MANIFEST_NAME,
    REFERENCE,
    SIGNATURE_NAME,
    STATUS_DEFERRED,
    STATUS_OK,
    EngineEntry,
    FileEntry,
    GoldenCase,
    IntendedUse,
    Manifest,
    is_file_name,
)
from runtime.trust import SIGNATURE_BYTES, TrustStore

__all__ = [
    "MANIFEST_NAME",
    "MAX_MANIFEST_BYTES",
    "REFERENCE",
    "SIGNATURE_NAME",
    "SIGNER_NAME",
    "STATUS_DEFERRED",
    "STATUS_OK",
    "Bundle",
    "EngineEntry",
    "FileEntry",
    "GoldenCase",
    "IntendedUse",
    "Manifest",
    "open_bundle",
    "open_pinned",
    "write_bundle",
]

SIGNER_NAME = "signer.pem"
"""The signer's public key, a file like any other. It proves nothing; it lets an error name the key."""

MAX_MANIFEST_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 20
_COPY_HINT = "copy the bundle again from where it was made"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every file was found as signed.

    digest: SHA-256 of manifest.json in hex, and so of everything. signed_by: fingerprint of the key.
    """

    root: Path
    manifest: Manifest
    digest: str
    signed_by: str

    def read(self, name: str) -> bytes:
        """The bytes of a file, checked. Raises BundleError if it is not listed or has changed."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise BundleError(f"{name} is not a file of bundle {self.manifest.name}")
        data = _read_bounded(self.root, name, entry.size_bytes)
        _compare(name, entry, hashlib.sha256(data).hexdigest())
        return data

    def entry(self, key: str) -> EngineEntry:
        """The engine entry called `key`. Raises BundleError if there is none."""
        for entry in self.manifest.engines:
            if entry.key == key:
                return entry
        keys = ", ".join(entry.key for entry in self.manifest.engines)
        raise BundleError(f"bundle {self.manifest.name} holds no engine {key!r}", f"it holds: {keys}")

    def model_files(self, entry: EngineEntry) -> ModelFiles:
        """The checked bytes of an engine's model."""
        return ModelFiles(self.read(entry.main), self.read(entry.weights) if entry.weights else b"")

    def anomaly_detector(self) -> AnomalyDetector | None:
        """What tells strange pictures, where the bundle holds it. Raises BundleFormatError."""
        limits = self.manifest.anomaly
        if limits is None:
            return None
        return AnomalyDetector(FeatureStatistics.from_bytes(self.read(limits.file)), limits)

    def size_bytes(self, entry: EngineEntry) -> int:
        """Of an engine's files together."""
        return sum(self.manifest.files[name].size_bytes for name in entry.files)


def open_bundle(root: Path, trust: TrustStore | None = None) -> Bundle:
    """Check everything and return the bundle; `trust` None is what this machine trusts.

    Raises SignatureError, BundleFormatError or DigestMismatchError, before any file is used.
    """
    folder = _folder(root)
    manifest_bytes = _read_manifest(folder)
    signed_by = _check_signature(folder, manifest_bytes, TrustStore.default() if trust is None else trust)
    return _check(folder, manifest_bytes, signed_by)


def open_pinned(root: Path, digest: str, signed_by: str) -> Bundle:
    """Open a bundle that a parent process has opened before: its digest takes the place of the signature.

    Raises as `open_bundle` does, DigestMismatchError if the manifest is another one.
    """
    folder = _folder(root)
    manifest_bytes = _read_manifest(folder)
    actual = hashlib.sha256(manifest_bytes).hexdigest()
    if actual != digest:
        raise DigestMismatchError(f"{MANIFEST_NAME} has changed: expected sha256 {digest}, got {actual}")
    return _check(folder, manifest_bytes, signed_by)


def write_bundle(
    root: Path, manifest: Manifest, files: Mapping[str, Path | bytes], key: Ed25519PrivateKey
) -> Bundle:
    """Write, sign and re-open a bundle at `root`, in place of a bundle that is there.

    `manifest.files` must be empty: it is computed from the bytes written. Everything is written, fsynced and
    checked in a folder beside `root`, which then takes its name: `root` is never half of anything.
    Raises BundleError for files that engines or golden cases refer to but that are not given, and where
    `root` is something other than a bundle.
    """
    root = Path(root)
    _check_request(root, manifest, files)
    contents: dict[str, Path | bytes] = {**files, SIGNER_NAME: trust_module.public_pem(key.public_key())}
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
        try:
            _fill(work, manifest, contents, key)
            publish_folder(work, root)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise BundleError(
            f"cannot write bundle {root}: {error.strerror} ({error.filename})", "check disk space and owner"
        ) from error
    return open_bundle(root, TrustStore.of(key))


def _check_request(root: Path, manifest: Manifest, files: Mapping[str, Path | bytes]) -> None:
    if manifest.files:
        raise BundleError("the manifest to write lists files already; they are computed from what is given")
    missing = [name for name in manifest.references if name not in files]
    if missing:
        raise BundleError(f"the manifest refers to {missing[0]}, which is not among the files given")
    for name in files:
        if not is_file_name(name) or name in (MANIFEST_NAME, SIGNATURE_NAME, SIGNER_NAME):
            raise BundleError(f"{name!r} cannot be the name of a file in a bundle")
    if root.is_symlink() or (root.exists() and not _may_replace(root)):
        raise BundleError(f"{root} exists and is no bundle", "choose another folder")


def _may_replace(root: Path) -> bool:
    return root.is_dir() and ((root / MANIFEST_NAME).is_file() or not any(root.iterdir()))


def _fill(
    work: Path, manifest: Manifest, contents: Mapping[str, Path | bytes], key: Ed25519PrivateKey
) -> None:
    # mkdtemp makes 0700; a kiosk runs under another user than the engineer.
    work.chmod(0o755)
    entries = {}
    for name, content in contents.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        write_synced(work / name, data)
        entries[name] = FileEntry(hashlib.sha256(data).hexdigest(), len(data))
    manifest_bytes = dataclasses.replace(manifest, files=entries).to_json()
    if len(manifest_bytes) > MAX_MANIFEST_BYTES:
        raise BundleError(f"the manifest is {len(manifest_bytes)} bytes, at most {MAX_MANIFEST_BYTES}")
    write_synced(work / MANIFEST_NAME, manifest_bytes)
    write_synced(work / SIGNATURE_NAME, key.sign(manifest_bytes))
    open_bundle(work, TrustStore.of(key))
    sync_tree(work)


def _folder(root: Path) -> Path:
    # Resolved once, so that a switch of the link a box runs from cannot mix two bundles.
    try:
        folder = Path(root).resolve()
        is_folder = folder.is_dir()
    except (OSError, RuntimeError) as error:  # Python tells a loop of links by RuntimeError
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise BundleFormatError(f"no bundle at {root}: {why}", "check the path and its owner") from error
    if not is_folder:
        raise BundleFormatError(
            f"no bundle at {root}: not a folder", "give the folder that holds manifest.json"
        )
    return folder


def _read_manifest(folder: Path) -> bytes:
    try:
        data = _read_bounded(folder, MANIFEST_NAME, MAX_MANIFEST_BYTES)
    except DigestMismatchError as error:
        raise BundleFormatError(str(error), "is this the folder of a bundle?") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleFormatError(f"{MANIFEST_NAME} is over {MAX_MANIFEST_BYTES} bytes", _COPY_HINT)
    return data


def _check_signature(folder: Path, manifest_bytes: bytes, trust: TrustStore) -> str:
    try:
        signature = _read_bounded(folder, SIGNATURE_NAME, SIGNATURE_BYTES)
    except DigestMismatchError as error:
        raise SignatureError(str(error), _COPY_HINT) from error
    if len(signature) != SIGNATURE_BYTES:
        size = "more" if len(signature) > SIGNATURE_BYTES else str(len(signature))
        raise SignatureError(
            f"{SIGNATURE_NAME} must be {SIGNATURE_BYTES} bytes, got {size}",
            "the bundle is not signed; " + _COPY_HINT,
        )
    signer = trust.signer(signature, manifest_bytes)
    if signer is None:
        raise _unknown_signer(folder, signature, manifest_bytes, trust)
    return signer.fingerprint


def _unknown_signer(
    folder: Path, signature: bytes, manifest_bytes: bytes, trust: TrustStore
) -> SignatureError:
    """The error that tells an altered manifest from one whose signer this machine does not know."""
    known = ", ".join(key.fingerprint for key in trust.keys) or "none"
    try:
        pem = _read_bounded(folder, SIGNER_NAME, trust_module.MAX_KEY_FILE_BYTES)
        claimed = trust_module.parse_public_key(pem, SIGNER_NAME)
    except BundleError:
        claimed = None
    if claimed is None or not trust_module.verifies(claimed, signature, manifest_bytes):
        return SignatureError(
            f"{MANIFEST_NAME} or {SIGNATURE_NAME} was altered, or another key signed it: "
            f"no trusted key made this signature (trusted: {known})",
            f"{_COPY_HINT}; trust its maker's key with `ulna keys trust FILE.pem`",
        )
    digits = trust_module.fingerprint(claimed)
    return SignatureError(
        f"{MANIFEST_NAME} is signed by key {digits}, which this machine does not trust (trusted: {known})",
        f"ask the maker whether {digits} is their key; if so, run `ulna keys trust {folder / SIGNER_NAME}`",
    )


def _check(folder: Path, manifest_bytes: bytes, signed_by: str) -> Bundle:
    manifest = Manifest.from_json(manifest_bytes)
    missing = [name for name in manifest.references if name not in manifest.files]
    if missing:
        raise BundleFormatError(f"{MANIFEST_NAME} refers to {missing[0]} but lists no digest for it")
    _check_listing(folder, manifest)
    for name, entry in manifest.files.items():
        found = _measured(folder, name, entry.size_bytes)
        _compare(name, entry, found.sha256)
        if found.size_bytes != entry.size_bytes:
            raise BundleFormatError(
                f"{name} is {found.size_bytes} bytes, {MANIFEST_NAME} says {entry.size_bytes}", _COPY_HINT
            )
    return Bundle(folder, manifest, hashlib.sha256(manifest_bytes).hexdigest(), signed_by)


def _check_listing(folder: Path, manifest: Manifest) -> None:
    expected = {*manifest.files, MANIFEST_NAME, SIGNATURE_NAME}
    folders = {str(parent) for name in expected for parent in Path(name).parents} - {"."}
    found = dict(_walk(folder, "", folders))
    for name in sorted({*expected, *folders} - set(found)):
        raise DigestMismatchError(f"{name} is missing from the bundle", _COPY_HINT)
    for name, mode in sorted(found.items()):
        if name not in expected and name not in folders:
            raise DigestMismatchError(f"{name} is an additional file, not in {MANIFEST_NAME}", _COPY_HINT)
        fits = stat.S_ISDIR(mode) if name in folders else stat.S_ISREG(mode)
        if not fits:
            wanted = "a folder" if name in folders else "a regular file"
            raise DigestMismatchError(f"{name} is {_kind(mode)}, expected {wanted}", _COPY_HINT)


def _walk(folder: Path, prefix: str, enter: set[str]) -> Iterator[tuple[str, int]]:
    """Relative names and st_mode of everything below, links not followed; of folders only `enter` is entered.

    One that should not be there is refused for its name alone: it may be nested deeper than Python can go.
    """
    try:
        items = [(item, item.stat(follow_symlinks=False).st_mode) for item in os.scandir(folder)]
    except OSError as error:
        raise DigestMismatchError(f"{prefix or folder} cannot be listed: {error.strerror}") from error
    for item, mode in items:
        name = prefix + item.name
        yield name, mode
        if stat.S_ISDIR(mode) and name in enter:
            yield from _walk(Path(item.path), f"{name}/", enter)


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "a regular file" if stat.S_ISREG(mode) else "a special file"


def _open(folder: Path, name: str) -> int:
    # O_NONBLOCK: a named pipe in a file's place must not hold the check up forever.
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise DigestMismatchError(f"{name} is missing from the bundle", _COPY_HINT) from error
    except OSError as error:
        raise DigestMismatchError(f"{name} cannot be opened: {error.strerror}", _COPY_HINT) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise DigestMismatchError(f"{name} is {_kind(mode)}, expected a regular file", _COPY_HINT)
    return descriptor


def _chunks(folder: Path, name: str, limit_bytes: int) -> Iterator[bytes]:
    """The file piece by piece, at most one byte more than `limit_bytes`."""
    left = limit_bytes + 1
    with os.fdopen(_open(folder, name), "rb") as file:
        try:
            while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk
        except OSError as error:
            raise DigestMismatchError(f"{name} cannot be read: {error.strerror}", _COPY_HINT) from error


def _read_bounded(folder: Path, name: str, limit_bytes: int) -> bytes:
    return b"".join(_chunks(folder, name, limit_bytes))


def _measured(folder: Path, name: str, limit_bytes: int) -> FileEntry:
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in _chunks(folder, name, limit_bytes):
        digest.update(chunk)
        size_bytes += len(chunk)
    return FileEntry(digest.hexdigest(), size_bytes)


def _compare(name: str, entry: FileEntry, actual: str) -> None:
    if actual != entry.sha256:
        raise DigestMismatchError(
            f"{name} was altered: expected sha256 {entry.sha256[:12]}…, got {actual[:12]}…", _COPY_HINT
        )
