"""Looks at what a generator makes, beside windows that it has learnt from and windows that it never saw."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compress.intervals import two_sided_z, wilson
from compress.patches import checks
from compress.patches.features import Rows, crops, poses, texture
from compress.patches.networks import blend
from compress.patches.source import Filled, PatchMaker
from compress.training.data import TrainData
from compress.training.windows import WindowSampler
from runtime.errors import StepError

_CONFIDENCE = 0.95
_LEAST = 10
_ALIKE, _COPIED = 0.5, 0.6
_WILD = 4.0
_WITHIN = 0.99
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LIMITS = (
    "Texture and edges in the hole are compared, by the features of the classical baselines: they do not "
    "know what a fracture is.",
    "Copies are looked for among crops of 16 x 16 means, in eight poses; of finer detail nothing is said.",
    "Held-out windows are those of the calibration patients; few fractures make every figure uncertain.",
)


@dataclass(frozen=True)
class PatchReport:
    """windows: how many were made of each kind. fit, held_out: real fractures that they are compared with.

    nearest: quantiles of the distance to the nearest fit fracture, of made and of held-out windows.
    near_fit (with near_low, near_high, a 95% interval): how often the nearest of equally many fit and
    held-out fractures is a fit one. spread: of made windows over that of real ones. noise: change of a hole
    by its noise alone, over the contrast within holes. distance, distance_of_real: to the held-out windows,
    of made and of fit ones. told_apart, real_told_apart: AUROC of a probe that tells them from held-out ones.
    taught, taught_by_real: AUROC on held-out windows of a probe for fractures that has learnt from made, or
    from fit windows.
    """

    windows: int
    fit: int
    held_out: int
    nearest: dict[str, list[float]]
    near_fit: float
    near_low: float
    near_high: float
    spread: float
    noise: float
    distance: float
    distance_of_real: float
    told_apart: float
    real_told_apart: float
    taught: float
    taught_by_real: float
    limits: tuple[str, ...] = field(default=LIMITS)

    @property
    def memorises(self) -> bool:
        """Whether made windows lie nearer to the fit fractures than to others, beyond chance and clearly."""
        return self.near_low > _COPIED

    @property
    def collapsed(self) -> bool:
        """Whether made windows differ from each other less than half as much as real ones do."""
        return self.spread < _ALIKE

    def to_json(self) -> dict[str, Any]:
        """JSON-safe."""
        return {"schema": 1, **asdict(self), "memorises": self.memorises, "collapsed": self.collapsed}


@dataclass(frozen=True, eq=False)
class _Real:
    """One window of each outlined fracture, and healthy windows under the same masks."""

    fractured: Tensor
    healthy: Tensor
    masks: Tensor


def examine(maker: PatchMaker, data: TrainData, seed: int, count: int = 256) -> PatchReport:
    """Make `count` windows of each kind and compare. The same seed gives the same report.

    Raises StepError as `require_enough` does.
    """
    require_enough(data)
    rng = np.random.default_rng(seed)
    fit = _real(maker.sampler, rng)
    held_out = _real(WindowSampler(data.calibration, data.preprocess), rng)
    _, masks = maker.sampler.fractured(count, rng)
    ill, well = (maker.make(masks, label, rng) for label in (1, 0))
    return _report(_Compared(fit, held_out, ill, well), data, noise_effect(maker, ill, rng))


def require_enough(data: TrainData) -> None:
    """Whether there will be something to compare with: to be asked before a generator is trained.

    Raises StepError where the fit or the calibration set holds too few outlined fractures, or the latter no
    healthy image.
    """
    fit, held_out = (int(part.masks.any(axis=(1, 2)).sum()) for part in (data.fit, data.calibration))
    healthy = int((data.calibration.labels < 0.5).sum())
    if min(fit, held_out) < _LEAST or not healthy:
        raise StepError(
            f"made windows are compared with {_LEAST} images or more with an outlined fracture of the fit "
            "and of the calibration patients, and with healthy ones of the latter, "
            f"got {fit}, {held_out} and {healthy}",
            "bring more, or give calibration a larger share",
        )


@dataclass(frozen=True, eq=False)
class _Compared:
    fit: _Real
    held_out: _Real
    ill: Filled
    well: Filled


def _report(seen: _Compared, data: TrainData, noise: float) -> PatchReport:
    rows = _standardised(seen, data)
    fit, held_out, made = rows["fit"], rows["held_out"], rows["ill"]
    to_fit, to_held_out, unseen = _distances(seen)
    near = checks.nearer_to_first(to_fit, to_held_out, np.random.default_rng(0))
    low, high = wilson(near, len(made), two_sided_z(_CONFIDENCE))
    asked = (held_out, rows["held_out_healthy"])
    return PatchReport(
        windows=len(made),
        fit=len(fit),
        held_out=len(held_out),
        nearest={"made": _quantiles(to_fit), "held_out": _quantiles(unseen)},
        near_fit=near,
        near_low=low,
        near_high=high,
        spread=checks.spread(made) / checks.spread(fit),
        noise=noise,
        distance=checks.kernel_distance(made, held_out),
        distance_of_real=checks.kernel_distance(fit, held_out),
        told_apart=checks.told_apart(held_out, made),
        real_told_apart=checks.told_apart(held_out, fit),
        taught=checks.taught((made, rows["well"]), asked),
        taught_by_real=checks.taught((fit, rows["fit_healthy"]), asked),
    )


def noise_effect(maker: PatchMaker, filled: Filled, generator: np.random.Generator) -> float:
    """Root mean square change of a hole by other noise, over the standard deviation within holes."""
    again = maker.fill(filled.windows, filled.masks, torch.ones(len(filled.masks)), generator)
    inside = blend(filled.masks) > _WITHIN
    # Between two draws a difference has twice the variance of one.
    change = (again - filled.filled)[inside].pow(2).mean().sqrt() / 2**0.5
    planes = zip(filled.filled, inside, strict=True)
    contrast = [plane[hole].std() for plane, hole in planes if int(hole.sum()) > 1]
    return float(change / torch.stack(contrast).mean().clamp_min(1e-6))


def _real(sampler: WindowSampler, rng: np.random.Generator) -> _Real:
    fractured, masks = sampler.every_fracture(rng)
    return _Real(fractured, sampler.healthy(masks, rng), masks)


def _standardised(seen: _Compared, data: TrainData) -> dict[str, Rows]:
    """Features of every set, in the unit of those of the fit fractures; none may decide alone."""
    windows = {
        "fit": (seen.fit.fractured, seen.fit.masks),
        "fit_healthy": (seen.fit.healthy, seen.fit.masks),
        "held_out": (seen.held_out.fractured, seen.held_out.masks),
        "held_out_healthy": (seen.held_out.healthy, seen.held_out.masks),
        "ill": (seen.ill.filled, seen.ill.masks),
        "well": (seen.well.filled, seen.well.masks),
    }
    rows = {name: texture(*pair, data.preprocess) for name, pair in windows.items()}
    middle, unit = rows["fit"].mean(axis=0), rows["fit"].std(axis=0)
    varies = unit > 1e-9
    scaled = {name: (part[:, varies] - middle[varies]) / unit[varies] for name, part in rows.items()}
    return {name: np.clip(part, -_WILD, _WILD) for name, part in scaled.items()}


def _distances(seen: _Compared) -> tuple[Rows, Rows, Rows]:
    """From made to fit, from made to held-out and from held-out to fit fractures, in the best pose."""
    fit = crops(seen.fit.fractured, seen.fit.masks)
    held_out = crops(seen.held_out.fractured, seen.held_out.masks)
    made = crops(seen.ill.filled, seen.ill.masks)
    return _apart(made, fit), _apart(made, held_out), _apart(held_out, fit)


def _apart(rows: Rows, known: Rows) -> Rows:
    """(n, m), the least over the poses of the known ones."""
    every = checks.distances(rows, poses(known)).reshape(len(rows), -1, len(known))
    return np.asarray(every.min(axis=1))


def _quantiles(apart: Rows) -> list[float]:
    """Of the distance to the nearest."""
    return [float(value) for value in np.quantile(apart.min(axis=1), _QUANTILES)]
