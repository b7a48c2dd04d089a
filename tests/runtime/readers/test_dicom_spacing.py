"""Where the spacing of a file holds, by PS3.3 10.7: in the patient, at the detector, or nobody knows."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from runtime.radiograph import SpacingOrigin
from runtime.readers import read_bytes
from runtime.readers.dicom_spacing import spacing
from tests.runtime.readers.makers import dicom, plate

IMAGER = {"ImagerPixelSpacing": [0.2, 0.1]}
FACTOR = "EstimatedRadiographicMagnificationFactor"


def of(**elements: Any) -> tuple[float, float, SpacingOrigin] | None:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    found = spacing(dataset)
    return None if found is None else (found.row_mm, found.column_mm, found.origin)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, None),
        (IMAGER, (0.2, 0.1, SpacingOrigin.DETECTOR)),
        ({"PixelSpacing": [0.2, 0.1], **IMAGER}, (0.2, 0.1, SpacingOrigin.DETECTOR)),
        ({"PixelSpacing": [0.20001, 0.1], **IMAGER}, (0.2, 0.1, SpacingOrigin.DETECTOR)),
        ({"PixelSpacing": [0.18, 0.09], **IMAGER}, (0.18, 0.09, SpacingOrigin.CORRECTED)),
        ({"PixelSpacing": [0.4, 0.2], **IMAGER}, (0.4, 0.2, SpacingOrigin.STATED)),
        ({"PixelSpacing": [0.2, 0.1]}, (0.2, 0.1, SpacingOrigin.STATED)),
        (
            {"PixelSpacing": [0.2, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL", **IMAGER},
            (0.2, 0.1, SpacingOrigin.CALIBRATED),
        ),
        (
            {"PixelSpacing": [0.18, 0.09], "PixelSpacingCalibrationType": "GEOMETRY"},
            (0.18, 0.09, SpacingOrigin.CORRECTED),
        ),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1, SpacingOrigin.FILM)),
        (
            {"PixelSpacing": [0.1, 0.1], "NominalScannedPixelSpacing": [0.1, 0.1]},
            (0.1, 0.1, SpacingOrigin.FILM),
        ),
        ({**IMAGER, FACTOR: "1.25"}, (0.16, 0.08, SpacingOrigin.CORRECTED)),
        ({"PixelSpacing": [0.2, 0.1], **IMAGER, FACTOR: "1.25"}, (0.16, 0.08, SpacingOrigin.CORRECTED)),
        ({**IMAGER, FACTOR: "1"}, (0.2, 0.1, SpacingOrigin.DETECTOR)),
        ({**IMAGER, FACTOR: "0.5"}, (0.2, 0.1, SpacingOrigin.DETECTOR)),
        ({**IMAGER, FACTOR: "40"}, (0.2, 0.1, SpacingOrigin.DETECTOR)),
        ({"PixelSpacing": [0, 0.1], **IMAGER}, (0.2, 0.1, SpacingOrigin.DETECTOR)),
        ({"ImagerPixelSpacing": [-0.2, 0.1]}, None),
        ({"PixelSpacing": [0.2, 0.1, 0.3]}, None),
    ],
)
def test_where_it_holds(
    elements: dict[str, Any], expected: tuple[float, float, SpacingOrigin] | None
) -> None:
    found = of(**elements)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found[:2] == pytest.approx(expected[:2]) and found[2] is expected[2]


def test_a_file_that_was_read_says_it() -> None:
    facts = read_bytes(dicom(plate(bits=12), ImagerPixelSpacing=[0.15, 0.15])).facts
    assert (facts.pixel_spacing_mm, facts.spacing_origin) == ((0.15, 0.15), "detector")
    assert read_bytes(dicom(plate(bits=12))).facts.spacing_origin is None
