"""Writing, signing and checking bundles. Each attack is made on a bundle that was sound before."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime import durable, trust
from runtime.bundle import (
    MAX_MANIFEST_BYTES,
    Bundle,
    EngineEntry,
    FileEntry,
    open_bundle,
    open_pinned,
    write_bundle,
)
from runtime.errors import BundleError, BundleFormatError, DigestMismatchError, SignatureError
from tests.runtime.kit import KEY, Contents, make, manifest, plate, trusting

MODEL = "models/model.onnx"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make(tmp_path_factory.mktemp("sound") / "bundle")


@pytest.fixture
def root(sound: Bundle, tmp_path: Path) -> Path:
    """A copy to attack."""
    return Path(shutil.copytree(sound.root, tmp_path / "bundle"))


def test_what_was_written_opens_and_says_the_same(sound: Bundle) -> None:
    opened = open_bundle(sound.root, trusting())
    assert opened == sound
    assert opened.signed_by == trust.fingerprint(KEY.public_key())
    assert opened.digest == hashlib.sha256((sound.root / "manifest.json").read_bytes()).hexdigest()
    assert dataclasses.replace(opened.manifest, files={}) == manifest()


def test_the_signature_is_plain_ed25519_over_the_manifest(sound: Bundle) -> None:
    signature = (sound.root / "manifest.sig").read_bytes()
    assert len(signature) == 64
    KEY.public_key().verify(signature, (sound.root / "manifest.json").read_bytes())


def test_every_file_can_be_read(sound: Bundle) -> None:
    assert sound.read("golden/none.png") == plate(0.1)
    assert sound.model_files(sound.entry("onnxruntime-fp32")).main == (sound.root / MODEL).read_bytes()
    for name, entry in sound.manifest.files.items():
        assert len(sound.read(name)) == entry.size_bytes


def test_weights_come_with_their_model(tmp_path: Path) -> None:
    entry = EngineEntry("openvino", "fp32", "m/model.xml", "m/model.bin")
    contents = Contents(engines=(entry,), files={"m/model.xml": b"<net/>", "m/model.bin": b"12345"})
    bundle = make(tmp_path / "bundle", contents)
    files = bundle.model_files(entry)
    assert (files.main, files.weights, bundle.size_bytes(entry)) == (b"<net/>", b"12345", 11)


def test_asking_for_what_is_not_there_is_an_error_that_lists_what_is(sound: Bundle) -> None:
    with pytest.raises(BundleError, match="no engine 'openvino-int8'") as caught:
        sound.entry("openvino-int8")
    assert "onnxruntime-fp32" in caught.value.hint
    for name in ("nothing.bin", "../bundle/manifest.json", "manifest.json", "/etc/passwd"):
        with pytest.raises(BundleError, match="is not a file of bundle"):
            sound.read(name)


def test_a_link_to_the_folder_is_followed_once(sound: Bundle, root: Path, tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.symlink_to(sound.root)
    opened = open_bundle(live, trusting())
    live.unlink()
    live.symlink_to(tmp_path)
    assert opened.read("golden/none.png") == plate(0.1)


# Attacks: what is done to a sound bundle, the error that must come, and the words that must be in it.
def replace_file(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(data)


def remove(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


def link_to_itself(name: str) -> Callable[[Path], object]:
    """The same bytes, behind a symbolic link that leads out of the bundle."""

    def attack(root: Path) -> None:
        outside = root.parent / "outside"
        (root / name).rename(outside)
        (root / name).symlink_to(outside)

    return attack


def link_folder(root: Path) -> None:
    (root / "models").rename(root.parent / "models")
    (root / "models").symlink_to(root.parent / "models")


def folder_instead(name: str) -> Callable[[Path], object]:
    def attack(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return attack


def pipe_instead(name: str) -> Callable[[Path], object]:
    def attack(root: Path) -> None:
        (root / name).unlink()
        os.mkfifo(root / name)

    return attack


def swap_golden_images(root: Path) -> None:
    one, other = root / "golden/fracture.png", root / "golden/none.png"
    a, b = one.read_bytes(), other.read_bytes()
    one.write_bytes(b)
    other.write_bytes(a)


def grow_sparse(name: str) -> Callable[[Path], object]:
    def attack(root: Path) -> None:
        with (root / name).open("r+b") as file:
            file.truncate(1 << 40)

    return attack


ATTACKS: dict[str, tuple[Callable[[Path], object], type[BundleError], str]] = {
    "manifest_missing": (remove("manifest.json"), BundleFormatError, r"manifest\.json is missing"),
    "manifest_empty": (replace_file("manifest.json", b""), SignatureError, r"manifest\.json"),
    "manifest_foreign": (replace_file("manifest.json", b"{}"), SignatureError, r"manifest\.json"),
    "manifest_huge": (grow_sparse("manifest.json"), BundleFormatError, r"manifest\.json is over"),
    "manifest_linked": (link_to_itself("manifest.json"), BundleFormatError, r"manifest\.json"),
    "manifest_is_folder": (folder_instead("manifest.json"), BundleFormatError, r"manifest\.json is a folder"),
    "manifest_is_pipe": (pipe_instead("manifest.json"), BundleFormatError, r"manifest\.json is a special"),
    "signature_missing": (remove("manifest.sig"), SignatureError, r"manifest\.sig is missing"),
    "signature_empty": (replace_file("manifest.sig", b""), SignatureError, r"must be 64 bytes, got 0"),
    "signature_short": (replace_file("manifest.sig", bytes(63)), SignatureError, "must be 64 bytes, got 63"),
    "signature_long": (replace_file("manifest.sig", bytes(65)), SignatureError, "must be 64 bytes, got more"),
    "signature_huge": (grow_sparse("manifest.sig"), SignatureError, "must be 64 bytes, got more"),
    "signature_zero": (replace_file("manifest.sig", bytes(64)), SignatureError, r"manifest\.sig was altered"),
    "signature_linked": (link_to_itself("manifest.sig"), SignatureError, r"manifest\.sig"),
    "model_missing": (remove(MODEL), DigestMismatchError, r"model\.onnx is missing"),
    "model_replaced": (replace_file(MODEL, b"evil"), DigestMismatchError, r"model\.onnx was altered"),
    "model_empty": (replace_file(MODEL, b""), DigestMismatchError, r"model\.onnx was altered"),
    "model_huge": (grow_sparse(MODEL), DigestMismatchError, r"model\.onnx was altered"),
    "model_linked": (link_to_itself(MODEL), DigestMismatchError, r"model\.onnx is a symbolic link"),
    "model_is_folder": (folder_instead(MODEL), DigestMismatchError, r"model\.onnx is a folder"),
    "model_is_pipe": (pipe_instead(MODEL), DigestMismatchError, r"model\.onnx is a special file"),
    "models_folder_linked": (link_folder, DigestMismatchError, r"models"),
    "golden_missing": (remove("golden/none.png"), DigestMismatchError, r"golden/none\.png is missing"),
    "golden_swapped": (swap_golden_images, DigestMismatchError, r"golden/\w+\.png was altered"),
    "signer_missing": (remove("signer.pem"), DigestMismatchError, r"signer\.pem is missing"),
    "file_added": (replace_file("extra.onnx", b"x"), DigestMismatchError, r"extra\.onnx is an additional"),
    "hidden_file_added": (replace_file(".x", b"x"), DigestMismatchError, r"\.x is an additional"),
    "deep_file_added": (replace_file("models/x.so", b"x"), DigestMismatchError, r"models/x\.so is an add"),
    "folder_added": (lambda root: (root / "empty").mkdir(), DigestMismatchError, "empty is an additional"),
    "link_added": (lambda root: (root / "x").symlink_to("/"), DigestMismatchError, "x is an additional"),
}


@pytest.mark.parametrize(("attack", "error", "words"), ATTACKS.values(), ids=ATTACKS)
@pytest.mark.timeout(20)
def test_a_bundle_that_was_tampered_with_is_refused_with_the_file_and_the_reason(
    root: Path, attack: Callable[[Path], object], error: type[BundleError], words: str
) -> None:
    attack(root)
    with pytest.raises(error, match=words) as caught:
        open_bundle(root, trusting())
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", MODEL, "golden/none.png", "signer.pem"])
def test_any_flipped_bit_of_any_file_is_refused(sound: Bundle, root: Path, name: str) -> None:
    original = (root / name).read_bytes()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, len(original) - 1), st.integers(0, 7))
    def flip(position: int, bit: int) -> None:
        altered = bytearray(original)
        altered[position] ^= 1 << bit
        (root / name).write_bytes(altered)
        with pytest.raises(BundleError):
            open_bundle(root, trusting())

    flip()


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", MODEL, "golden/none.png", "signer.pem"])
def test_any_truncated_or_longer_file_is_refused(root: Path, name: str) -> None:
    original = (root / name).read_bytes()

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, len(original) - 1), st.binary(min_size=1, max_size=8))
    def cut(length: int, tail: bytes) -> None:
        for data in (original[:length], original + tail):
            (root / name).write_bytes(data)
            with pytest.raises(BundleError):
                open_bundle(root, trusting())

    cut()


def test_a_file_that_may_not_be_read_is_refused(root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (root / MODEL).chmod(0)
    with pytest.raises(DigestMismatchError, match=r"model\.onnx cannot be opened"):
        open_bundle(root, trusting())


@pytest.mark.parametrize("name", ["none", "file"])
def test_what_is_no_folder_is_no_bundle(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(BundleFormatError, match="not a folder"):
        open_bundle(tmp_path / name, trusting())


def test_an_unknown_key_is_named_with_what_to_do_about_it(root: Path) -> None:
    with pytest.raises(SignatureError) as caught:
        open_bundle(root, trusting(trust.generate_key()))
    digits = trust.fingerprint(KEY.public_key())
    assert digits in str(caught.value)
    assert digits in caught.value.hint and "ulna keys trust" in caught.value.hint
    path = Path(caught.value.hint.rsplit("ulna keys trust ", 1)[1].rstrip("`"))
    assert trust.fingerprint(trust.load_public_key(path)) == digits


def test_a_machine_that_trusts_no_key_opens_nothing(root: Path) -> None:
    with pytest.raises(SignatureError, match="trusted: none"):
        open_bundle(root, trust.TrustStore())


def test_a_signer_file_that_claims_another_key_does_not_help(root: Path) -> None:
    """A forger signs with a key of their own and leaves the maker's signer.pem in place."""
    forger = trust.generate_key()
    data = (root / "manifest.json").read_bytes().replace(b'"1.2.3"', b'"9.9.9"')
    (root / "manifest.json").write_bytes(data)
    (root / "manifest.sig").write_bytes(forger.sign(data))
    with pytest.raises(SignatureError, match="was altered, or another key signed it"):
        open_bundle(root, trusting())


def test_the_signature_is_checked_before_the_manifest_is_parsed(root: Path) -> None:
    """A foreign signature over a manifest that no parser takes: it is the signature that is refused."""
    data = b"[" * 100_000
    (root / "manifest.json").write_bytes(data)
    (root / "manifest.sig").write_bytes(trust.generate_key().sign(data))
    with pytest.raises(SignatureError):
        open_bundle(root, trusting())


def sign(root: Path, data: bytes) -> None:
    (root / "manifest.json").write_bytes(data)
    (root / "manifest.sig").write_bytes(KEY.sign(data))


@pytest.mark.parametrize("data", [b"", b"[]", b"not json", b'{"schema": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_a_rightly_signed_manifest_that_says_nothing_sensible_is_refused(root: Path, data: bytes) -> None:
    sign(root, data)
    with pytest.raises(BundleFormatError, match="manifest"):
        open_bundle(root, trusting())


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "models/../../outside", "models//model.onnx"])
def test_a_rightly_signed_manifest_that_names_files_elsewhere_is_refused(root: Path, name: str) -> None:
    (root.parent / "outside").write_bytes(b"x")
    table = json.loads((root / "manifest.json").read_bytes())
    table["files"][name] = {"sha256": hashlib.sha256(b"x").hexdigest(), "size_bytes": 1}
    sign(root, json.dumps(table).encode())
    with pytest.raises(BundleFormatError, match="must be a relative path"):
        open_bundle(root, trusting())


def test_a_rightly_signed_manifest_whose_model_has_no_digest_is_refused(root: Path) -> None:
    table = json.loads((root / "manifest.json").read_bytes())
    del table["files"][MODEL]
    (root / MODEL).unlink()
    sign(root, json.dumps(table).encode())
    with pytest.raises(BundleFormatError, match=r"model\.onnx but lists no digest"):
        open_bundle(root, trusting())


def test_a_file_changed_after_opening_is_not_handed_out(root: Path) -> None:
    bundle = open_bundle(root, trusting())
    size = (root / MODEL).stat().st_size
    (root / MODEL).write_bytes(bytes(size))
    with pytest.raises(DigestMismatchError, match=r"model\.onnx was altered"):
        bundle.read(MODEL)
    (root / MODEL).unlink()
    with pytest.raises(DigestMismatchError, match=r"model\.onnx is missing"):
        bundle.model_files(bundle.entry("onnxruntime-fp32"))


def test_a_child_process_opens_the_bundle_by_the_digest_its_parent_checked(sound: Bundle) -> None:
    assert open_pinned(sound.root, sound.digest, sound.signed_by) == sound


def test_a_pinned_bundle_with_another_manifest_or_model_is_refused(root: Path, sound: Bundle) -> None:
    with pytest.raises(DigestMismatchError, match=r"manifest\.json has changed"):
        open_pinned(root, "0" * 64, sound.signed_by)
    (root / MODEL).write_bytes(b"evil")
    with pytest.raises(DigestMismatchError, match=r"model\.onnx was altered"):
        open_pinned(root, sound.digest, sound.signed_by)


def test_files_may_be_given_as_paths(tmp_path: Path) -> None:
    source = tmp_path / "source.onnx"
    source.write_bytes(b"weights")
    described = dataclasses.replace(manifest(), golden=())
    bundle = write_bundle(tmp_path / "bundle", described, {MODEL: source, "card.md": b"# Card"}, KEY)
    assert bundle.read(MODEL) == b"weights"
    assert bundle.read("card.md") == b"# Card"
    assert source.read_bytes() == b"weights"


def refuse_to_write(root: Path, words: str, **changes: object) -> None:
    described = dataclasses.replace(manifest(), golden=())
    arguments: dict[str, object] = {"manifest": described, "files": {MODEL: b"weights"}, **changes}
    with pytest.raises(BundleError, match=words):
        write_bundle(root, key=KEY, **arguments)  # type: ignore[arg-type]
    assert [path.name for path in root.parent.iterdir() if path != root] == []


def test_writing_without_a_file_that_the_manifest_refers_to_is_refused(tmp_path: Path) -> None:
    refuse_to_write(tmp_path / "bundle", r"refers to models/model\.onnx, which is not among", files={})
    refuse_to_write(tmp_path / "bundle", r"golden/fracture\.png", manifest=manifest())


@pytest.mark.parametrize("name", ["../x", "/x", "manifest.json", "manifest.sig", "signer.pem", ".hidden", ""])
def test_writing_a_file_under_an_impossible_name_is_refused(tmp_path: Path, name: str) -> None:
    refuse_to_write(tmp_path / "bundle", "cannot be the name", files={MODEL: b"weights", name: b"x"})


def test_writing_a_manifest_that_lists_digests_already_is_refused(tmp_path: Path) -> None:
    listed = dataclasses.replace(manifest(), golden=(), files={MODEL: FileEntry("0" * 64, 1)})
    refuse_to_write(tmp_path / "bundle", "lists files already", manifest=listed)


def test_writing_a_manifest_that_is_too_large_to_open_is_refused(tmp_path: Path) -> None:
    large = dataclasses.replace(manifest(), golden=(), provenance={"x": "y" * MAX_MANIFEST_BYTES})
    refuse_to_write(tmp_path / "bundle", "the manifest is", manifest=large)


def test_writing_a_source_that_is_not_there_leaves_nothing_behind(tmp_path: Path) -> None:
    refuse_to_write(tmp_path / "bundle", "cannot write bundle", files={MODEL: tmp_path / "none.onnx"})
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    first = make(tmp_path / "bundle")
    second = make(tmp_path / "bundle", Contents(files={"card.md": b"# Card"}))
    assert first.digest != second.digest
    assert open_bundle(tmp_path / "bundle", trusting()) == second
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_bundle_takes_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    assert make(tmp_path / "bundle").root == tmp_path / "bundle"


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    for name in ("thesis", "file", "link"):
        with pytest.raises(BundleError, match="exists and is no bundle"):
            make(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_a_bundle_that_fails_to_be_written_leaves_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(tmp_path / "bundle")

    def disk_full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("runtime.bundle.write_synced", disk_full)
    with pytest.raises(BundleError, match="No space left on device"):
        make(tmp_path / "bundle", Contents(files={"card.md": b"# Card"}))
    assert open_bundle(tmp_path / "bundle", trusting()) == first
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_system_that_cannot_exchange_names_still_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "bundle")
    monkeypatch.setattr(durable, "_exchange", lambda one, other: False)
    second = make(tmp_path / "bundle", Contents(files={"card.md": b"# Card"}))
    assert open_bundle(tmp_path / "bundle", trusting()) == second
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_other_users_may_read_a_bundle(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        root = make(tmp_path / "bundle").root
    finally:
        os.umask(before)
    assert all(path.stat().st_mode & 0o004 for path in (root, *root.rglob("*")))


@pytest.mark.parametrize("name", ["a" * 300, "loop"], ids=["too long", "loop of links"])
def test_a_path_that_the_system_refuses_is_a_known_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BundleFormatError, match="no bundle at"):
        open_bundle(tmp_path / name, trusting())


def test_additional_folders_nested_deeper_than_python_can_go_are_refused(root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=here)
        inner = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    with pytest.raises(DigestMismatchError, match="deep is an additional"):
        open_bundle(root, trusting())
    subprocess.run(["rm", "-rf", str(root / "deep")], check=True)  # deeper than shutil can go, too


@pytest.mark.parametrize("size_bytes", [10**6, 10**400])
def test_a_signed_size_that_is_not_the_files_is_refused(root: Path, size_bytes: int) -> None:
    table = json.loads((root / "manifest.json").read_bytes())
    table["files"][MODEL]["size_bytes"] = size_bytes
    data = json.dumps(table).encode()
    (root / "manifest.json").write_bytes(data)
    (root / "manifest.sig").write_bytes(KEY.sign(data))
    with pytest.raises(BundleFormatError, match=f"{MODEL} is .* bytes"):
        open_bundle(root, trusting())
