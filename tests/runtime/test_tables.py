"""What people read on a terminal of a bundle's use and of where its engines look."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from runtime.bundle import Bundle, IntendedUse
from runtime.doctor import examine_machine
from runtime.golden import EngineResult
from runtime.tables import doctor_tables, verify_json, verify_table
from tests.runtime.kit import make


def shown(*parts: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def meant_for(root: Path, **use: Any) -> Bundle:
    bundle = make(root / "bundle")
    stated = IntendedUse("Tests.", ("hand",), **use)
    return dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, intended_use=stated))


def test_verify_says_for_whom_and_for_which_views_a_bundle_is(tmp_path: Path) -> None:
    bundle = meant_for(tmp_path, ages_years=(0.5, 16.0), views=("frontal", "lateral"))
    table = verify_json(bundle)
    assert (table["ages_years"], table["views"]) == ([0.5, 16.0], ["frontal", "lateral"])
    text = shown(verify_table(bundle))
    assert "0.5 to 16 years" in text and "frontal, lateral" in text


def test_verify_says_what_is_not_stated(tmp_path: Path) -> None:
    bundle = meant_for(tmp_path)
    assert (verify_json(bundle)["ages_years"], verify_json(bundle)["views"]) == (None, [])
    lines = [line.split() for line in shown(verify_table(bundle)).splitlines()]
    assert ["ages", "not", "stated"] in lines and ["views", "not", "stated"] in lines


def test_the_doctor_shows_how_far_maps_are_off_on_eighty_columns() -> None:
    off = EngineResult(
        "tensorrt_rtx-int8",
        "tensorrt_rtx",
        "int8",
        False,
        "evidence map off by 3.1 on golden case golden-02",
        worst_logit_error=0.0123,
        worst_map_error=3.1,
    )
    unknown = dataclasses.replace(off, key="openvino-int8", worst_map_error=None)
    report = dataclasses.replace(examine_machine(), results=(off, unknown))
    rows = [line.split() for line in shown(*doctor_tables(report)).splitlines()]
    found = {row[0]: row[1:5] for row in rows if row and row[0].endswith("-int8")}
    assert found == {
        "tensorrt_rtx-int8": ["no", "-", "0.012", "3.1"],
        "openvino-int8": ["no", "-", "0.012", "-"],
    }
