"""What an improvement changes of the recipe."""

from __future__ import annotations

import pytest

from compress.improve.plan import fine_tuning, next_version
from compress.recipe import ImproveOptions
from compress.training.options import AverageOptions, TrainOptions, TransferOptions


@pytest.mark.parametrize(
    ("version", "higher"),
    [("0.1.0", "0.2.0"), ("1.9.7", "1.10.0"), ("2026-03", "2026-4"), ("v2", "v3"), ("first", "first.1")],
)
def test_a_version_rises(version: str, higher: str) -> None:
    assert next_version(version) == higher


def test_fine_tuning_is_short_slow_and_follows_the_released_model() -> None:
    whole = TrainOptions(epochs=20, crop_epochs=9, learning_rate=1e-3, box_weight=0.7)
    short = fine_tuning(whole, ImproveOptions(epochs=2, rate=0.5, distill_weight=0.4))
    assert (short.epochs, short.crop_epochs, short.learning_rate) == (2, 0, 5e-4)
    assert (short.distill_weight, short.box_weight) == (0.4, 0.7)


def test_averages_and_unfreezing_that_need_more_epochs_are_cut_down() -> None:
    gradual = TransferOptions(freeze="gradual", unfreeze_epochs=(3, 6), frozen_stages=1, layer_decay=0.9)
    whole = TrainOptions(epochs=9, transfer=gradual, average=AverageOptions("swa", swa_epochs=5))
    short = fine_tuning(whole, ImproveOptions(epochs=2))
    assert short.transfer == TransferOptions(frozen_stages=1, layer_decay=0.9)
    assert short.average.swa_epochs == 2


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"rate": 0.0}, {"distill_weight": 1.5}, {"new_share": 1.0}])
def test_options_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        ImproveOptions(**wrong)  # type: ignore[arg-type]
