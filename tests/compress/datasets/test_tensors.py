from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress.datasets.table import TableDataset
from compress.datasets.tensors import TensorCache
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec, preprocess
from tests.compress.datasets.folders import case, make_folder, row, write_image, write_table

SPEC = PreprocessSpec(size_px=32)


@pytest.fixture
def dataset(tmp_path: Path) -> TableDataset:
    return TableDataset(make_folder(tmp_path / "data", 10))


def stored(folder: Path) -> list[Path]:
    return sorted(folder.rglob("tensors.f32"))


def test_every_tensor_is_bit_for_bit_what_preprocessing_gives(dataset: TableDataset, tmp_path: Path) -> None:
    cache = TensorCache(dataset, SPEC, tmp_path / "cache")
    for each in dataset.cases:
        tensor, placement = preprocess(dataset.load(each), SPEC)
        assert cache.tensor(each).dtype == np.float32
        assert cache.tensor(each).tobytes() == tensor.tobytes()
        assert cache.placement(each) == placement


def test_a_stack_follows_the_order_asked_for_and_is_a_copy(dataset: TableDataset, tmp_path: Path) -> None:
    cache = TensorCache(dataset, SPEC, tmp_path / "cache")
    picked = [dataset.cases[i] for i in (4, 0, 4)]
    stack = cache.stack(picked)
    assert stack.shape == (3, 1, 32, 32)
    assert np.array_equal(stack[0:1], cache.tensor(picked[0]))
    stack[:] = 0
    assert cache.tensor(picked[0]).any()


def test_rows_are_what_a_stack_holds_and_stay_on_disk(dataset: TableDataset, tmp_path: Path) -> None:
    cache = TensorCache(dataset, SPEC, tmp_path / "cache")
    picked = dataset.cases[::-1]
    rows, stack = cache.rows(picked), cache.stack(picked)
    assert rows.shape == stack.shape and len(rows) == len(stack)
    assert isinstance(rows.whole, np.memmap)
    assert np.array_equal(rows[1:], stack[1:])
    assert np.array_equal(rows[np.array([2, 0, 0])], stack[[2, 0, 0]])
    assert np.array_equal(rows[1], stack[1])
    assert np.array_equal(np.stack(list(rows)), stack)


def test_tensors_cannot_be_written_to(dataset: TableDataset, tmp_path: Path) -> None:
    tensor = TensorCache(dataset, SPEC, tmp_path / "cache").tensor(dataset.cases[0])
    with pytest.raises(ValueError, match="read-only"):
        tensor[0, 0, 0, 0] = 1


def test_a_second_use_reads_no_image(
    dataset: TableDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TensorCache(dataset, SPEC, tmp_path / "cache").build()
    loaded: list[str] = []
    load = dataset.load
    monkeypatch.setattr(dataset, "load", lambda c: loaded.append(c.case_id) or load(c))
    TensorCache(dataset, SPEC, tmp_path / "cache").build()
    assert len(loaded) <= 3  # spot checks only


def test_another_size_or_other_data_get_a_cache_of_their_own(dataset: TableDataset, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    TensorCache(dataset, SPEC, folder).build()
    TensorCache(dataset, PreprocessSpec(size_px=48), folder).build()
    TensorCache(dataset, PreprocessSpec(size_px=32, low_percentile=1), folder).build()
    write_table(tmp_path / "data", [row(number) for number in range(9)])
    TensorCache(TableDataset(tmp_path / "data"), SPEC, folder).build()
    assert len(stored(folder)) == 4


def test_rows_of_a_reordered_table_still_belong_to_their_cases(dataset: TableDataset, tmp_path: Path) -> None:
    first = TensorCache(dataset, SPEC, tmp_path / "cache").tensor(dataset.cases[0]).copy()
    write_table(tmp_path / "data", [row(number) for number in reversed(range(10))])
    turned = TableDataset(tmp_path / "data")
    again = TensorCache(turned, SPEC, tmp_path / "cache")
    assert np.array_equal(again.tensor(turned.cases[-1]), first)


def test_progress_runs_from_nothing_to_all(dataset: TableDataset, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    TensorCache(dataset, SPEC, tmp_path / "cache").build(lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 10)
    assert seen[-1] == (10, 10)


def test_unreadable_images_are_all_named_and_the_others_kept(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", 10)
    (folder / "images/3.png").write_bytes(b"no image at all")
    (folder / "images/7.png").write_bytes((folder / "images/7.png").read_bytes()[:100])
    dataset = TableDataset(folder)
    with pytest.raises(StepError, match=r"2 problems: image3: .*image7: "):
        TensorCache(dataset, SPEC, tmp_path / "cache").build()
    seen: list[tuple[int, int]] = []
    with pytest.raises(StepError):
        TensorCache(dataset, SPEC, tmp_path / "cache").build(lambda done, total: seen.append((done, total)))
    assert seen[0] == (8, 10)


def test_an_interrupted_cache_goes_on_where_it_stopped(tmp_path: Path) -> None:
    dataset = TableDataset(make_folder(tmp_path / "data", 150))

    def stop(done: int, total: int) -> None:
        if done >= 64:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TensorCache(dataset, SPEC, tmp_path / "cache").build(stop)
    seen: list[int] = []
    cache = TensorCache(dataset, SPEC, tmp_path / "cache")
    cache.build(lambda done, total: seen.append(done))
    assert seen[0] == 64
    for each in (dataset.cases[0], dataset.cases[149]):
        assert np.array_equal(cache.tensor(each), preprocess(dataset.load(each), SPEC)[0])


@pytest.mark.parametrize("damage", ["zeros", "short", "gone"])
def test_a_damaged_cache_is_made_again(dataset: TableDataset, tmp_path: Path, damage: str) -> None:
    TensorCache(dataset, SPEC, tmp_path / "cache").build()
    (path,) = stored(tmp_path / "cache")
    size = path.stat().st_size
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"\0" * (size if damage == "zeros" else size // 2))
    cache = TensorCache(dataset, SPEC, tmp_path / "cache")
    assert np.array_equal(cache.tensor(dataset.cases[4]), preprocess(dataset.load(dataset.cases[4]), SPEC)[0])


def test_a_case_of_another_dataset_is_refused(dataset: TableDataset, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="c77 is not in the dataset"):
        TensorCache(dataset, SPEC, tmp_path / "cache").tensor(case(77, "x"))


def test_large_images_shrink_the_same_way(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", 2)
    write_image(folder / "images/0.png", 5, 900, 700)
    dataset = TableDataset(folder)
    tensor = TensorCache(dataset, SPEC, tmp_path / "cache").tensor(dataset.cases[0])
    assert np.array_equal(tensor, preprocess(dataset.load(dataset.cases[0]), SPEC)[0])
