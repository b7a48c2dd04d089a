"""What stands beside the pictures: a line of JSON for each, and the table that training reads. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from device_app.answers import Answer
from device_app.export.dicom_file import Names
from device_app.export.prepared import Prepared
from device_app.export.pseudonyms import Pseudonyms
from device_app.readings import Judgement, Kind, Place, Said

NOTICE = "AI result, not a diagnosis"
LABEL_COLUMNS = ("sop_instance_uid", "fractured", "boxes", "label_from", "views", "photographed", "file")
_FRACTURED = {Judgement.FRACTURE: 1, Judgement.NONE: 0}


@dataclass(frozen=True, eq=False)
class Leaving:
    """A picture on its way out. name: of its file in the export. box: what the box says of it. readings: what
    people said of the examination, in their order. views: how many pictures that has.
    """

    name: str
    image_id: int
    names: Names
    prepared: Prepared
    box: Answer
    readings: Sequence[Said]
    views: int = 1
    photographed: bool = False


def case_line(leaving: Leaving, pseudonyms: Pseudonyms) -> str:
    """One line of cases.jsonl; what people wrote in words is never in it."""
    box, points = leaving.box, leaving.box.points
    record: dict[str, Any] = {
        "file": leaving.name,
        "patient": leaving.names.patient,
        "study": leaving.names.study,
        "image": leaving.names.image,
        "consent": True,
        **vars(leaving.prepared.told),
        "verdict": str(box.state),
        "probability": box.probability,
        "thresholds": None if points is None else vars(points).copy(),
        "boxes_px": [[one.x0_px, one.y0_px, one.x1_px, one.y1_px, one.score] for one in box.boxes],
        **{key: str(box.provenance.get(key, "")) for key in _PROVENANCE},
        "views": leaving.views,
        "photographed": leaving.photographed,
        "readings": [_reading(said, leaving.image_id, pseudonyms) for said in leaving.readings],
        "blanked_px": [list(corners) for corners in leaving.prepared.blanked],
        "notice": NOTICE,
    }
    return json.dumps(record, sort_keys=True, allow_nan=False) + "\n"


_PROVENANCE = ("bundle_sha256", "bundle_version", "engine", "precision", "thresholds_sha256")


def _reading(said: Said, image_id: int, pseudonyms: Pseudonyms) -> dict[str, Any]:
    return {
        "by": pseudonyms.actor(said.actor),
        "kind": str(said.kind),
        "judgement": str(said.judgement),
        "places_px": [_corners(place) for place in said.places if place.image_id == image_id],
    }


def _corners(place: Place) -> list[float]:
    return [place.x0_px, place.y0_px, place.x1_px, place.y1_px]


def label_of(readings: Sequence[Said]) -> tuple[int, str] | None:
    """(1 fractured or 0, which kind of reading says so); None where no person has said.

    What it was in the end goes first, then the last second reading that is sure. What the box says is no
    label: a model that learns from its own answers learns its own mistakes.
    """
    for kind in (Kind.OUTCOME, Kind.SECOND):
        sure = [said for said in readings if said.kind is kind and said.judgement in _FRACTURED]
        if sure:
            return _FRACTURED[sure[-1].judgement], str(kind)
    return None


def label_row(leaving: Leaving) -> str:
    """A row of labels.csv for compress.datasets.dicom_dir, "" for a picture that nobody has judged.

    boxes: the places of who drew last, as fractions of width and height, of a fracture only.
    """
    label = label_of(leaving.readings)
    if label is None:
        return ""
    radiograph = leaving.prepared.radiograph
    size_px = radiograph.height_px, radiograph.width_px
    boxes = [_fractions(place, size_px) for place in _drawn_last(leaving)] if label[0] else []
    cells = (json.dumps([box for box in boxes if box]), label[1], leaving.views, int(leaving.photographed))
    return _row((leaving.names.image, label[0], *cells, leaving.name))


def _drawn_last(leaving: Leaving) -> list[Place]:
    drawn = [
        [place for place in said.places if place.image_id == leaving.image_id]
        for said in leaving.readings
        if said.judgement is Judgement.FRACTURE
    ]
    return next((places for places in reversed(drawn) if places), [])


def label_head() -> str:
    """The first row of labels.csv."""
    return _row(LABEL_COLUMNS)


def _row(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _fractions(place: Place, size_px: tuple[int, int]) -> list[float] | None:
    """size_px: height and width. None for a place that lies outside the picture."""
    high, wide = size_px
    box = [
        max(0.0, place.x0_px / wide), max(0.0, place.y0_px / high),
        min(1.0, place.x1_px / wide), min(1.0, place.y1_px / high),
    ]  # fmt: skip
    return box if box[0] < box[2] and box[1] < box[3] else None
