"""The picture of a training's course."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from compress.training.curves import draw_curves
from compress.training.history import Epoch, History


def drawn(epochs: list[Epoch], path: Path) -> np.ndarray[Any, Any]:
    draw_curves(History(tuple(epochs)).to_json(), path)
    picture = cv2.imread(str(path))
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    return picture


def test_every_course_has_a_picture_of_its_own(tmp_path: Path) -> None:
    plain = [Epoch(n, 1 / n, 1 / n, 0.5 + n / 20, 1e-3, 1.0, learning_rates=(1e-3,)) for n in (1, 2, 3)]
    frozen = [Epoch(n, 1 / n, 1 / n, 0.5 + n / 20, 1e-3, 1.0, False, (1e-3, 1e-5), 4 - n) for n in (1, 2, 3)]
    pictures = [drawn(epochs, tmp_path / "curves.png") for epochs in ([], plain, frozen)]
    assert pictures[0].shape == pictures[1].shape == pictures[2].shape
    assert all(picture.std() > 1 for picture in pictures)
    assert not np.array_equal(pictures[1], pictures[2])
    assert np.array_equal(pictures[1], drawn(plain, tmp_path / "curves.png"))
