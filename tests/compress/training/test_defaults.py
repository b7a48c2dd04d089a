"""With its defaults training is the plain loop that is written out here, to the bit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from compress.training.augment import augment
from compress.training.data import TrainData
from compress.training.loop import TrainRun, train
from compress.training.options import AugmentOptions, TrainOptions
from compress.zoo.base import FractureNet
from tests.compress.networks import random_network, spot_data

SEED, EPOCHS, BATCH, RATE = 3, 4, 16, 5e-3


def plainly_trained(network: FractureNet, data: TrainData) -> FractureNet:
    """AdamW, warm-up and cosine, weighted cross-entropy, gradients clipped at 2, seeded shuffles."""
    network.to(memory_format=torch.channels_last)
    flat = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1]},
        {"params": flat, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=1e-4)
    batches = len(data.fit) // BATCH
    total, network = EPOCHS * batches, network.train()
    for epoch in range(EPOCHS):
        generator = torch.Generator().manual_seed(SEED * 1_000_003 + epoch)
        order = torch.randperm(len(data.fit), generator=generator).numpy()
        for number in range(batches):
            rows = order[number * BATCH : (number + 1) * BATCH]
            images, masks = torch.from_numpy(data.fit.tensors[rows]), torch.from_numpy(data.fit.masks[rows])
            images, _ = augment(images, masks.float()[:, None], AugmentOptions(), data.preprocess, generator)
            step, warm_up = epoch * batches + number, max(1, round(total * 0.08))
            fall = 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))
            for group in optimizer.param_groups:
                group["lr"] = RATE * ((step + 1) / warm_up if step < warm_up else fall)
            labels = torch.from_numpy(data.fit.labels[rows])
            logit = network(images)[0].flatten()
            loss = F.binary_cross_entropy_with_logits(logit, labels, pos_weight=torch.tensor(1.0))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimizer.step()
    return network.eval()


def test_the_defaults_are_the_plain_loop_to_the_bit(tmp_path: Path) -> None:
    data = spot_data()
    data = replace(data, calibration=data.fit)  # so that the last epoch is the best one, and kept
    one, two = random_network("cnn", 48), random_network("cnn", 48)
    options = TrainOptions(EPOCHS, batch_size=BATCH, learning_rate=RATE)
    history = train(one, data, options, TrainRun(tmp_path, SEED))
    plainly_trained(two, data)
    assert history.best == EPOCHS
    for name, value in one.state_dict().items():
        assert np.array_equal(value.numpy(), two.state_dict()[name].numpy()), name
