"""Trains the generator on the windows of one fit set, and on nothing else.

Hinge losses (Lim & Ye 2017, "Geometric GAN"), Adam with a faster critic (Heusel et al. 2017, "GANs Trained by
a Two Time-Scale Update Rule"), a moving average of the generator's weights (Yaz et al. 2019, "The Unusual
Effectiveness of Averaging in GAN Training"). Each step draws from generators of its own seed: a killed
training goes on from its last snapshot to the weights that it would have had.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from compress.patches.networks import PatchCritic, PatchGenerator, Wanted, blend, concerned
from compress.patches.options import PatchOptions
from compress.training.averaging import ema_decay
from compress.training.data import MASK_STRIDE_PX, LabelledTensors
from compress.training.device import training_device
from compress.training.loop import TrainRun, use_all_cores
from compress.training.windows import WindowSampler, window_side_px
from compress.zoo.checkpoint import read_safely, write_atomically
from runtime.errors import StepError
from runtime.preprocess import PreprocessSpec

GENERATOR_FILE, STATE_FILE = "generator.pt", "generator-training.pt"
SNAPSHOT_STEPS = 50
_SCHEMA = 1
_SEED_STRIDE = 1_000_003
_CRITIC_PACE = 2.0
_BETAS = (0.0, 0.9)  # without momentum, as is usual for adversaries: the other one has moved since
_MAX_NORM = 5.0


@dataclass(frozen=True, eq=False)
class TrainedGenerator:
    """network: in evaluation mode, on the CPU. losses: one row a snapshot, means since the one before.

    basis: what it depends on, with the digest of the fit set it has learnt from.
    """

    network: PatchGenerator
    losses: tuple[dict[str, float], ...]
    basis: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 in hex over its weights."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode() + value.numpy().tobytes())
        return digest.hexdigest()


def train_generator(
    fit: LabelledTensors, spec: PreprocessSpec, options: PatchOptions, run: TrainRun
) -> TrainedGenerator:
    """Train, or take what a run of the same fit set, options and seed left in `run.folder`.

    Raises StepError where the fit set holds no outlined fracture or no healthy image, for losses that are no
    longer numbers, and for a damaged file.
    """
    use_all_cores()
    game = _Game(fit, spec, options, run)
    found = game.found()
    if found is not None:
        return found
    game.resume()
    while not game.is_done:
        game.step()
    return game.finish()


def fit_digest(fit: LabelledTensors) -> str:
    """SHA-256 in hex over every pixel, label and mask."""
    digest = hashlib.sha256(repr(fit.tensors.shape).encode())
    for image in fit.tensors:
        digest.update(np.ascontiguousarray(image).tobytes())
    digest.update(fit.labels.tobytes())
    digest.update(fit.masks.tobytes())
    return digest.hexdigest()


def noise_for(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal, one number a cell of the masks."""
    return torch.randn(masks.shape, generator=generator)


@dataclass(frozen=True, eq=False)
class _Round:
    """What one step plays with: n fractured windows, n healthy ones, then the healthy ones once more.

    The first 2 n are filled with what they hold and are real too; the last are asked for a fracture.
    """

    windows: Tensor
    wanted: Wanted

    @property
    def real(self) -> slice:
        """Rows whose windows are what is wanted of them."""
        return slice(2 * len(self.windows) // 3)


class _Game:
    """Both networks between two steps."""

    def __init__(
        self, fit: LabelledTensors, spec: PreprocessSpec, options: PatchOptions, run: TrainRun
    ) -> None:
        self._options, self._run = options, run
        self._sampler = WindowSampler(fit, spec)
        if not (fit.labels < 0.5).any():
            raise StepError("made windows need healthy images to put fractures into", "set share = 0")
        self._basis = {
            "options": options.learning(),
            "seed": run.seed,
            "window_px": window_side_px(spec.size_px),
            "mean": spec.mean,
            "std": spec.std,
            "fit": fit_digest(fit),
        }
        self._device = training_device()
        with torch.random.fork_rng():
            torch.manual_seed(run.seed)
            self._generator = PatchGenerator(options.width, spec).to(self._device)
            self._critic = PatchCritic(options.width).to(self._device)
        self._average = AveragedModel(self._generator, avg_fn=self._move)
        self._for_generator = _adam(self._generator, options.learning_rate)
        self._for_critic = _adam(self._critic, options.learning_rate * _CRITIC_PACE)
        self._steps = 0
        self._losses: list[dict[str, float]] = []
        self._recent: list[dict[str, float]] = []

    @property
    def is_done(self) -> bool:
        """Whether the last step is done."""
        return self._steps >= self._options.steps

    def found(self) -> TrainedGenerator | None:
        """What a whole training of the same basis left."""
        path = self._run.folder / GENERATOR_FILE
        trained = load_generator(path) if path.is_file() else None
        return trained if trained is not None and trained.basis == self._basis else None

    def resume(self) -> None:
        """Take up the last snapshot of the same basis, if there is one."""
        path = self._run.folder / STATE_FILE
        table = read_safely(path) if path.is_file() else {}
        if table.get("basis") != self._basis:
            return
        for name, part in self._parts().items():
            part.load_state_dict(table[name])
        self._steps, self._losses = table["steps"], table["losses"]

    def step(self) -> None:
        """The critic's move, the generator's, and every so often a snapshot."""
        played = self._draw()
        filled = self._generator(played.windows, played.wanted)
        critic = self._improve_critic(played, filled.detach())
        likeness, fooled = self._improve_generator(played, filled)
        self._average.update_parameters(self._generator)
        self._recent.append({"critic": critic, "generator": fooled, "likeness": likeness})
        if not all(math.isfinite(value) for value in self._recent[-1].values()):
            raise StepError(
                f"the generator diverged in step {self._steps + 1}", "lower patches.learning_rate"
            )
        self._steps += 1
        self._run.progress(self._steps, self._options.steps)
        if self._steps % SNAPSHOT_STEPS == 0 or self.is_done:
            self._snapshot()

    def finish(self) -> TrainedGenerator:
        """The averaged generator, on disk too."""
        network = cast(PatchGenerator, self._average.module).cpu().eval().requires_grad_(False)
        trained = TrainedGenerator(network, tuple(self._losses), self._basis)
        save_generator(trained, self._run.folder / GENERATOR_FILE)
        (self._run.folder / STATE_FILE).unlink(missing_ok=True)
        return trained

    def _draw(self) -> _Round:
        rng = np.random.default_rng([self._run.seed, self._steps])
        source = torch.Generator().manual_seed(self._run.seed * _SEED_STRIDE + self._steps)
        count = self._options.batch_size
        fractured, masks = self._sampler.fractured(count, rng)
        borrowed = masks.roll(1, 0)
        healthy = self._sampler.healthy(borrowed, rng)
        windows = torch.cat([fractured, healthy, healthy])
        labels = torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(count)
        holes = torch.cat([masks, borrowed, borrowed])
        wanted = Wanted(holes, labels, noise_for(holes, source))
        moved = (part.to(self._device) for part in (wanted.masks, wanted.labels, wanted.noise))
        return _Round(windows.to(self._device), Wanted(*moved))

    def _improve_critic(self, played: _Round, filled: Tensor) -> float:
        rows = played.real
        real = self._critic(played.windows[rows], played.wanted.at(rows))
        made = self._critic(filled, played.wanted)
        masks = played.wanted.masks
        loss = (F.relu(1 - real) * concerned(masks[rows], real)).sum()
        loss = loss + (F.relu(1 + made) * concerned(masks, made)).sum()
        _descend(self._for_critic, self._critic, loss)
        return float(loss.item())

    def _improve_generator(self, played: _Round, filled: Tensor) -> tuple[float, float]:
        rows, masks = played.real, played.wanted.masks
        made = self._critic(filled, played.wanted)
        fooled = -(made * concerned(masks, made)).sum()
        likeness = _unlikeness(filled[rows], played.windows[rows], masks[rows])
        _descend(self._for_generator, self._generator, fooled + self._options.likeness * likeness)
        return float(likeness.item()), float(fooled.item())

    def _snapshot(self) -> None:
        if self._recent:
            means = {name: float(np.mean([row[name] for row in self._recent])) for name in self._recent[0]}
            self._losses.append({"step": float(self._steps), **means})
            self._recent = []
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        counts = {"schema": _SCHEMA, "basis": self._basis, "steps": self._steps, "losses": self._losses}
        write_atomically(self._run.folder / STATE_FILE, {**counts, **parts})

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self._generator,
            "critic": self._critic,
            "average": self._average,
            "for_generator": self._for_generator,
            "for_critic": self._for_critic,
        }

    def _move(self, average: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        return average + (current - average) * (1 - ema_decay(self._options.average, int(updates)))


def save_generator(trained: TrainedGenerator, path: Path) -> None:
    """Weights and plain values, atomically."""
    state = trained.network.state_dict()
    table = {"schema": _SCHEMA, "basis": trained.basis, "losses": list(trained.losses), "state": state}
    write_atomically(path, table)


def load_generator(path: Path) -> TrainedGenerator:
    """What `save_generator` wrote. Raises StepError for anything else."""
    table = read_safely(path)
    try:
        basis = table["basis"]
        spec = PreprocessSpec(mean=basis["mean"], std=basis["std"])
        network = PatchGenerator(basis["options"]["width"], spec)
        network.load_state_dict(table["state"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StepError(f"{path.name} holds no generator of this version", "train it again") from error
    return TrainedGenerator(network.eval().requires_grad_(False), tuple(table["losses"]), basis)


def _adam(network: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), rate, _BETAS)


def _descend(optimizer: torch.optim.Optimizer, network: nn.Module, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=list(network.parameters()))  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), _MAX_NORM)
    optimizer.step()


def _unlikeness(filled: Tensor, windows: Tensor, masks: Tensor) -> Tensor:
    """Mean difference within the holes, in standard deviations of the input, of pixels and of cells."""
    weight = blend(masks)
    coarse = F.avg_pool2d(weight, MASK_STRIDE_PX)
    apart = filled - windows
    fine_part = (apart.abs() * weight).sum() / weight.sum().clamp_min(1)
    coarse_part = (F.avg_pool2d(apart, MASK_STRIDE_PX).abs() * coarse).sum() / coarse.sum().clamp_min(1)
    return (fine_part + coarse_part) / 2
