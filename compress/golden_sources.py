"""Where golden cases come from: the gate patients, or computed radiographs that are nobody's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from compress.checkpoint import open_onnx
from compress.datasets.base import Case
from compress.datasets.synthetic import generate
from compress.datasets.tensors import TensorCache
from compress.evaluate import predict
from compress.golden import GoldenPool, without_golden
from compress.ledger import Ledger
from compress.options.data import SyntheticOptions
from compress.predictions import Predictions
from compress.release import Shippable, tolerance
from compress.steps.statistics import detector_of, strangeness
from compress.trunk import Trunk
from compress.workbench import Workbench
from runtime.backends.base import Backend
from runtime.errors import StepError
from runtime.findings import OperatingPoints

_MEND = "see refused_as_strange in steps/nodes.json; with [qat], raise features_weight or lower learning_rate"
_COMPUTED = SyntheticOptions(patients=80, seed=11)


def golden_pool(
    bench: Workbench, stem: Trunk, shippable: tuple[Shippable, ...], checkpoint: Callable[[], Backend]
) -> GoldenPool:
    """By the recipe's word. `checkpoint` opens the original one, for pictures that no gate has seen."""
    court = stem.court
    if bench.recipe.release.golden == "gate":
        answers = {item.key: (item.predictions, tolerance(item, court.reference)) for item in shippable}
        return GoldenPool(
            court.cases,
            court.points,
            court.reference,
            answers,
            _strangeness(bench, stem, bench.tensors, court.cases),
            court.spec.metadata,
            _own(shippable),
            {item.key: item.strangeness for item in shippable if item.strangeness is not None},
        )
    return _computed_pool(bench, stem, shippable, checkpoint)


def _computed_pool(
    bench: Workbench, stem: Trunk, shippable: tuple[Shippable, ...], checkpoint: Callable[[], Backend]
) -> GoldenPool:
    court = stem.court
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
    return GoldenPool(
        dataset.cases,
        court.points,
        reference,
        answers,
        _strangeness(bench, stem, tensors, dataset.cases),
        court.spec.metadata,
        _own(shippable),
        _strange_to(bench, stem, shippable, tensors, dataset.cases),
    )


def keep_agreeing(
    pool: GoldenPool, shippable: tuple[Shippable, ...], ledger: Ledger
) -> tuple[Shippable, ...]:
    """Those that golden cases can be found for; any other is recorded as failed at its node.

    It would fail every self-test, and with it the golden cases of all others.
    """
    alone = without_golden(pool)
    for item in shippable:
        if item.key in alone:
            error = StepError(
                f"{item.artifact.step} has no golden cases: with the checkpoint it agrees on no clear "
                "fracture or on no clear normal image, or not on whether they are refused as strange",
                _MEND,
            )
            ledger.withdraw(item.artifact.step, error)
    return tuple(item for item in shippable if item.key not in alone)


def _own(shippable: tuple[Shippable, ...]) -> dict[str, OperatingPoints]:
    return {item.key: item.own.images for item in shippable if item.own is not None}


def _strangeness(
    bench: Workbench, stem: Trunk, tensors: TensorCache, cases: Sequence[Case]
) -> NDArray[np.float64] | None:
    """Distance of each picture, as a share of the one that is refused; None without statistics."""
    if stem.statistics is None or stem.exported is None:
        return None
    detector, graph = detector_of(stem.statistics, bench.recipe.anomaly), stem.exported.path
    return strangeness(lambda: open_onnx(graph), detector, tensors, cases)


def _strange_to(
    bench: Workbench,
    stem: Trunk,
    shippable: tuple[Shippable, ...],
    tensors: TensorCache,
    cases: Sequence[Case],
) -> dict[str, NDArray[np.float64]]:
    """The same to each engine, of the computed pictures; {} without statistics."""
    if stem.statistics is None:
        return {}
    detector = detector_of(stem.statistics, bench.recipe.anomaly)
    return {item.key: strangeness(item.open_backend, detector, tensors, cases) for item in shippable}
