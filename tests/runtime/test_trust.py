"""Keys: made, kept, read, trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from runtime import trust
from runtime.errors import SignatureError
from runtime.trust import TrustStore


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, no system folder, ULNA_TRUST unset."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv(trust.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(trust, "system_folder", lambda: tmp_path / "etc")
    return tmp_path / "home"


def test_a_private_key_comes_back_from_its_file(tmp_path: Path) -> None:
    key = trust.generate_key()
    trust.save_private_key(key, tmp_path / "a.key")
    again = trust.load_private_key(tmp_path / "a.key")
    assert trust.verifies(key.public_key(), again.sign(b"message"), b"message")


def test_only_the_owner_may_read_a_private_key_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        trust.save_private_key(trust.generate_key(), tmp_path / "a.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    trust.save_private_key(trust.generate_key(), tmp_path / "a.key")
    before = (tmp_path / "a.key").read_bytes()
    with pytest.raises(SignatureError, match="exists already"):
        trust.save_private_key(trust.generate_key(), tmp_path / "a.key")
    assert (tmp_path / "a.key").read_bytes() == before


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SignatureError):
        trust.save_private_key(trust.generate_key(), tmp_path / "a.key")
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_for_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="cannot write"):
        trust.save_private_key(trust.generate_key(), tmp_path / "no" / "a.key")


def test_fingerprints_tell_keys_apart_and_stay_the_same() -> None:
    one, other = trust.generate_key().public_key(), trust.generate_key().public_key()
    assert trust.fingerprint(one) == trust.fingerprint(one) != trust.fingerprint(other)
    assert len(trust.fingerprint(one)) == 16


def test_the_fingerprint_is_that_of_the_raw_key() -> None:
    # RFC 8032, test 1: the digest was computed with sha256sum.
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    public = trust.Ed25519PublicKey.from_public_bytes(raw)
    assert trust.fingerprint(public) == "21fe31dfa154a261"


@pytest.mark.parametrize(
    "data", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_a_file_that_is_no_public_key_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.pem").write_bytes(data)
    with pytest.raises(SignatureError, match=r"x\.pem"):
        trust.load_public_key(tmp_path / "x.pem")


def test_a_public_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    for other in (ec.generate_private_key(ec.SECP256R1()), ed448.Ed448PrivateKey.generate()):
        pem = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "x.pem").write_bytes(pem)
        with pytest.raises(SignatureError, match="Ed25519"):
            trust.load_public_key(tmp_path / "x.pem")


def test_a_private_key_where_a_public_one_belongs_is_named_as_such(tmp_path: Path) -> None:
    trust.save_private_key(trust.generate_key(), tmp_path / "x.pem")
    with pytest.raises(SignatureError, match="private key, expected a public one"):
        trust.load_public_key(tmp_path / "x.pem")


def test_a_signing_key_of_another_kind_or_encrypted_is_refused(tmp_path: Path) -> None:
    encrypted = trust.generate_key().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    for pem in (encrypted, other, b"no key"):
        (tmp_path / "x.key").write_bytes(pem)
        with pytest.raises(SignatureError, match="Ed25519"):
            trust.load_private_key(tmp_path / "x.key")


def test_a_huge_key_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "x.pem").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SignatureError, match="over"):
        trust.load_public_key(tmp_path / "x.pem")


def test_a_missing_key_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match=r"none\.pem"):
        trust.load_public_key(tmp_path / "none.pem")


def test_a_store_finds_who_signed() -> None:
    one, other = trust.generate_key(), trust.generate_key()
    store = TrustStore()
    store.add(other.public_key(), "other")
    store.add(one.public_key(), "one")
    signer = store.signer(one.sign(b"message"), b"message")
    assert signer is not None and signer.name == "one"


def test_a_store_knows_no_signer_for_another_message_or_key() -> None:
    one, other = trust.generate_key(), trust.generate_key()
    store = TrustStore()
    store.add(one.public_key(), "one")
    assert store.signer(one.sign(b"message"), b"another") is None
    assert store.signer(other.sign(b"message"), b"message") is None
    assert TrustStore().signer(one.sign(b"message"), b"message") is None


def test_from_paths_reads_files_and_folders(tmp_path: Path) -> None:
    keys = [trust.generate_key().public_key() for _ in range(3)]
    (tmp_path / "folder").mkdir()
    trust.save_public_key(keys[0], tmp_path / "one.pem")
    trust.save_public_key(keys[1], tmp_path / "folder" / "two.pem")
    trust.save_public_key(keys[2], tmp_path / "folder" / "three.pem")
    (tmp_path / "folder" / "README.txt").write_text("not a key")
    store = TrustStore.from_paths(tmp_path / "one.pem", tmp_path / "folder")
    assert {key.fingerprint for key in store.keys} == {trust.fingerprint(key) for key in keys}
    assert {key.name for key in store.keys} == {"one", "two", "three"}


def test_from_paths_refuses_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="no trusted key at"):
        TrustStore.from_paths(tmp_path / "none")


def test_from_paths_refuses_a_damaged_key_among_good_ones(tmp_path: Path) -> None:
    trust.save_public_key(trust.generate_key().public_key(), tmp_path / "a.pem")
    (tmp_path / "b.pem").write_text("damaged")
    with pytest.raises(SignatureError, match=r"b\.pem"):
        TrustStore.from_paths(tmp_path)


def test_a_machine_without_any_key_trusts_nobody(home: Path) -> None:
    assert TrustStore.default().keys == ()


def test_the_default_store_reads_all_three_places(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [trust.generate_key().public_key() for _ in range(4)]
    for number, key in enumerate(keys[:2]):
        trust.save_public_key(key, home.parent / f"{number}.pem")
    places = os.pathsep.join(str(home.parent / f"{number}.pem") for number in range(2))
    monkeypatch.setenv(trust.ENVIRONMENT_VARIABLE, places)
    trust.install_key(keys[2], "mine")
    trust.install_key(keys[3], "box", trust.system_folder())
    found = {key.fingerprint for key in TrustStore.default().keys}
    assert found == {trust.fingerprint(key) for key in keys}


def test_a_wrong_path_in_the_environment_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trust.ENVIRONMENT_VARIABLE, str(home / "none.pem"))
    with pytest.raises(SignatureError, match=r"none\.pem"):
        TrustStore.default()


@pytest.mark.parametrize("name", ["", "Clinic North", "../../escape", "a/b", "ключ"])
def test_an_installed_key_stays_in_its_folder_and_is_found(home: Path, name: str) -> None:
    public = trust.generate_key().public_key()
    path = trust.install_key(public, name)
    assert path.parent == home / ".config" / "ulna" / "trusted"
    assert [key.fingerprint for key in TrustStore.default().keys] == [trust.fingerprint(public)]


def test_installing_a_key_twice_is_no_error(home: Path) -> None:
    public = trust.generate_key().public_key()
    assert trust.install_key(public, "a") == trust.install_key(public, "a")
    assert len(TrustStore.default().keys) == 1


def test_a_trust_folder_that_cannot_be_made_is_an_error(home: Path) -> None:
    home.mkdir()
    (home / ".config").write_text("a file where a folder belongs")
    with pytest.raises(SignatureError, match="cannot make folder"):
        trust.install_key(trust.generate_key().public_key())


@pytest.mark.parametrize("method", ["is_dir", "iterdir"])
def test_a_trust_folder_that_may_not_be_read_is_an_error_not_an_empty_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def denied(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, method, denied)
    with pytest.raises(SignatureError, match="Permission denied"):
        TrustStore.from_paths(tmp_path)


def test_a_full_disk_leaves_no_half_a_key_that_would_stop_every_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SignatureError, match="No space left"):
        trust.install_key(trust.generate_key().public_key(), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
