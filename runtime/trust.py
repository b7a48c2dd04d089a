"""Who may sign a bundle: Ed25519 keys and the keys this machine trusts.

A public key is a PEM file. Trusted are the keys in the files and folders that ULNA_TRUST names, in
~/.config/ulna/trusted and in /etc/ulna/trusted.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from runtime.errors import SignatureError

SIGNATURE_BYTES = 64
MAX_KEY_FILE_BYTES = 16_384
ENVIRONMENT_VARIABLE = "ULNA_TRUST"
_FINGERPRINT_DIGITS = 16
_PUBLIC_KEY_HINT = "a public key is a PEM file that begins with '-----BEGIN PUBLIC KEY-----'"


def generate_key() -> Ed25519PrivateKey:
    """A new signing key from the system's randomness."""
    return Ed25519PrivateKey.generate()


def fingerprint(public: Ed25519PublicKey) -> str:
    """The first 16 hex digits of SHA-256 over the 32 raw bytes of the key."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:_FINGERPRINT_DIGITS]


def public_pem(public: Ed25519PublicKey) -> bytes:
    """The key as the text of a .pem file."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def save_private_key(key: Ed25519PrivateKey, path: Path) -> None:
    """Write the key as PKCS#8 PEM that only its owner may read. Raises SignatureError if the file exists."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_new(path, pem, mode=0o600)


def save_public_key(public: Ed25519PublicKey, path: Path) -> None:
    """Write the public half as PEM. Raises SignatureError if the file exists."""
    _write_new(path, public_pem(public), mode=0o644)


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a signing key. Raises SignatureError for anything but an unencrypted Ed25519 PEM."""
    hint = "make a signing key with `ulna keys new`"
    try:
        key = load_pem_private_key(_read_key_file(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{path} is not an unencrypted Ed25519 private key", hint) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"{path} holds a {type(key).__name__}, expected an Ed25519 private key", hint)
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key. Raises SignatureError for anything but an Ed25519 PEM."""
    return parse_public_key(_read_key_file(path), str(path))


def parse_public_key(pem: bytes, name: str) -> Ed25519PublicKey:
    """PEM bytes -> key; `name` is what an error calls them. Raises SignatureError."""
    if b"PRIVATE KEY" in pem:
        raise SignatureError(f"{name} is a private key, expected a public one", _PUBLIC_KEY_HINT)
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{name} is not a public key in PEM form", _PUBLIC_KEY_HINT) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(f"{name} holds a {type(key).__name__}, expected an Ed25519 public key")
    return key


def verifies(public: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` was made with the private half of `public`."""
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True)
class TrustedKey:
    """A public key, what this machine calls it and the file it came from (None: added by the program)."""

    name: str
    public: Ed25519PublicKey
    path: Path | None = None

    @property
    def fingerprint(self) -> str:
        """See `fingerprint`."""
        return fingerprint(self.public)


class TrustStore:
    """The keys whose signature counts, one a fingerprint."""

    def __init__(self, keys: tuple[TrustedKey, ...] = ()) -> None:
        self._keys = {key.fingerprint: key for key in keys}

    @classmethod
    def of(cls, private_key: Ed25519PrivateKey) -> TrustStore:
        """The public half of one's own key and nothing else."""
        store = cls()
        store.add(private_key.public_key(), "own")
        return store

    @classmethod
    def from_paths(cls, *paths: Path) -> TrustStore:
        """Keys from PEM files and from the *.pem files of folders.

        Raises SignatureError for a path that is not there and for a file that is no public key: a trust
        store that silently holds less than it was told to would refuse good bundles for no visible reason.
        """
        files = (file for path in paths for file in _pem_files(Path(path)))
        return cls(tuple(TrustedKey(file.stem, load_public_key(file), file) for file in files))

    @classmethod
    def default(cls) -> TrustStore:
        """The keys this machine trusts: ULNA_TRUST, the user's folder, the system's folder."""
        named = [Path(item) for item in os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep) if item]
        return cls.from_paths(*named, *filter(_is_folder, (user_folder(), system_folder())))

    @property
    def keys(self) -> tuple[TrustedKey, ...]:
        """All of them, in the order they were found."""
        return tuple(self._keys.values())

    def add(self, public_key: Ed25519PublicKey, name: str = "") -> TrustedKey:
        """Trust a key in this store only; `install_key` writes it where the next process finds it."""
        key = TrustedKey(name or fingerprint(public_key), public_key)
        self._keys[key.fingerprint] = key
        return key

    def signer(self, signature: bytes, message: bytes) -> TrustedKey | None:
        """The trusted key that made this signature, None if no trusted key did."""
        return next((key for key in self.keys if verifies(key.public, signature, message)), None)


def user_folder() -> Path:
    """Where `ulna keys trust` puts keys."""
    return Path.home() / ".config" / "ulna" / "trusted"


def system_folder() -> Path:
    """Where a box's image puts keys."""
    return Path("/etc/ulna/trusted")


def install_key(public: Ed25519PublicKey, name: str = "", folder: Path | None = None) -> Path:
    """Write the key into a trust folder (the user's by default) and return its path; twice is no error."""
    target = folder or user_folder()
    digits = fingerprint(public)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    path = target / (f"{stem}-{digits}.pem" if stem else f"{digits}.pem")
    if not path.exists():
        _make_folder(target)
        save_public_key(public, path)
    return path


def _pem_files(path: Path) -> Iterator[Path]:
    if _is_folder(path):
        return iter(_pem_files_in(path))
    if not path.exists():
        raise SignatureError(
            f"no trusted key at {path}", "name a .pem file or a folder that holds such files"
        )
    return iter((path,))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise _unreadable(path, error) from error


def _pem_files_in(folder: Path) -> list[Path]:
    # Not glob: it finds nothing, silently, in a folder that may not be read.
    try:
        return sorted(file for file in folder.iterdir() if file.name.endswith(".pem"))
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path, error: OSError) -> SignatureError:
    return SignatureError(f"cannot look for trusted keys in {path}: {error.strerror}", "check its owner")


def _read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise SignatureError(f"cannot read key {path}: {error.strerror}", "check the path") from error
    if len(data) > MAX_KEY_FILE_BYTES:
        raise SignatureError(f"{path} is over {MAX_KEY_FILE_BYTES} bytes, which no Ed25519 key is")
    return data


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SignatureError(f"cannot make folder {folder}: {error.strerror}", "check its owner") from error


def _write_new(path: Path, data: bytes, mode: int) -> None:
    # O_EXCL: a signing key is never overwritten, and never written through somebody's link.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        _fill(os.open(path, flags, mode), path, data)
    except FileExistsError as error:
        raise SignatureError(
            f"{path} exists already", "choose another path; keys are never replaced"
        ) from error
    except OSError as error:
        raise SignatureError(f"cannot write {path}: {error.strerror}", "check its folder") from error


def _fill(descriptor: int, path: Path, data: bytes) -> None:
    """Write all or leave no file: half a key in a trust folder would stop every bundle, good ones too."""
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
