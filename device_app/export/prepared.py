"""A stored picture -> the pixels that would leave, or why it must stay."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum

from device_app import facts as patient_facts
from device_app.export.told import Told, told
from device_app.store import Store
from device_app.store.consent import Consented
from runtime.burned_in import Corners, without_writing
from runtime.errors import InputError, StoreError
from runtime.radiograph import Radiograph
from runtime.readers import read_bytes
from runtime.readers.dicom_facts import BURNED_IN


class Stays(StrEnum):
    """Why a picture does not leave; screens translate these."""

    WRITING = "writing"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    PHOTOGRAPH = "photograph"
    DECLARED = "declared"


class StaysError(InputError):
    """A picture that must not leave, and why."""

    def __init__(self, why: Stays) -> None:
        super().__init__(f"a picture stays: {why}", "look at it on the page of the export")
        self.why = why


@dataclass(frozen=True, eq=False)
class Prepared:
    """radiograph: its pixels are those that leave. blanked: where writing was. over: writing that lies over
    the limb; with any of it the picture stays.
    """

    radiograph: Radiograph
    told: Told
    blanked: tuple[Corners, ...]
    over: tuple[Corners, ...]

    @property
    def pixels_sha256(self) -> str:
        """By which a later look finds out whether the same pixels are still what would leave."""
        pixels = self.radiograph.pixels
        head = f"{pixels.shape} {self.radiograph.bit_depth}\n".encode()
        return hashlib.sha256(head + pixels.tobytes()).hexdigest()


def prepare(found: Consented, store: Store) -> Prepared:
    """Decode in the confined reader, find writing, blank what may be blanked. Raises StaysError.

    A photograph of a film stays: around the film it may show anything, and its places are those of the
    straightened film. So does a picture whose file declares writing: blanking takes no more than is found.
    """
    if found.photographed:
        raise StaysError(Stays.PHOTOGRAPH)
    try:
        radiograph = read_bytes(store.files.read(found.sha256))
    except (InputError, StoreError) as error:
        raise StaysError(Stays.UNREADABLE) from error
    if BURNED_IN in radiograph.warnings:
        raise StaysError(Stays.DECLARED)
    looked = without_writing(radiograph.pixels, [*_places(found), *_drawn(found, store)])
    said = told(patient_facts.of_text(found.facts_json), radiograph.facts)
    return Prepared(replace(radiograph, pixels=looked.pixels), said, looked.blanked, looked.over)


def _places(found: Consented) -> tuple[Corners, ...]:
    """The box's own marks: what lies there is never blanked."""
    try:
        return tuple(
            (float(box["x0_px"]), float(box["y0_px"]), float(box["x1_px"]), float(box["y1_px"]))
            for box in json.loads(found.findings_json)["boxes"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StaysError(Stays.UNREADABLE) from error


def _drawn(found: Consented, store: Store) -> list[Corners]:
    """The marks of people."""
    places = [place for said in store.readings.of(found.examination) for place in said.places]
    return [(one.x0_px, one.y0_px, one.x1_px, one.y1_px) for one in places if one.image_id == found.image_id]
