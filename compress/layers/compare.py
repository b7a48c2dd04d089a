"""Runs the same images through two networks and compares their tensors, one image in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from compress.layers.base import Feed, LayeredModel, Tap, Values
from compress.layers.noise import RunningNoise
from compress.layers.parity import DIVERGES_BELOW_DB, EIGHT_BITS_DB, LayerParity, LayerSnr, with_drops
from compress.steps.fidelity import LIMIT_DB
from runtime.errors import ExportMismatchError, StepError

MAX_IMAGES = 16
_NAMED = 3


@dataclass(frozen=True)
class LayerOptions:
    """images: at most so many are looked at. threshold_db: below it a tensor diverges."""

    images: int = MAX_IMAGES
    threshold_db: float = DIVERGES_BELOW_DB


_DEFAULTS = LayerOptions()


def compare_layers(
    reference: LayeredModel,
    candidate: LayeredModel,
    feeds: Iterable[Feed],
    options: LayerOptions = _DEFAULTS,
) -> LayerParity:
    """Signal to noise of every tensor that both have, by name, over the first `options.images` feeds.

    Raises StepError without images or common tensors, ExportMismatchError for tensors of different size.
    """
    return _Comparison(reference, candidate, options).parity(feeds)


def first_divergence(
    reference: LayeredModel,
    candidate: LayeredModel,
    feed: Feed,
    options: LayerOptions = _DEFAULTS,
) -> LayerSnr | None:
    """Where one case goes another way: the first tensor below the threshold, None where none is.

    Raises as compare_layers.
    """
    return compare_layers(reference, candidate, [feed], options).first_diverging


def compare_cases(
    reference: LayeredModel,
    candidate: LayeredModel,
    feeds: Mapping[str, Feed],
    options: LayerOptions = _DEFAULTS,
) -> dict[str, LayerParity]:
    """One comparison a case, by its id, with both networks loaded once. Raises as compare_layers."""
    comparison = _Comparison(reference, candidate, options)
    return {case_id: comparison.parity([feed]) for case_id, feed in feeds.items()}


class _Comparison:
    """Two networks, loaded so that they give what both have."""

    def __init__(self, reference: LayeredModel, candidate: LayeredModel, options: LayerOptions) -> None:
        self._options = options
        self._tensors = reference.tensors
        theirs = {tensor.name for tensor in candidate.tensors}
        self._common = [tensor.name for tensor in self._tensors if tensor.name in theirs]
        if not self._common:
            raise StepError(
                "the two networks have no tensor of the same name",
                "compare a network with what was made from it, before its layers were fused",
            )
        rounded = reference.quantized or candidate.quantized
        self._ceiling_db = EIGHT_BITS_DB if rounded else LIMIT_DB
        self._taps: tuple[Tap, Tap] = (reference.tap(self._common), candidate.tap(self._common))

    def parity(self, feeds: Iterable[Feed]) -> LayerParity:
        """See compare_layers."""
        sums = {name: RunningNoise() for name in self._common}
        images = 0
        for feed in islice(feeds, self._options.images):
            self._add(sums, feed)
            images += 1
        if not images:
            raise StepError("there are no images to compare the layers on", "give at least one")
        found = {name: noise.snr_db for name, noise in sums.items()}
        return LayerParity(
            with_drops(self._tensors, found, self._ceiling_db),
            images,
            len(self._tensors) - len(self._common),
            self._options.threshold_db,
        )

    def _add(self, sums: dict[str, RunningNoise], feed: Feed) -> None:
        """What one image adds; its tensors are let go of when this returns."""
        wanted, got = (tap(feed) for tap in self._taps)
        _require_same_sizes(wanted, got)
        for name, noise in sums.items():
            noise.add(wanted[name], got[name])


def _require_same_sizes(wanted: Values, got: Values) -> None:
    wrong = [
        f"{name} has shape {got[name].shape}, expected {value.shape}"
        for name, value in wanted.items()
        if got[name].size != value.size
    ]
    if wrong:
        more = f" (and {len(wrong) - _NAMED} more)" if len(wrong) > _NAMED else ""
        raise ExportMismatchError(
            f"the two are not one network: {'; '.join(wrong[:_NAMED])}{more}",
            "compare a network with what was made from it, without pruning in between",
        )
