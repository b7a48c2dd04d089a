"""Network inputs of a whole dataset, preprocessed once and kept on disk.

Each row is bit for bit what `runtime.preprocess` gives for that image, hence float32. A cache belongs to one
dataset digest and one PreprocessSpec; an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import Case, Dataset
from compress.datasets.problems import refuse
from compress.datasets.progress import Progress, silent
from runtime.errors import InputError, StepError
from runtime.preprocess import Placement, PreprocessSpec, place, preprocess

_VERSION = 1
_THREADS = 2
_CHUNK = 64  # rows between two syncs: what an interruption can cost
_SPOT_CHECKS = 3
_KEY_HEX_DIGITS = 20
_ROW_FACTS = np.dtype([("height_px", "<u4"), ("width_px", "<u4")])  # both 0: the row is not there yet


@dataclass(frozen=True)
class _Row:
    number: int
    tensor: NDArray[np.float32]
    placement: Placement


@dataclass(frozen=True, eq=False)
class TensorRows:
    """Some rows of a cache, (N, 1, S, S) float32, read from disk when they are asked for.

    A data set larger than memory is learned from; one that fits is in the system's page cache after an epoch.
    """

    whole: NDArray[np.float32]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 1, S, S)."""
        return len(self), 1, self.whole.shape[1], self.whole.shape[2]

    def __getitem__(self, rows: int | slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, 1, S, S) of several rows, a copy of their own; (1, S, S) of one."""
        return np.asarray(self.whole[self.numbers[rows]])[..., None, :, :]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[row] for row in range(len(self)))


class TensorCache:
    """Tensors (1, 1, S, S) float32 of the cases of one dataset; S is `spec.size_px`.

    Nothing is read or written until `build` or the first tensor is asked for. Several processes may use one
    folder: they write the same bytes.
    """

    def __init__(self, dataset: Dataset, spec: PreprocessSpec, folder: Path) -> None:
        self.spec = spec
        self._dataset = dataset
        self._index = {case.case_id: number for number, case in enumerate(dataset.cases)}
        self._folder = folder / _key(dataset, spec)
        self._tensors: NDArray[np.float32] | None = None
        self._facts: NDArray[np.void] | None = None

    def build(self, progress: Progress = silent) -> None:
        """Preprocess what is not there yet.

        Raises StepError that lists every image that cannot be read; the others are kept.
        """
        if self._tensors is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        facts = self._read_facts()
        missing = np.flatnonzero(facts["height_px"] == 0).tolist()
        if len(missing) < len(facts) and not self._holds(facts):
            facts = np.zeros(len(facts), _ROW_FACTS)
            missing = list(range(len(facts)))
        try:
            self._fill(facts, missing, progress)
        except OSError as error:
            raise StepError(
                f"cannot write the tensor cache {self._folder}: {error.strerror}", "free some space"
            ) from error
        self._open(facts)

    def tensor(self, case: Case) -> NDArray[np.float32]:
        """(1, 1, S, S) float32, read-only."""
        return np.asarray(self._all()[self._number(case)][None, None])

    def stack(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 in the order of `cases`, a copy of its own."""
        numbers = [self._number(case) for case in cases]
        return np.ascontiguousarray(self._all()[numbers][:, None])

    def rows(self, cases: Sequence[Case]) -> TensorRows:
        """(N, 1, S, S) float32 in the order of `cases`, left on disk."""
        return TensorRows(self._all(), np.array([self._number(case) for case in cases], np.int64))

    def placement(self, case: Case) -> Placement:
        """Where the image lies in its tensor."""
        self._all()
        assert self._facts is not None
        height_px, width_px = self._facts[self._number(case)].item()
        return place(height_px, width_px, self.spec.size_px)

    def _number(self, case: Case) -> int:
        try:
            return self._index[case.case_id]
        except KeyError:
            raise StepError(f"case {case.case_id} is not in the dataset {self._dataset.name}") from None

    def _all(self) -> NDArray[np.float32]:
        self.build()
        assert self._tensors is not None
        return self._tensors

    @property
    def _tensor_path(self) -> Path:
        return self._folder / "tensors.f32"

    @property
    def _facts_path(self) -> Path:
        return self._folder / "rows.u32"

    @property
    def _row_bytes(self) -> int:
        return self.spec.size_px**2 * 4

    def _read_facts(self) -> NDArray[np.void]:
        count = len(self._index)
        if self._facts_path.is_file() and self._tensor_path.is_file():
            facts = np.fromfile(self._facts_path, _ROW_FACTS)
            if len(facts) == count and self._tensor_path.stat().st_size == count * self._row_bytes:
                return facts
        return np.zeros(count, _ROW_FACTS)

    def _holds(self, facts: NDArray[np.void]) -> bool:
        """Whether some rows still are what preprocessing gives today; the code may have changed since."""
        present = np.flatnonzero(facts["height_px"])
        picks = present[np.linspace(0, len(present) - 1, min(_SPOT_CHECKS, len(present))).astype(int)]
        stored = np.memmap(self._tensor_path, np.float32, "r", shape=self._shape(len(facts)))
        for number in picks.tolist():
            row = self._prepare(number)
            if isinstance(row, str) or not np.array_equal(row.tensor, stored[number]):
                return False
        return True

    def _prepare(self, number: int) -> _Row | str:
        """The row, or why there is none."""
        case = self._dataset.cases[number]
        try:
            tensor, placement = preprocess(self._dataset.load(case), self.spec)
        except InputError as error:
            return f"{case.case_id}: {error}"
        return _Row(number, tensor[0, 0], placement)

    def _fill(self, facts: NDArray[np.void], missing: list[int], progress: Progress) -> None:
        total = len(facts)
        progress(total - len(missing), total)
        if not missing:
            return
        problems: list[str] = []
        with self._tensor_path.open("r+b" if self._tensor_path.exists() else "w+b") as stream:
            stream.truncate(total * self._row_bytes)
            with ThreadPoolExecutor(_THREADS) as pool:
                for chunk in _chunks(missing, _CHUNK):
                    problems += self._write(stream.fileno(), facts, list(pool.map(self._prepare, chunk)))
                    progress(int(np.count_nonzero(facts["height_px"])) + len(problems), total)
        refuse(
            f"dataset {self._dataset.name}", problems, "replace the files or take their rows out of the table"
        )

    def _write(self, descriptor: int, facts: NDArray[np.void], rows: list[_Row | str]) -> list[str]:
        """Rows first, then the facts that declare them present; returns what went wrong."""
        problems = []
        for row in rows:
            if isinstance(row, str):
                problems.append(row)
                continue
            _write_all(descriptor, row.tensor.tobytes(), row.number * self._row_bytes)
            facts[row.number] = (row.placement.source_height_px, row.placement.source_width_px)
        os.fsync(descriptor)
        partial = self._facts_path.with_suffix(f".{os.getpid()}")
        facts.tofile(partial)
        partial.replace(self._facts_path)
        return problems

    def _open(self, facts: NDArray[np.void]) -> None:
        self._tensors = np.memmap(self._tensor_path, np.float32, "r", shape=self._shape(len(facts)))
        self._facts = facts

    def _shape(self, count: int) -> tuple[int, int, int]:
        return count, self.spec.size_px, self.spec.size_px


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    """pwrite until everything is written: a short write is legal and would leave a hole of zeros."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _chunks(numbers: list[int], size: int) -> Iterator[list[int]]:
    iterator = iter(numbers)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _key(dataset: Dataset, spec: PreprocessSpec) -> str:
    """Folder name: data, spec, and the versions of what computes the pixels.

    The digest does not depend on the order of the cases, the rows do: hence the ids.
    """
    order = [case.case_id for case in dataset.cases]
    versions = [_VERSION, cv2.__version__, np.__version__]
    basis = json.dumps([dataset.digest, order, dataclasses.asdict(spec), versions], sort_keys=True)
    return hashlib.sha256(basis.encode()).hexdigest()[:_KEY_HEX_DIGITS]
