"""The model that Ulna brings along: what reads a radiograph when nobody names a bundle.

The folder `bundle` here is a signed bundle like any other. It is trusted because it came with the program
that opens it: its maker's public key lies beside it and counts for nothing else.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from runtime.bundle import Bundle, open_bundle
from runtime.errors import BundleError
from runtime.trust import TrustStore

_PACKAGE = Path(str(resources.files(__name__)))


def folder() -> Path:
    """Of the reference bundle. Raises BundleError where this installation holds none."""
    path = _PACKAGE / "bundle"
    if not path.is_dir():
        raise BundleError("this installation holds no reference model", "name a bundle with --bundle")
    return path


def key() -> Path:
    """The public key that signed it."""
    return _PACKAGE / "signer.pem"


def open_named(bundle: Path | None, trust: list[Path] | None) -> Bundle:
    """The bundle in a folder, or the reference model where none is named.

    trust: public keys, .pem files or folders of them; None is what this machine trusts, and for the
    reference model the key that came with it. Raises BundleError.
    """
    if bundle is None:
        return open_bundle(folder(), TrustStore.from_paths(*(trust or [key()])))
    return open_bundle(bundle, TrustStore.from_paths(*trust) if trust else None)
