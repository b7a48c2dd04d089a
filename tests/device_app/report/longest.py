"""An examination that is longer on paper than any real one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

from device_app.facts import MAX_FACT_CHARS
from device_app.readings import MAX_NOTE_CHARS, Draft, Judgement, Kind
from device_app.store import Store
from device_app.store.records import MAX_LABEL_CHARS, Upload
from tests.device_app import sample


def longest_examination(store: Store, work_off: Callable[[], int]) -> str:
    """Four views, one of them unreadable, the widest letters and many remarks; its public id."""
    facts = json.dumps({"body_part": "w" * MAX_FACT_CHARS, "view": "W" * MAX_FACT_CHARS})
    ident = ""
    for data in (
        sample.picture(sample.FRACTURE, 91),
        sample.picture(sample.DOUBT, 92),
        b"hello",
        sample.picture(sample.NONE, 93),
    ):
        upload = Upload("a.png", "W" * MAX_LABEL_CHARS, facts_json=facts, examination=ident)
        ident = store.records.receive(io.BytesIO(data), upload).public_id
    work_off()
    for judgement, kind, note in (
        *((Judgement.DOUBT, Kind.SECOND, f"{number:02}".ljust(MAX_NOTE_CHARS, "w")) for number in range(12)),
        (Judgement.FRACTURE, Kind.OUTCOME, "W" * MAX_NOTE_CHARS),
    ):
        store.readings.add(ident, Draft(kind, judgement, note=note), "kiosk", lambda _found: "doubt")
    return ident
