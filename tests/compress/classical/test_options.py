"""Options: what is possible, and a sentence for what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compress.classical.options import NAMES, ClassicalOptions


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_settings_that_are_possible_by_default(name: str) -> None:
    assert ClassicalOptions(name=name).name == name


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "svm"}, "name must be one of kmeans"),
        ({"features": ("hog", "sift")}, "features must be one of hog"),
        ({"features": ()}, "features must name some of"),
        ({"features": ("lbp", "lbp")}, "each once"),
        ({"operators": "openvino"}, "operators must be one of standard, ml"),
        ({"words": 1}, "words must be at least 2"),
        ({"trees": 0}, "trees must be at least 1"),
        ({"depth": 0}, "depth must be 1 to 10, got 0"),
        ({"depth": 11}, "depth must be 1 to 10, got 11"),
        ({"learning_rate": 0.0}, "learning_rate must lie between 0 and 1"),
        ({"regularisation": 0.0}, "regularisation must lie between"),
    ],
)
def test_what_is_impossible_is_said_in_a_sentence(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(ClassicalOptions(), **changes)
