"""Writing is found where it lies; what is no writing stays as it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from runtime import letter_rows, letter_trees, letters
from runtime.burned_in import limb_mask, without_writing
from tests.device_app import sample

TOP = 4095
NAME = "RAHMAN ABDUL"


def limb(seed: int = 0) -> NDArray[np.uint16]:
    """A forearm with air on both sides of it, 12-bit values."""
    picture = np.full((520, 640), 500, np.uint16)
    picture[:, 120:520] = np.maximum(sample.forearm(sample.NONE, seed), 500)
    noise = np.random.default_rng(seed).normal(0, 20, picture.shape)
    return np.clip(picture + noise, 0, TOP).astype(np.uint16)


def with_name(x: int, y: int, size_px: int = 20, value: int = TOP, turn: bool = False) -> NDArray[np.uint16]:
    picture = limb()
    canvas = np.zeros(picture.shape[::-1] if turn else picture.shape, np.uint8)
    cv2.putText(canvas, NAME, (x, y), (255, 255, 255), cv2.FontFace("sans"), size_px, 400)
    ink = (np.rot90(canvas) if turn else canvas).astype(np.float32) / 255
    return (picture * (1 - ink) + value * ink).astype(np.uint16)


def test_a_picture_without_writing_stays_as_it_is() -> None:
    looked = without_writing(limb())
    assert looked.over == () and np.array_equal(looked.pixels, limb())


@pytest.mark.parametrize("size_px", [11, 14, 16])
def test_a_name_beside_the_limb_is_blanked_and_the_limb_is_not_touched(size_px: int) -> None:
    picture = with_name(2, 60, size_px)
    name = picture != limb()
    name[:, 140:] = False
    looked = without_writing(with_name(2, 60, size_px))
    assert looked.blanked and looked.over == ()
    assert (looked.pixels[name] > 3000).sum() == 0
    assert np.array_equal(looked.pixels[:, 300:], picture[:, 300:])


def test_a_name_that_stands_upright_beside_the_limb_is_blanked() -> None:
    picture = with_name(150, 60, 24, turn=True)
    assert (picture > 3900).sum() > 300
    looked = without_writing(picture)
    assert looked.over == () and looked.blanked
    beside = np.delete(looked.pixels, np.s_[120:520], axis=1)
    assert (beside > 3000).sum() == 0


@pytest.mark.parametrize("value", [TOP, 0])
def test_a_name_over_the_limb_is_reported_and_nothing_of_the_limb_is_blanked(value: int) -> None:
    picture = with_name(240, 300, 26, value)
    looked = without_writing(picture)
    assert looked.over
    x0, y0, x1, y1 = looked.over[0]
    assert x0 < 330 < x1 and y0 < 290 < y1
    assert np.array_equal(looked.pixels[:, 200:440], picture[:, 200:440])


def test_writing_close_to_the_limb_is_no_part_of_it() -> None:
    bare = limb()
    ink = np.zeros(bare.shape, np.uint8)
    right = int(np.flatnonzero(limb_mask(letters.working(bare, 1.0))[100]).max())
    cv2.putText(ink, "AP", (right, 105), (255, 255, 255), cv2.FontFace("sans"), 11, 400)
    looked = without_writing(np.maximum(bare, ink.astype(np.uint16) * 16))
    assert looked.over == () and (looked.pixels[ink > 128] > 3000).sum() == 0
    assert np.array_equal(looked.pixels[:, : right - 10], bare[:, : right - 10])


def test_a_thin_finger_is_no_writing() -> None:
    picture = limb()
    cv2.rectangle(picture, (427, 200), (557, 212), 800, -1)
    for bone in range(455, 559, 26):
        cv2.rectangle(picture, (bone, 203), (bone + 18, 209), 1500, -1)
    looked = without_writing(cv2.GaussianBlur(picture, (0, 0), 0.8))
    assert looked.blanked == ()


def test_a_kept_place_is_never_blanked() -> None:
    picture = with_name(4, 60, 12)
    free, kept = without_writing(picture), without_writing(picture, [(0, 40, 110, 70)])
    assert free.blanked and not free.over
    assert kept.over and np.array_equal(kept.pixels[40:70, :110], picture[40:70, :110])


def test_writing_is_found_at_every_depth_and_never_changes_its_input() -> None:
    for shift in (0, 4):
        picture = with_name(240, 300, 26) >> np.uint16(shift)
        before = picture.copy()
        assert without_writing(picture).over
        assert np.array_equal(picture, before)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (64, 64), (2, 2)])
def test_odd_pictures_are_survived(shape: tuple[int, int]) -> None:
    for value in (0, 65535):
        looked = without_writing(np.full(shape, value, np.uint16))
        assert looked.pixels.shape == shape and looked.over == ()


def test_the_limb_is_told_from_air() -> None:
    mask = limb_mask(letters.working(limb(), 1.0))
    assert mask[260, 320] and not mask[260, 20] and not mask[260, 620]


def test_the_shipped_trees_are_over_the_features_that_rows_have() -> None:
    trees = letter_trees.shipped()
    scores = trees.scores(np.zeros((3, len(letter_rows.FEATURES)), np.float32))
    assert scores.shape == (3,) and ((scores >= 0) & (scores <= 1)).all()
    assert trees.scores(np.zeros((0, len(letter_rows.FEATURES)), np.float32)).shape == (0,)


def test_trees_over_other_features_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        letter_trees.Trees.of_table({"features": ["size"], "start": 0, "trees": [[[-1, 0, 0, 0, 0.0]]]})


def test_a_tree_is_walked_to_its_leaf() -> None:
    tree = [[1, 0.5, 1, 2, 0], [-1, 0, 0, 0, -2.0], [-1, 0, 0, 0, 2.0]]
    trees = letter_trees.Trees.of_table(
        {"features": list(letter_rows.FEATURES), "start": 0.0, "trees": [tree]}
    )
    features = np.zeros((2, len(letter_rows.FEATURES)), np.float32)
    features[1, 1] = 1.0
    assert trees.scores(features) == pytest.approx([1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))])


@pytest.mark.parametrize("degrees", [0, 30, 90, -20])
def test_letters_in_a_line_are_a_row_in_every_direction(degrees: float) -> None:
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    centers = np.array([400, 400]) + np.arange(6)[:, None] * 20 * along
    boxes = np.concatenate([centers - 7, centers + 7], axis=1).astype(np.float32)
    ones = np.ones(6, np.float32)
    found = letter_rows.rows(letters.Marks(boxes, 80 * ones, 0.1 * ones, 0.5 * ones, 0.4 * ones), 9)
    assert [len(members) for members in found.members] == [6]


def test_marks_far_apart_are_no_row() -> None:
    centers = np.array([[50, 50], [400, 90], [90, 700], [800, 800]], np.float32)
    boxes = np.concatenate([centers - 7, centers + 7], axis=1)
    ones = np.ones(4, np.float32)
    assert not letter_rows.rows(
        letters.Marks(boxes, 80 * ones, 0.1 * ones, 0.5 * ones, 0.4 * ones), 9
    ).members
