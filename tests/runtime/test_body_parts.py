"""Words for body parts, as files and bundles spell them."""

from __future__ import annotations

import pytest

from runtime.body_parts import Fit, fit, regions_of

FRACATLAS = ("hand", "leg", "hip", "shoulder")


@pytest.mark.parametrize(
    "stated",
    [
        "hand",
        "HAND",
        "rt hand",
        "wrist",
        "radius ulna",
        "elbow",
        "lower leg",
        "tib fib",
        "ankle joint",
        "foot",
        "calcaneus",
        "knee",
        "femur",
        "pelvis",
        "clavicle",
        "humerus",
        "extremity",
        "upper extremity",
        "thumb",
    ],
)
def test_limbs_are_inside_a_model_of_all_limbs_however_they_are_spelled(stated: str) -> None:
    assert fit(stated, FRACATLAS) is Fit.INSIDE


@pytest.mark.parametrize(
    "stated",
    ["chest", "thorax", "skull", "head", "breast", "c spine", "lspine", "l spine", "abdomen", "ribs", "jaw"],
)
def test_trunk_and_head_are_outside(stated: str) -> None:
    assert fit(stated, FRACATLAS) is Fit.OUTSIDE


@pytest.mark.parametrize("stated", [None, "", "xyz", "left", "body part", "unknown"])
def test_what_says_nothing_is_unknown_and_not_outside(stated: str | None) -> None:
    assert fit(stated, FRACATLAS) is Fit.UNKNOWN


def test_a_limb_that_the_model_was_not_made_for_is_outside() -> None:
    assert fit("knee", ("wrist",)) is Fit.OUTSIDE
    assert fit("lower extremity", ("hand",)) is Fit.OUTSIDE


def test_the_group_words_of_a_training_set_cover_their_limb() -> None:
    assert fit("forearm", ("hand",)) is Fit.INSIDE
    assert fit("foot", ("leg",)) is Fit.INSIDE


def test_compound_words_count_for_each_of_their_parts() -> None:
    assert fit("hand+shoulder", ("shoulder",)) is Fit.INSIDE
    assert fit("clavicle", ("hand+shoulder",)) is Fit.INSIDE
    assert fit("hand/chest", ("hand",)) is Fit.INSIDE


def test_the_longest_known_run_of_words_decides() -> None:
    assert regions_of("lower leg") == {"lower leg"}
    assert regions_of("upper arm") == {"upper arm"}
    assert regions_of("hand wrist") == {"hand", "wrist"}


def test_without_intended_parts_every_limb_is_meant() -> None:
    assert fit("toe", ()) is Fit.INSIDE
    assert fit("skull", ()) is Fit.OUTSIDE
