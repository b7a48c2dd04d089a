"""What a recipe says about a classical baseline."""

from __future__ import annotations

from dataclasses import dataclass

from compress.limits import at_least, one_of, within, within_or_at

NAMES = ("kmeans", "random_forest", "gradient_boosting", "logistic_regression")
FEATURES = ("hog", "lbp", "glcm")
OPERATORS = ("standard", "ml")
DEEPEST = 10


@dataclass(frozen=True)
class ClassicalOptions:
    """name: one of NAMES. features: of FEATURES, each at most once.

    words: of the K-means vocabulary.
    trees, depth: of the tree models. learning_rate: of gradient boosting.
    regularisation: C of logistic regression, on histograms of words for `kmeans`; smaller is smoother.
    operators: how trees are written, "ml" as skl2onnx does (ai.onnx.ml, which ONNX Runtime knows) or
    "standard" as operators that OpenVINO and TensorRT know too. The other models have standard ones only.
    """

    name: str = "random_forest"
    features: tuple[str, ...] = FEATURES
    words: int = 256
    trees: int = 300
    depth: int = 6
    learning_rate: float = 0.05
    regularisation: float = 3e-4
    operators: str = "ml"

    def __post_init__(self) -> None:
        one_of("name", self.name, NAMES)
        one_of("operators", self.operators, OPERATORS)
        for feature in self.features:
            one_of("features", feature, FEATURES)
        if not self.features or len(set(self.features)) < len(self.features):
            raise ValueError(
                f"features must name some of {', '.join(FEATURES)}, each once, got {self.features}"
            )
        at_least(2, words=self.words)
        at_least(1, trees=self.trees)
        within_or_at(1, DEEPEST, depth=self.depth)
        within(0, 1, learning_rate=self.learning_rate)
        within(0, 1e6, regularisation=self.regularisation)
