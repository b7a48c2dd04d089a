from __future__ import annotations

import pytest

from compress.datasets.synth.materials import ADIPOSE, CORTICAL_BONE, LEAD, SOFT_TISSUE


@pytest.mark.parametrize(
    ("material", "per_cm"), [(CORTICAL_BONE, 1.2778), (SOFT_TISSUE, 0.2849), (ADIPOSE, 0.2276), (LEAD, 163.0)]
)
def test_tabulated_values_at_40_kev(material: object, per_cm: float) -> None:
    assert material.per_cm(40.0) == pytest.approx(per_cm, rel=1e-3)  # type: ignore[attr-defined]
    assert material.per_mm(40.0) == pytest.approx(per_cm / 10, rel=1e-3)  # type: ignore[attr-defined]


def test_harder_beams_show_less_contrast_of_bone() -> None:
    contrast = [CORTICAL_BONE.per_cm(e) / SOFT_TISSUE.per_cm(e) for e in (30, 36, 42, 48, 60)]
    assert contrast == sorted(contrast, reverse=True)


def test_between_two_energies_the_value_lies_between() -> None:
    assert CORTICAL_BONE.per_cm(50) < CORTICAL_BONE.per_cm(45) < CORTICAL_BONE.per_cm(40)
