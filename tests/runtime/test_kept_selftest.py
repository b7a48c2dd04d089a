"""A self-test is run once after a start of the machine, and again as soon as its result may be another."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime import machine
from runtime.backends.base import BackendOptions
from runtime.bundle import Bundle
from runtime.errors import BackendError, BundleError
from runtime.kept_selftest import choose_once
from runtime.selftest import Choice
from tests.runtime import kit
from tests.runtime.models import onnx_bytes

FIRST, SECOND = "onnxruntime-fp32", "onnxruntime-int8"
ONE_THREAD = BackendOptions(threads=1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ULNA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "self-test"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return kit.make(tmp_path / "bundle")


def engines_run(bundle: Bundle, options: BackendOptions = ONE_THREAD, engine: str | None = None) -> list[str]:
    """Keys of the engines that had to be run."""
    seen: list[str] = []
    choose_once(bundle, options, engine, seen.append)
    return seen


def test_the_second_process_believes_the_first(bundle: Bundle) -> None:
    first, again = choose_once(bundle, ONE_THREAD), choose_once(bundle, ONE_THREAD)
    assert isinstance(again, Choice) and again == first and again.results[0].latency is not None
    assert engines_run(bundle) == []


def test_after_a_start_of_the_machine_it_is_tested_again(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engines_run(bundle) == [FIRST]
    monkeypatch.setattr(machine, "boot_id", lambda: "the next one")
    assert engines_run(bundle) == [FIRST]


def test_where_the_system_tells_no_start_nothing_is_kept(
    bundle: Bundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "boot_id", lambda: "")
    assert engines_run(bundle) == engines_run(bundle) == [FIRST]
    assert not cache.exists()


def test_another_bundle_other_threads_and_other_settings_are_tested_anew(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engines_run(bundle) == [FIRST]
    other = kit.make(tmp_path / "other", kit.Contents(files={"models/model.onnx": onnx_bytes(batch=1)}))
    assert engines_run(other) == [FIRST]
    assert engines_run(bundle, BackendOptions(threads=2)) == [FIRST]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert engines_run(bundle) == [FIRST]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'[{"key": "x"}]', b"null", b'{"a": 1}', b"[3]"])
def test_a_damaged_result_is_none(content: bytes, bundle: Bundle, cache: Path) -> None:
    engines_run(bundle)
    (kept,) = cache.iterdir()
    kept.write_bytes(content)
    assert engines_run(bundle) == [FIRST] and engines_run(bundle) == []


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_others_may_have_written_is_not_believed(what: str, bundle: Bundle, cache: Path) -> None:
    engines_run(bundle)
    (kept,) = cache.iterdir()
    if what == "link":
        kept.rename(cache.parent / "elsewhere")
        kept.symlink_to(cache.parent / "elsewhere")
    else:
        (kept if what == "file" else cache).chmod(0o777)
    assert engines_run(bundle) == [FIRST]


def test_a_disk_that_may_not_be_written_to_costs_time_only(bundle: Bundle, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"a file where the folder should be")
    assert engines_run(bundle) == engines_run(bundle) == [FIRST]


def test_the_results_do_not_pile_up(bundle: Bundle, cache: Path) -> None:
    cache.mkdir(parents=True)
    for number in range(40):
        (cache / f"{number}.json").write_bytes(b"[]")
    engines_run(bundle)
    assert len(list(cache.iterdir())) == 20 and engines_run(bundle) == []


def two_engines(tmp_path: Path) -> Bundle:
    """SECOND answers its golden cases wrongly."""
    engines = (kit.entry(), kit.entry(precision="int8", main="models/wrong.onnx"))
    return kit.make(
        tmp_path / "two", kit.Contents(engines=engines, files={"models/wrong.onnx": onnx_bytes(gain=-4.0)})
    )


def test_an_engine_that_is_named_is_tested_alone(tmp_path: Path) -> None:
    bundle = two_engines(tmp_path)
    assert engines_run(bundle, engine=FIRST) == [FIRST]
    assert engines_run(bundle) == [FIRST, SECOND]


def test_an_engine_that_is_named_and_does_not_pass_is_refused_every_time(tmp_path: Path) -> None:
    bundle = two_engines(tmp_path)
    for _ in range(2):
        with pytest.raises(BackendError, match=f"{SECOND} does not pass its golden cases here: wrong dec"):
            choose_once(bundle, ONE_THREAD, SECOND)
    with pytest.raises(BundleError, match="holds no engine"):
        choose_once(bundle, ONE_THREAD, "openvino-int8")
