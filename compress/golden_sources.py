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
from compress.golden import GoldenPool
from compress.predictions import Predictions
from compress.recipe import SyntheticOptions
from compress.release import Shippable, tolerance
from compress.steps.statistics import detector_of
from compress.trunk import Trunk
from compress.workbench import Workbench
from runtime.backends.base import FEATURES_NAME, Backend
from runtime.backends.feeds import image_alone

_COMPUTED = SyntheticOptions(patients=80, seed=11)


def golden_pool(
    bench: Workbench, stem: Trunk, shippable: tuple[Shippable, ...], checkpoint: Callable[[], Backend]
) -> GoldenPool:
    """By the recipe's word. `checkpoint` opens the original one, for pictures that no gate has seen."""
    court = stem.court
    if bench.recipe.release.golden == "gate":
        answers = {item.key: (item.predictions, tolerance(item, court.reference)) for item in shippable}
        strangeness = _strangeness(bench, stem, bench.tensors, court.cases)
        return GoldenPool(
            court.cases, court.points, court.reference, answers, strangeness, court.spec.metadata
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
    strangeness = _strangeness(bench, stem, tensors, dataset.cases)
    return GoldenPool(dataset.cases, court.points, reference, answers, strangeness, court.spec.metadata)


def _strangeness(
    bench: Workbench, stem: Trunk, tensors: TensorCache, cases: Sequence[Case]
) -> NDArray[np.float64] | None:
    """Distance of each picture, as a share of the one that is refused; None without statistics."""
    if stem.statistics is None or stem.exported is None:
        return None
    detector = detector_of(stem.statistics, bench.recipe.anomaly)
    backend = open_onnx(stem.exported.path)
    try:
        features = [
            backend.infer(image_alone(backend.inputs, tensors.tensor(case)))[FEATURES_NAME][0]
            for case in cases
        ]
    finally:
        backend.close()
    return np.array([detector.look(seen).distance for seen in features]) / detector.limits.refuse_above
