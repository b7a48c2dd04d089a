from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compress.datasets.synth.anatomy import BODY_PARTS, Build, heal, make_limb
from compress.datasets.synth.fractures import Break, fracture
from compress.datasets.synth.patient import bent, broken_bones, is_broken, make_patient

ADULT, CHILD = Build(1.0, child=False), Build(0.75, child=True)


def first_broken(seed: int, part: str) -> int:
    return next(n for n in range(BODY_PARTS.index(part), 200, len(BODY_PARTS)) if is_broken(n, seed))


def test_the_same_patient_is_computed_to_the_same_pixel() -> None:
    one, two = make_patient(6, 3, 96), make_patient(6, 3, 96)
    for a, b in zip(one.shots, two.shots, strict=True):
        assert a.pixels.tobytes() == b.pixels.tobytes()
        assert a.mask.tobytes() == b.mask.tobytes()


def test_another_seed_or_number_is_another_patient() -> None:
    shots = [make_patient(n, s, 96).shots[0].pixels.tobytes() for n, s in ((6, 3), (6, 4), (10, 3))]
    assert len(set(shots)) == 3


@pytest.mark.parametrize("part", BODY_PARTS)
def test_each_body_part_has_two_views_in_twelve_bits(part: str) -> None:
    patient = make_patient(BODY_PARTS.index(part), 1, 128)
    assert patient.body_part == part
    views = [shot.view for shot in patient.shots]
    assert views[0] == "frontal" and len(set(views)) == 2
    for shot in patient.shots:
        assert max(shot.pixels.shape) == 128
        assert shot.pixels.dtype == np.uint16 and shot.pixels.max() < 4096
        assert shot.pixels.std() > 50


@pytest.mark.parametrize("seed", [0, 7, 123])
def test_two_of_five_patients_of_every_body_part_are_broken(seed: int) -> None:
    for part in range(len(BODY_PARTS)):
        broken = [is_broken(number, seed) for number in range(part, 400, len(BODY_PARTS))]
        assert sum(broken) / len(broken) == pytest.approx(0.4)


@pytest.mark.parametrize("part", BODY_PARTS)
def test_a_fracture_lies_in_the_field_of_both_views(part: str) -> None:
    patient = make_patient(first_broken(5, part), 5, 160)
    assert patient.fracture_type
    for shot in patient.shots:
        assert shot.mask.any()


def test_the_unbroken_have_no_mask() -> None:
    number = next(n for n in range(50) if not is_broken(n, 5))
    patient = make_patient(number, 5, 128)
    assert patient.fracture_type == "" and patient.displacement_mm == 0
    assert not any(shot.mask.any() for shot in patient.shots)


def test_children_have_open_growth_plates_and_adults_none() -> None:
    rng = np.random.default_rng(0)
    assert any(bone.gaps for bone in make_limb("forearm", CHILD, rng).bones)
    assert not any(bone.gaps for bone in make_limb("forearm", ADULT, rng).bones)


@pytest.mark.parametrize("part", BODY_PARTS)
def test_sites_lie_on_bones_of_the_limb(part: str) -> None:
    limb = make_limb(part, ADULT, np.random.default_rng(1))
    for site in limb.sites:
        assert 0 < site.from_mm < site.to_mm < limb.bone(site.bone).solid.length_mm  # type: ignore[attr-defined]


def test_the_hand_goes_with_a_broken_radius_and_the_ulna_stays() -> None:
    limb = make_limb("forearm", ADULT, np.random.default_rng(2))
    broken = fracture("oblique", Break(limb.bone("radius").pose, 190.0, 8.0), np.random.default_rng(3))
    lying = {bone.bone.name: bone.pieces for bone in broken_bones(limb, {"radius": broken})}
    assert len(lying["radius"]) == 2
    for name in ("lunate", "middle0", "middle3"):
        assert np.allclose(lying[name][0].pose.origin, broken.motion.point(limb.bone(name).pose.origin))
    assert lying["ulna"][0].pose is limb.bone("ulna").pose


def test_flesh_bends_with_the_distal_fragment_only() -> None:
    limb = make_limb("leg", ADULT, np.random.default_rng(4))
    broken = fracture("transverse", Break(limb.bone("tibia").pose, 250.0, 13.0), np.random.default_rng(6))
    calf = limb.tissue[0]
    after = bent(calf, limb, {"tibia": broken})
    shift = np.abs(after.solid.table[:, 2:4] - calf.solid.table[:, 2:4]).max(axis=1)
    assert shift[:80].max() == 0
    assert shift[-1] > 1.0
    assert bent(calf, limb, {}) is calf


def test_a_healed_fracture_thickens_the_bone_and_is_none() -> None:
    limb = make_limb("shoulder", ADULT, np.random.default_rng(7))
    healed = heal(limb, "humerus", 100.0, np.random.default_rng(8))
    before, after = (x.bone("humerus").solid.table[:, 0] for x in (limb, healed))  # type: ignore[attr-defined]
    assert (after - before).max() > 1.5
    assert healed.bone("clavicle") is limb.bone("clavicle")


def test_a_larger_build_is_larger_in_everything() -> None:
    small, large = (
        make_limb("hand", replace(ADULT, scale=s, jitter=0.0), np.random.default_rng(9)) for s in (0.8, 1.2)
    )
    for name in ("middle0", "radius"):
        lengths = [x.bone(name).solid.length_mm for x in (small, large)]  # type: ignore[attr-defined]
        assert lengths[1] == pytest.approx(1.5 * lengths[0])
