"""One picture as a DICOM file that is built anew: pydicom writes here and parses nothing.

Every element stands in this module. PS3.15 annex E asks what to do with each element of a source; with a
source from which nothing is taken, what is left of it are pixels, age, sex, body part, view, side and
spacing.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from device_app.export.told import Told
from runtime.radiograph import PROJECTIONS, Radiograph, SpacingOrigin

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileMetaDataset

CR_STORAGE, SC_STORAGE = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.7"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_WRITER_UID = "2.25.238640155041117093482196208451764219047"
METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113101", "Clean Pixel Data Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
"""PS3.16 CID 7050. Of the options only what is done: writing is blanked, sex and age are kept."""
_UNKNOWN = (
    "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber", "Manufacturer",
    "PatientOrientation",
)  # fmt: skip
"""Which the class of object wants to be there, empty."""
_PARTS = {"upper arm": "HUMERUS", "lower leg": "LEG"}
_SIDES = {"left": "L", "right": "R"}
_SEXES = {"female": "F", "male": "M", "other": "O"}
_DS_CHARS = 16
_MM_IN_PATIENT = {SpacingOrigin.CALIBRATED: "FIDUCIAL", SpacingOrigin.CORRECTED: "GEOMETRY"}


@dataclass(frozen=True)
class Names:
    """Those that the picture has in this export: patient, and UIDs of study, series and image."""

    patient: str
    study: str
    series: str
    image: str


@dataclass(frozen=True)
class Origin:
    """Of the pixels. photographed: of a film. lossy_ratio: how often smaller its JPEG was; None for none."""

    photographed: bool = False
    lossy_ratio: float | None = None


def dicom_file(radiograph: Radiograph, told: Told, names: Names, origin: Origin) -> bytes:
    """The whole file. Equal input gives equal bytes, so that a picture is known again in a later export."""
    from pydicom import dcmwrite
    from pydicom.dataset import Dataset

    is_own = radiograph.facts.modality in PROJECTIONS and radiograph.facts.declared
    data = Dataset()
    data.SOPClassUID = CR_STORAGE if is_own and not origin.photographed else SC_STORAGE
    data.SOPInstanceUID = names.image
    _patient(data, told, names)
    _study_and_series(data, told, names)
    if data.SOPClassUID == SC_STORAGE:
        data.Modality, data.ConversionType = "OT", "DF" if origin.photographed else "WSD"
    else:
        data.Modality = "CR"
    _image(data, radiograph, origin)
    _spacing(data, radiograph)
    data.file_meta = _meta(data)
    file = BytesIO()
    dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


def _patient(data: Dataset, told: Told, names: Names) -> None:
    data.PatientName = data.PatientID = names.patient
    data.PatientBirthDate = ""
    data.PatientSex = _SEXES.get(told.sex, "")
    if told.age_years:
        data.PatientAge = f"{told.age_years:03d}Y"
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "Built anew from decoded pixels; PS3.15 annex E"
    data.DeidentificationMethodCodeSequence = [_code(*method) for method in METHODS]
    data.LongitudinalTemporalInformationModified = "REMOVED"
    data.BurnedInAnnotation = "NO"


def _code(value: str, meaning: str) -> Dataset:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _study_and_series(data: Dataset, told: Told, names: Names) -> None:
    data.StudyInstanceUID, data.SeriesInstanceUID = names.study, names.series
    for keyword in _UNKNOWN:
        setattr(data, keyword, "")
    data.SeriesNumber = data.InstanceNumber = None
    data.Laterality = _SIDES.get(told.laterality, "")
    data.BodyPartExamined = _PARTS.get(told.body_part, told.body_part.upper())
    data.ViewPosition = told.view.upper()


def _image(data: Dataset, radiograph: Radiograph, origin: Origin) -> None:
    wide = radiograph.bit_depth > 8
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = radiograph.height_px, radiograph.width_px
    data.BitsAllocated, data.BitsStored = 16 if wide else 8, radiograph.bit_depth
    data.HighBit, data.PixelRepresentation = radiograph.bit_depth - 1, 0
    values = radiograph.pixels.astype("<u2" if wide else np.uint8).tobytes()
    data.PixelData = values + b"\0" * (len(values) % 2)
    data["PixelData"].VR = "OW" if wide else "OB"
    if radiograph.facts.window is not None and radiograph.facts.window[1] >= 1:
        data.WindowCenter, data.WindowWidth = map(_decimal, radiograph.facts.window)
    if origin.lossy_ratio is not None:
        data.LossyImageCompression, data.LossyImageCompressionMethod = "01", "ISO_10918_1"
        data.LossyImageCompressionRatio = _decimal(origin.lossy_ratio)


def _spacing(data: Dataset, radiograph: Radiograph) -> None:
    """Under the name that says where it holds."""
    spacing = radiograph.facts.pixel_spacing_mm
    if spacing is None:
        return
    values, kind = [_decimal(value) for value in spacing], radiograph.facts.spacing_origin
    if kind in _MM_IN_PATIENT:
        data.PixelSpacing = values
        data.PixelSpacingCalibrationType = _MM_IN_PATIENT[SpacingOrigin(kind)]
        data.PixelSpacingCalibrationDescription = "as the source states"
    elif kind == SpacingOrigin.FILM:
        data.NominalScannedPixelSpacing = values
    elif kind == SpacingOrigin.STATED:
        data.PixelSpacing = values
    else:
        data.ImagerPixelSpacing = values


def _decimal(value: float) -> str:
    """At most 16 characters, as DS has them."""
    return next(text for digits in range(12, 0, -1) if len(text := f"{value:.{digits}g}") <= _DS_CHARS)


def _meta(data: Dataset) -> FileMetaDataset:
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    meta.TransferSyntaxUID = _EXPLICIT_LITTLE
    meta.ImplementationClassUID, meta.ImplementationVersionName = _WRITER_UID, "ULNA"
    return meta
