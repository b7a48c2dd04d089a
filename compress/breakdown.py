"""Parts of an evaluation that are asked for: by the values of a tag, and without the images that have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.datasets.base import Case
from compress.datasets.problems import refuse
from compress.metrics import MetricsReport
from compress.predictions import Predictions

Judge = Callable[[Predictions], MetricsReport]

_MOST_VALUES = 20


@dataclass(frozen=True)
class Breakdown:
    """by: tags whose values are shown apart. without: (tag, value) pairs whose images are left out, each in a
    report of its own beside the one over all images.
    """

    by: tuple[str, ...] = ()
    without: tuple[tuple[str, str], ...] = ()


def parse_without(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """ "hardware=1" -> ("hardware", "1"). Raises StepError that lists what is written otherwise."""
    wrong = [f"{word!r} is not TAG=VALUE" for word in words if not word.partition("=")[0] or "=" not in word]
    refuse("--without", wrong, "for example --without hardware=1")
    return tuple((tag, value) for tag, _, value in (word.partition("=") for word in words))


def check(cases: Sequence[Case], wanted: Breakdown) -> None:
    """Raise StepError that lists every tag and value that the cases do not have, or have too many of."""
    known = {name for case in cases for name in case.tags}
    problems = []
    for tag in dict.fromkeys((*wanted.by, *(tag for tag, _ in wanted.without))):
        values = {case.tags.get(tag, "") for case in cases}
        if tag not in known:
            problems.append(f"no image has a tag {tag}")
        elif tag in wanted.by and len(values) > _MOST_VALUES:
            problems.append(f"{tag} has {len(values)} values, at most {_MOST_VALUES} can be shown apart")
    for tag, value in wanted.without:
        if tag in known and value not in {case.tags.get(tag, "") for case in cases}:
            problems.append(f"no image has {tag}={value}")
    refuse("the breakdown", problems, f"tags of these images: {', '.join(sorted(known)) or 'none'}")


def measure_without(
    predictions: Predictions, cases: Sequence[Case], words: Sequence[str], judge: Judge
) -> dict[str, MetricsReport]:
    """By word ("hardware=1"), what `judge` says of the predictions without those images."""
    tags = {case.case_id: case.tags for case in cases}
    reports = {}
    for word, (tag, value) in zip(words, parse_without(words), strict=True):
        kept = [tags[name].get(tag, "") != value for name in predictions.case_ids.tolist()]
        reports[word] = judge(predictions.subset(np.array(kept, bool)))
    return reports


def tag_values(cases: Sequence[Case], tag: str) -> NDArray[np.str_]:
    """(N,) the tag of each case, "" where it has none."""
    return np.array([case.tags.get(tag, "") for case in cases], np.str_)
