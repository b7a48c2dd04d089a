"""The key that signs: named by the engineer, or this machine's own, made when it is first needed."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.trust import generate_key, install_key, load_private_key, save_private_key

ENVIRONMENT_VARIABLE = "ULNA_SIGNING_KEY"


def own_key_path() -> Path:
    """Where this machine's own private key lies, readable by its user alone."""
    return Path.home() / ".config" / "ulna" / "signing.pem"


def signing_key(path: Path | None = None) -> Ed25519PrivateKey:
    """The key at `path`, or named by ULNA_SIGNING_KEY, or this machine's own.

    Its own key is made once and trusted by this machine, whose user made both. A key that was named is not:
    whoever names it says elsewhere who trusts it. Raises SignatureError for a file that is no private key.
    """
    named = path or _from_environment()
    if named is not None:
        return load_private_key(named)
    own = own_key_path()
    if not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        save_private_key(generate_key(), own)
    key = load_private_key(own)
    install_key(key.public_key(), "own")
    return key


def _from_environment() -> Path | None:
    value = os.environ.get(ENVIRONMENT_VARIABLE, "")
    return Path(value) if value else None
