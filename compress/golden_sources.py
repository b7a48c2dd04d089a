"""Where golden cases come from: the gate patients, or computed radiographs that are nobody's."""

from __future__ import annotations

from collections.abc import Callable

from compress.datasets.synthetic import generate
from compress.datasets.tensors import TensorCache
from compress.evaluate import predict
from compress.golden import GoldenPool
from compress.judgement import Court
from compress.predictions import Predictions
from compress.recipe import SyntheticOptions
from compress.release import Shippable, tolerance
from compress.workbench import Workbench
from runtime.backends.base import Backend

_COMPUTED = SyntheticOptions(patients=80, seed=11)


def golden_pool(
    bench: Workbench, court: Court, shippable: tuple[Shippable, ...], checkpoint: Callable[[], Backend]
) -> GoldenPool:
    """By the recipe's word. `checkpoint` opens the original one, for pictures that no gate has seen."""
    if bench.recipe.release.golden == "gate":
        answers = {item.key: (item.predictions, tolerance(item, court.reference)) for item in shippable}
        return GoldenPool(court.cases, court.points, court.reference, answers)
    return _computed_pool(bench, court, shippable, checkpoint)


def _computed_pool(
    bench: Workbench, court: Court, shippable: tuple[Shippable, ...], checkpoint: Callable[[], Backend]
) -> GoldenPool:
    with bench.reporter.task("golden cases") as advance:
        dataset = generate(_COMPUTED, bench.folder / "golden", advance)
    tensors = TensorCache(dataset, court.spec.preprocess, bench.folder / "cache")

    def ask(opener: Callable[[], Backend]) -> Predictions:
        backend = opener()
        try:
            return predict(backend, court.spec, tensors, dataset.cases)
        finally:
            backend.close()

    reference = ask(checkpoint)
    answers = {item.key: (ask(item.open_backend), tolerance(item, court.reference)) for item in shippable}
    return GoldenPool(dataset.cases, court.points, reference, answers)
