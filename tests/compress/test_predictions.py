from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress.predictions import HIT, MISSED, NOT_ASKED, Predictions, sigmoid
from runtime.errors import StepError
from tests.compress.cohort import cohort


def _make(**changes: object) -> Predictions:
    fields: dict[str, object] = {
        "case_ids": ["a", "b", "c"],
        "patient_ids": ["p", "p", "q"],
        "body_parts": ["hand", "hand", "hip"],
        "labels": [1, 1, 0],
        "logits": [2.0, -1.0, 0.5],
    }
    return Predictions(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": [1.0, 2.0]}, "logits must have shape"),
        ({"logits": [1.0, np.nan, 2.0]}, "case b is not"),
        ({"logits": [1.0, np.inf, 2.0]}, "finite"),
        ({"case_ids": ["a", "a", "c"]}, "unique"),
        ({"refused": ("a",)}, "unique"),
        ({"labels": [0, 1, 2]}, "0 or 1"),
        ({"located": [0, 1, 5]}, "located"),
        ({"located": [[0, 1, 1]]}, "located must have shape"),
        ({"boxed": [0, 1, 5]}, "boxed"),
        ({"ious": [0.1, np.nan, 1.5]}, "ious"),
        ({"views": ["frontal"]}, "views must have shape"),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _make(**changes)


def test_a_saved_file_gives_back_every_value_and_needs_no_pickle(tmp_path: Path) -> None:
    before = _make(located=[HIT, MISSED, NOT_ASKED], refused=("d", "e"))
    before.save(tmp_path / "p.npz")
    after = Predictions.load(tmp_path / "p.npz")
    assert after.digest == before.digest
    assert after.refused == ("d", "e")
    assert after.located is not None
    assert after.located.tolist() == [HIT, MISSED, NOT_ASKED]
    assert _make().digest != before.digest


def test_everything_known_of_places_views_and_studies_survives_a_round_trip(tmp_path: Path) -> None:
    known = {
        "boxed": [HIT, MISSED, NOT_ASKED],
        "ious": [0.5, 0.0, np.nan],
        "boxes_shown": [1, 0, 2],
        "views": ["frontal", "", "lateral"],
        "study_ids": ["s", "s", ""],
    }
    before = _make(**known)
    before.save(tmp_path / "p.npz")
    after = Predictions.load(tmp_path / "p.npz")
    assert after.digest == before.digest != _make().digest
    part = after.subset(np.array([True, False, True]))
    assert part.views is not None and part.views.tolist() == ["frontal", "lateral"]
    assert part.boxes_shown is not None and part.boxes_shown.tolist() == [1, 2]


def test_predictions_without_located_survive_a_round_trip(tmp_path: Path) -> None:
    _make().save(tmp_path / "p.npz")
    assert Predictions.load(tmp_path / "p.npz").located is None


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_a_step_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(StepError, match="holds no predictions"):
        Predictions.load(tmp_path / "p.npz")


def test_a_file_of_other_arrays_or_pickled_objects_is_a_step_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", numbers=np.arange(3))
    np.savez(tmp_path / "pickled.npz", case_ids=np.array([{"a": 1}], dtype=object))
    for name in ("other.npz", "pickled.npz", "missing.npz"):
        with pytest.raises(StepError):
            Predictions.load(tmp_path / name)


def test_arrays_cannot_be_changed_afterwards() -> None:
    logits = np.array([2.0, -1.0, 0.5])
    predictions = _make(logits=logits)
    logits[0] = 9.0
    assert predictions.logits[0] == 2.0
    with pytest.raises(ValueError, match="read-only"):
        predictions.logits[0] = 9.0


def test_a_subset_keeps_the_order_of_the_cases() -> None:
    part = cohort(np.random.default_rng(1)).subset(np.arange(240) % 3 == 0)
    assert part.case_ids.tolist() == [f"case-{i}" for i in range(0, 240, 3)]


def test_parts_put_together_are_the_whole_again() -> None:
    whole = cohort(np.random.default_rng(1))
    first = np.arange(240) < 100
    joined = Predictions.concatenate([whole.subset(first), whole.subset(~first)])
    assert joined.digest == whole.digest


def test_an_array_that_one_part_lacks_is_left_out_and_refused_cases_are_kept() -> None:
    known = _make(located=np.array([HIT, NOT_ASKED, MISSED]), refused=("x",))
    other = replace(known.subset(np.array([True, False, False])), case_ids=np.array(["new"]), located=None)
    joined = Predictions.concatenate([known, other])
    assert joined.located is None
    assert joined.refused == ("x",)
    assert joined.case_ids[-1] == "new"


def test_an_image_in_two_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="unique"):
        Predictions.concatenate([_make(), _make()])


def test_extreme_logits_give_probabilities_without_overflow() -> None:
    with np.errstate(over="raise", invalid="raise"):
        values = sigmoid(np.array([-800.0, 0.0, 800.0]))
    assert values.tolist() == [0.0, 0.5, 1.0]


def test_one_changed_byte_is_a_step_error_wherever_it_is_noticed(tmp_path: Path) -> None:
    _make().save(tmp_path / "p.npz")
    sound, refused = (tmp_path / "p.npz").read_bytes(), 0
    for place in range(0, len(sound), 3):
        damaged = bytearray(sound)
        damaged[place] ^= 0x10
        (tmp_path / "p.npz").write_bytes(damaged)
        try:
            Predictions.load(tmp_path / "p.npz")
        except StepError:
            refused += 1
    assert refused > len(sound) / 6
