"""Train or fine-tune a network by what its options say; the best or the last epoch is kept.

After every epoch the whole state is on disk, and every epoch draws from a generator of its own seed. A run
that was killed goes on from its last epoch and, on the same machine, ends with the weights that it would have
had; on a GPU as far as torch has kernels that repeat (compress.training.device.repeatable). It may go on on
another machine, with another precision: its history says for each epoch where that was.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from compress.datasets.progress import Progress, silent
from compress.training.averaging import WeightAverage
from compress.training.batches import Batch, BatchSource
from compress.training.course import plan_course
from compress.training.data import LabelledTensors, TrainData
from compress.training.device import (
    device_of,
    full_precision,
    mixed_precision,
    on_training_device,
    repeatable,
    resolve_precision,
    trained_on,
    training_device,
)
from compress.training.freezing import freeze, thaw
from compress.training.history import Epoch, History, auroc
from compress.training.losses import Outputs, Targets, label_loss, total_loss
from compress.training.optimizer import build_optimizer, learning_rates, steer
from compress.training.options import ImbalanceOptions, TrainOptions
from compress.training.prefetch import prefetched
from compress.training.processes import ALONE, Processes
from compress.training.state import TrainState, read_state, save_state
from compress.training.teachers import Teacher, one_teacher
from compress.training.tie import FeatureTie
from compress.zoo.base import FractureNet
from runtime.errors import StepError
from runtime.machine import usable_cores

_EVALUATION_BATCH = 32
_MAX_POSITIVE_WEIGHT = 10.0
_STATISTICS_BATCHES = 64
_SEED_STRIDE = 1_000_003  # more than any number of epochs: no two runs share a generator


def _watch_nothing(history: History) -> None:
    """Nobody looks on."""


@dataclass(frozen=True, eq=False)
class TrainRun:
    """Where a training keeps its state, what it draws from, whom it follows and to whom it reports.

    teacher: the network, or networks, that `distill_weight` follows, not changed. progress: told (done, all)
    batches. processes: who trains together; one that is not the first writes and reports nothing. watch: is
    shown the history whenever an epoch is on disk; what it raises ends a training that can be gone on with.
    tie: holds the network's features near another's, at a price that is added to the loss.
    """

    folder: Path
    seed: int
    teacher: Teacher | None = None
    progress: Progress = silent
    processes: Processes = ALONE
    watch: Callable[[History], None] = _watch_nothing
    tie: FeatureTie | None = None


def train(network: FractureNet, data: TrainData, options: TrainOptions, run: TrainRun) -> History:
    """Train in place and leave the kept epoch's weights in `network`, in evaluation mode.

    Goes on from `run.folder` where a run with the same options was interrupted. Raises StepError when the
    loss is no longer a number, and for options that this network, data or device cannot follow.
    """
    use_all_cores()
    with on_training_device(network), repeatable(training_device()):
        trainer = _Trainer(network, data, options, run)
        try:
            trainer.resume()
            while not trainer.is_done:
                trainer.run_epoch()
            trainer.leave_kept()
        finally:
            thaw(network)
    return trainer.history


def use_all_cores() -> None:
    """Give torch the cores that this process may use, unless OMP_NUM_THREADS says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(usable_cores())


def positive_weight(labels: NDArray[np.float32]) -> float:
    """Healthy over fractured images, kept between 1 / 10 and 10."""
    positives = float((labels > 0.5).sum())
    weight = (len(labels) - positives) / max(positives, 1.0)
    return min(max(weight, 1 / _MAX_POSITIVE_WEIGHT), _MAX_POSITIVE_WEIGHT)


def predict(network: nn.Module, data: LabelledTensors, rows: slice = slice(None)) -> NDArray[np.float32]:
    """Logits of these rows, (n,), in evaluation mode and full precision."""
    network.eval()
    device, numbers = device_of(network), np.arange(len(data))[rows]
    logits = [np.empty(0, np.float32)]
    with torch.inference_mode(), full_precision(device):
        for start in range(0, len(numbers), _EVALUATION_BATCH):
            inputs = data.inputs(numbers[start : start + _EVALUATION_BATCH])
            logits.append(network(*(value.to(device) for value in inputs))[0].flatten().cpu().numpy())
    return np.concatenate(logits)


class _Trainer:
    """The state of one training between two epochs."""

    def __init__(self, network: FractureNet, data: TrainData, options: TrainOptions, run: TrainRun) -> None:
        self.network = network
        self.data = data
        self.options = options
        self.run = run
        self.history = History(keeps_last=options.keep == "last")
        self._device = device_of(network)
        self._precision = resolve_precision(options.precision, self._device)
        self._trained_on = trained_on(options.precision)
        self._optimizer = build_optimizer(network, options)
        self._average = WeightAverage(network, options.average)
        self._course = plan_course(options, len(data.fit))
        self._batches = BatchSource(data, options, self._course, run.processes, self._device)
        self._teacher = one_teacher(run.teacher) if options.distill_weight else None
        self._kept: dict[str, Tensor] = {}
        self._weight = positive_weight(data.fit.labels) if options.imbalance.method == "weight" else 1.0

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history.epochs)

    @property
    def is_done(self) -> bool:
        """Whether the last epoch is done, or nothing has become better for as long as patience lasts."""
        patience = self.options.schedule.patience
        return self.epoch >= self._course.epochs or 0 < patience <= self.history.stale_epochs

    def resume(self) -> None:
        """Take up the state of an interrupted run of the same options, or start."""
        processes = self.run.processes
        found = read_state(self.run.folder, self._basis()) if processes.is_first else None
        # A single process that starts has all it needs; several must begin with the same weights.
        state = processes.agree(found if found is not None or processes.count == 1 else self._state())
        if state is not None:
            self._take_up(state)
        self.run.watch(self.history)

    def run_epoch(self) -> None:
        """One pass over the fit set, then the calibration set, then the disk."""
        started = time.monotonic()
        frozen = freeze(self.network, self.options.transfer, self.epoch + 1)
        loss = self._fit_once()
        self._average_statistics()
        judged = self._average.judged()
        logits = self._predict_calibration(judged)
        rates = learning_rates(self._optimizer)
        record = Epoch(
            number=self.epoch + 1,
            loss=loss,
            calibration_loss=self._calibration_loss(logits),
            calibration_auroc=auroc(logits, self.data.calibration.labels),
            learning_rate=rates[0],
            seconds=time.monotonic() - started,
            on_windows=self._is_crop_epoch,
            learning_rates=rates,
            frozen_stages=frozen,
            averaged=judged is not self.network,
            trained_on=self._trained_on,
        )
        self.history = replace(self.history, epochs=(*self.history.epochs, record))
        if self.history.kept == record.number:
            self._kept = {name: value.clone() for name, value in judged.state_dict().items()}
        if self.run.processes.is_first:
            save_state(self.run.folder, self._basis(), self._state())
        self.run.watch(self.history)

    def leave_kept(self) -> None:
        """Put the kept epoch's weights into the network."""
        if self._kept:
            self.network.load_state_dict(self._kept)
        self.network.eval()

    def _fit_once(self) -> float:
        """Mean loss of one pass."""
        seed = self.run.seed * _SEED_STRIDE + self.epoch
        losses = []
        made = self._batches.epoch(self.epoch, Generator().manual_seed(seed))
        with torch.random.fork_rng(), closing(prefetched(made)) as batches:
            # What a network itself draws, as dropout does, differs between processes and not between runs.
            torch.manual_seed(seed + self.run.processes.rank)
            for number, batch in enumerate(batches):
                rate = self._course.rate(self.epoch, number)
                steer(self._optimizer, rate, self._course.momentum(self.epoch, number))
                losses.append(self._update(batch))
                self._average.after_step()
                self._report(number + 1)
        return float(np.mean(losses))

    def _update(self, batch: Batch) -> float:
        # Windows are drawn half and half; only whole images need the rarer class weighted.
        weight = 1.0 if self._is_crop_epoch else self._weight
        outputs, targets = self._outputs(batch)
        loss = total_loss(outputs, targets, self._loss_options, weight)
        if self.run.tie is not None:
            loss = loss + self.run.tie.loss(self.run.processes.whole)
        if not math.isfinite(loss.item()):
            raise StepError(
                f"training diverged in epoch {self.epoch + 1}: loss {loss.item()}", "lower learning_rate"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.run.processes.add_gradients(self.network)
        if self.options.optimizer.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.options.optimizer.clip_norm)
        self._optimizer.step()
        return float(loss.item())

    def _outputs(self, batch: Batch) -> tuple[Outputs, Targets]:
        """Of the whole batch, with gradients for this process's share."""
        inputs = batch.inputs(self._device)
        outputs = self._ask(self.network, inputs)
        teacher = None
        if self._teacher is not None:
            with torch.no_grad():
                teacher = self._ask(self._teacher.to(self._device).eval(), inputs)
        return outputs, Targets(batch.labels.to(self._device), batch.masks.to(self._device), teacher)

    def _ask(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> Outputs:
        with mixed_precision(self._precision, self._device):
            logit, evidence = network(*inputs)
        whole = self.run.processes.whole
        return whole(logit.float()), whole(evidence.float())

    @property
    def _is_crop_epoch(self) -> bool:
        return self._course.is_on_windows(self.epoch)

    @property
    def _loss_options(self) -> TrainOptions:
        if not self._is_crop_epoch:
            return self.options
        return replace(self.options, imbalance=ImbalanceOptions("none"))

    def _average_statistics(self) -> None:
        """Batch-norm statistics of what is judged: the mean over the processes, new ones after averaging."""
        self.run.processes.mean_statistics(self.network)
        if self._average.kind == "swa" and self._course.is_level(self.epoch):
            generator = Generator().manual_seed(self.run.seed * _SEED_STRIDE + self.epoch)
            images = self._batches.plain_images(generator, _STATISTICS_BATCHES)
            self._average.after_epoch(image.to(self._device) for image in images)
        judged = self._average.judged()
        if judged is not self.network:
            self.run.processes.mean_statistics(judged)

    def _predict_calibration(self, judged: FractureNet) -> NDArray[np.float32]:
        processes, count = self.run.processes, len(self.data.calibration)
        edges = [count * rank // processes.count for rank in (processes.rank, processes.rank + 1)]
        return processes.concatenate(predict(judged, self.data.calibration, slice(*edges)))

    def _calibration_loss(self, logits: NDArray[np.float32]) -> float:
        labels = torch.from_numpy(self.data.calibration.labels)
        return float(label_loss(torch.from_numpy(logits), labels, self._weight))

    def _report(self, batches: int) -> None:
        if self.run.processes.is_first:
            self.run.progress(self._course.batches_before(self.epoch) + batches, self._course.batches)

    def _basis(self) -> dict[str, Any]:
        """What must be equal for an interrupted run to be gone on with."""
        patches = {} if self.data.patches is None else {"patches": self.data.patches.digest}
        plain = {"options": asdict(self.options), "seed": self.run.seed, "images": len(self.data.fit)}
        tie = {} if self.run.tie is None else {"tie": self.run.tie.facts}
        return {**plain, **patches, **tie}

    def _state(self) -> TrainState:
        return TrainState(
            self.network.state_dict(),
            self._optimizer.state_dict(),
            self._average.state(),
            self._kept,
            self.history,
        )

    def _take_up(self, state: TrainState) -> None:
        self.network.load_state_dict(state.network)
        self._optimizer.load_state_dict(state.optimizer)
        self._average.load(state.average)
        self._kept = state.kept
        self.history = state.history
