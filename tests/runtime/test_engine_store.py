"""The store of built engines: only what this box has signed comes out, whole, and two processes get along."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime import sealed
from runtime.backends.cuda import GpuFacts
from runtime.build_record import BuildRecord, EngineKey, TimingRecord
from runtime.engine_store import EngineStore
from runtime.errors import BackendError, BundleError, SignatureError
from runtime.trt_build.place import BuildPlace
from runtime.trt_build.spec import EngineSpec

PLACE = BuildPlace("tensorrt", "10.3.0", GpuFacts("Orin", "8.7", "12.6"), dla_cores=2)
SHAPE = (1, 1, 32, 32)
SPEC = EngineSpec({"image": dict.fromkeys(("min", "opt", "max"), SHAPE)}, "int8")
KEY = EngineKey(PLACE, "a" * 64, SPEC)
ENGINE = b"code for one GPU"


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "store")


def record(key: EngineKey = KEY, engine: bytes = ENGINE) -> BuildRecord:
    digest = hashlib.sha256(engine).hexdigest()
    return BuildRecord(key, digest, len(engine), 12.5, "2026-01-02T03:04:05+00:00", 3, 0, ("info: done",))


def save(store: EngineStore, key: EngineKey = KEY, engine: bytes = ENGINE) -> Path:
    """The folder that it came to lie in."""
    with store.locked():
        store.save(record(key, engine), engine)
    return store.root / "engines" / key.digest


def other(number: int) -> EngineKey:
    return dataclasses.replace(KEY, model_sha256=f"{number:064x}")


def test_what_was_saved_is_found_again_by_another_process_with_its_record(store: EngineStore) -> None:
    save(store)
    found = EngineStore(store.root).load(KEY)
    assert found is not None
    assert (found.data, found.record) == (ENGINE, record())


def test_nothing_is_found_where_nothing_was_built(store: EngineStore) -> None:
    assert store.load(KEY) is None
    assert store.held() == ()


CHANGES: dict[str, EngineKey] = {
    "gpu": dataclasses.replace(
        KEY, place=dataclasses.replace(PLACE, gpu=dataclasses.replace(PLACE.gpu, name="A2"))
    ),
    "compute capability": dataclasses.replace(
        KEY, place=dataclasses.replace(PLACE, gpu=dataclasses.replace(PLACE.gpu, compute_capability="8.6"))
    ),
    "driver": dataclasses.replace(
        KEY, place=dataclasses.replace(PLACE, gpu=dataclasses.replace(PLACE.gpu, driver="12.8"))
    ),
    "library": dataclasses.replace(KEY, place=dataclasses.replace(PLACE, library="tensorrt_rtx")),
    "version": dataclasses.replace(KEY, place=dataclasses.replace(PLACE, version="10.3.1")),
    "model": dataclasses.replace(KEY, model_sha256="b" * 64),
    "workspace": dataclasses.replace(KEY, spec=dataclasses.replace(SPEC, workspace_bytes=1 << 28)),
    "DLA core": dataclasses.replace(KEY, spec=dataclasses.replace(SPEC, dla_core=0)),
    "builder": dataclasses.replace(KEY, builder=KEY.builder + 1),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_place_model_or_option_is_another_engine(what: str, store: EngineStore) -> None:
    save(store)
    assert store.load(CHANGES[what]) is None
    assert store.load(KEY) is not None


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _link_out(path: Path) -> None:
    path.rename(path.parents[2] / path.name)
    path.symlink_to(path.parents[2] / path.name)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


TAMPERED: dict[str, Callable[[Path], None]] = {
    "engine changed": lambda folder: _flip(folder / "engine"),
    "engine torn": lambda folder: _truncate(folder / "engine"),
    "engine longer": lambda folder: (folder / "engine").write_bytes(ENGINE + b"!") and None,
    "engine gone": lambda folder: (folder / "engine").unlink(),
    "engine a link": lambda folder: _link_out(folder / "engine"),
    "engine a pipe": lambda folder: _pipe(folder / "engine"),
    "record changed": lambda folder: _flip(folder / "record.json"),
    "record torn": lambda folder: _truncate(folder / "record.json"),
    "record huge": lambda folder: (folder / "record.json").write_bytes(b" " * (1 << 19)) and None,
    "record a link": lambda folder: _link_out(folder / "record.json"),
    "record a pipe": lambda folder: _pipe(folder / "record.json"),
    "signature changed": lambda folder: _flip(folder / "record.sig"),
    "signature torn": lambda folder: _truncate(folder / "record.sig"),
    "signature empty": lambda folder: (folder / "record.sig").write_bytes(b"") and None,
    "signature gone": lambda folder: (folder / "record.sig").unlink(),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_tampered_with_is_refused_and_replaced_by_a_new_build(how: str, store: EngineStore) -> None:
    folder = save(store)
    TAMPERED[how](folder)
    with pytest.raises(BundleError):
        store.load(KEY)
    assert [bool(item.problem) for item in store.held()] == [True]
    save(store)
    assert store.load(KEY) is not None


def test_a_record_that_is_gone_leaves_no_engine(store: EngineStore) -> None:
    folder = save(store)
    (folder / "record.json").unlink()
    assert store.load(KEY) is None
    assert [item.problem for item in store.held()] == ["it has no record"]


def test_an_engine_that_another_box_has_signed_is_refused(store: EngineStore, tmp_path: Path) -> None:
    stranger = EngineStore(tmp_path / "stick")
    shutil.copytree(save(stranger), store.root / "engines" / KEY.digest)
    with pytest.raises(SignatureError, match="not signed by this box"):
        store.load(KEY)


def test_an_engine_under_the_name_of_another_is_refused(store: EngineStore) -> None:
    shutil.copytree(save(store), store.root / "engines" / other(1).digest)
    with pytest.raises(BundleError, match="another key"):
        store.load(other(1))


def test_signed_timings_do_not_pass_for_an_engine(store: EngineStore) -> None:
    timing = TimingRecord(PLACE, hashlib.sha256(ENGINE).hexdigest(), len(ENGINE))
    with store.locked():
        store.save_timing(timing, ENGINE)
    (folder,) = (store.root / "timing").iterdir()
    (folder / "cache").rename(folder / "engine")
    folder.rename(store.root / "engines" / KEY.digest)
    with pytest.raises(BundleError):
        store.load(KEY)


def test_timings_come_back_for_their_own_place_and_are_dropped_when_changed(store: EngineStore) -> None:
    timing = TimingRecord(PLACE, hashlib.sha256(b"times").hexdigest(), 5)
    with store.locked():
        store.save_timing(timing, b"times")
    assert store.load_timing(PLACE) == b"times"
    assert store.load_timing(dataclasses.replace(PLACE, version="10.4.0")) == b""
    (folder,) = (store.root / "timing").iterdir()
    _flip(folder / "cache")
    assert store.load_timing(PLACE) == b""
    with store.locked():
        store.forget_timing(PLACE)
    assert store.held() == ()


def test_the_key_is_its_owners_alone_and_so_is_the_folder(store: EngineStore) -> None:
    assert (store.root / "box.key").stat().st_mode & 0o777 == 0o600
    assert store.root.stat().st_mode & 0o777 == 0o700


def test_a_key_that_others_may_read_is_refused(store: EngineStore) -> None:
    (store.root / "box.key").chmod(0o640)
    with pytest.raises(SignatureError, match="owner alone") as caught:
        EngineStore(store.root)
    assert "built again" in caught.value.hint


def test_a_folder_that_others_may_write_to_is_refused(store: EngineStore) -> None:
    store.root.chmod(0o770)
    with pytest.raises(BackendError, match="others may write"):
        EngineStore(store.root)


def test_a_folder_of_other_things_is_made_no_store_and_nothing_of_it_is_touched(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years")
    with pytest.raises(BackendError, match="is no engine store: it holds work"):
        EngineStore(tmp_path)
    assert (tmp_path / "work" / "thesis.txt").read_text() == "years"


def test_two_processes_that_make_the_store_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: EngineStore(tmp_path / "store"), range(8)))
    save(stores[0])
    assert all(store.load(KEY) is not None for store in stores)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nnonsense\n"])
def test_a_key_that_cannot_be_read_is_said_and_not_replaced(content: bytes, store: EngineStore) -> None:
    path = store.root / "box.key"
    path.write_bytes(content)
    with pytest.raises(SignatureError):
        EngineStore(store.root)
    assert path.read_bytes() == content


def test_a_key_half_made_when_the_power_went_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o700)
    (tmp_path / "store" / ".box.key.new").write_bytes(b"-----BEG")
    assert save(EngineStore(tmp_path / "store")).is_dir()


CHILD = """
import os, signal, sys, time
from pathlib import Path
from runtime import sealed
from runtime.engine_store import EngineStore
from tests.runtime.test_engine_store import ENGINE, KEY, record
root, does = Path(sys.argv[1]), sys.argv[2]
store = EngineStore(root)
if does == "hold":
    engine = store.load(KEY)
else:
    calls = 0
    write, lock = sealed.write_synced, store.locked()
    def dying(path, data):
        global calls
        calls += 1
        write(path, data[:len(data) // 2] if calls == int(does) else data)
        if calls == int(does):
            os.kill(os.getpid(), signal.SIGKILL)
    if does == "lock":
        lock.__enter__()
    else:
        sealed.write_synced = dying
        with lock:
            store.save(record(), ENGINE)
print("ready", flush=True)
time.sleep(60)
"""


def child(store: EngineStore, does: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CHILD, str(store.root), does]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )


@pytest.mark.parametrize("step", ["1", "2", "3"], ids=["engine", "record", "signature"])
def test_a_process_killed_while_it_writes_leaves_nothing_that_looks_whole(
    step: str, store: EngineStore
) -> None:
    killed = child(store, step)
    assert killed.wait(timeout=60) == -signal.SIGKILL
    assert store.load(KEY) is None
    assert any((store.root / "work").iterdir())
    save(store)
    assert store.load(KEY) is not None
    assert not any((store.root / "work").iterdir())


def test_one_process_waits_for_another_and_goes_on_when_that_dies(store: EngineStore) -> None:
    holder = child(store, "lock")
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
        with pytest.raises(BackendError, match=r"another process has held .* over 0\.3 s"), store.locked(0.3):
            pass
        assert EngineStore(store.root).load(KEY) is None  # who reads does not wait
    finally:
        holder.kill()
        holder.wait()
    with store.locked(10.0):
        pass


def test_the_longest_unused_go_first_until_the_rest_fits(store: EngineStore) -> None:
    folders = [save(store, other(number), bytes(1000)) for number in range(4)]
    for age, folder in enumerate(folders):
        os.utime(folder, (1e9 - age, 1e9 - age))
    assert store.load(other(3)) is not None  # used just now, though the oldest
    store.limit_bytes = 2 * sum(path.stat().st_size for path in folders[0].iterdir()) + 10
    with store.locked():
        removed = store.prune()
    assert {item.path for item in removed} == {folders[1], folders[2]}
    assert not folders[1].exists() and store.load(other(0)) and store.load(other(3))


def test_what_is_to_stay_stays_whatever_its_age(store: EngineStore) -> None:
    folders = [save(store, other(number)) for number in range(3)]
    os.utime(folders[0], (1, 1))
    store.limit_bytes = 0
    with store.locked():
        store.prune(frozenset({other(0).digest}))
    assert [item.path for item in store.held()] == [folders[0]]


def test_an_engine_that_another_process_has_loaded_is_not_pruned(store: EngineStore) -> None:
    save(store)
    user = child(store, "hold")
    store.limit_bytes = 0
    try:
        assert user.stdout is not None and user.stdout.readline() == "ready\n"
        with store.locked():
            assert store.prune() == ()
    finally:
        user.kill()
        user.wait()
    with store.locked():
        assert len(store.prune()) == 1


def test_what_is_refused_is_pruned_first_and_strange_things_too(store: EngineStore) -> None:
    _flip(save(store, other(1)) / "engine")
    save(store)
    (store.root / "engines" / "stray").write_bytes(b"?")
    with store.locked():
        assert len(store.prune()) == 2
    assert [item.problem for item in store.held()] == [""]


def test_to_list_is_not_to_use(store: EngineStore) -> None:
    folder = save(store)
    os.utime(folder, (1e9, 1e9))
    assert store.held()[0].used == 1e9
    assert store.held()[0].record == record()
    assert folder.stat().st_mtime == 1e9
    store.load(KEY)
    assert folder.stat().st_mtime > time.time() - 3600


def test_a_signature_made_for_something_else_does_not_count(store: EngineStore) -> None:
    """The same key over the same bytes, without the purpose that stands before them."""
    from runtime.trust import load_private_key

    folder = save(store)
    key = load_private_key(store.root / "box.key")
    (folder / "record.sig").write_bytes(key.sign((folder / "record.json").read_bytes()))
    with pytest.raises(SignatureError):
        store.load(KEY)


def test_a_signed_record_that_says_nonsense_is_refused(store: EngineStore) -> None:
    from runtime.trust import load_private_key

    folder = save(store)
    table = json.loads((folder / "record.json").read_bytes()) | {"size_bytes": -5}
    shutil.rmtree(folder)
    folder.mkdir()
    sealed.seal(folder, "engine", ENGINE, table, load_private_key(store.root / "box.key"))
    with pytest.raises(BundleError):
        store.load(KEY)


def test_a_full_disk_is_an_error_that_says_so(store: EngineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(sealed, "write_synced", full)
    with pytest.raises(BackendError, match="No space left") as caught:
        save(store)
    assert "free space" in caught.value.hint
    assert store.load(KEY) is None
