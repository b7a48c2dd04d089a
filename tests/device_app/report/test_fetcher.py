"""What a report's page may be made of: what was handed over, and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tests.device_app import sample

pytest.importorskip("weasyprint")

from PIL import Image
from weasyprint.urls import FatalURLFetchingError

from device_app.report.fetcher import BASE, HandedOver, reduced

GIVEN = HandedOver({"/a.css": b"p{}"})


def test_what_was_handed_over_is_given() -> None:
    answer = GIVEN.fetch(f"{BASE}/a.css")
    assert answer.read() == b"p{}" and answer.content_type == "text/css"


@pytest.mark.parametrize(
    "address",
    [
        "/a.css",
        "file:///etc/passwd",
        "file:///a.css",
        "http://127.0.0.1/a.css",
        "https://example.org/a.css",
        "https://report.invalid.example.org/a.css",
        f"{BASE}/b.css",
        f"{BASE}/../a.css",
        "data:text/css,p{}",
        "ftp://report.invalid/a.css",
    ],
)
def test_every_other_address_ends_the_page(address: str) -> None:
    with pytest.raises(FatalURLFetchingError):
        GIVEN.fetch(address)


def test_a_large_picture_becomes_as_small_as_paper_shows_and_a_small_one_stays() -> None:
    small = sample.png(np.zeros((30, 20), np.uint8))
    large = sample.png(np.full((2560, 1280), 200, np.uint8))
    assert reduced(small) == small
    with Image.open(io.BytesIO(reduced(large))) as picture:
        assert picture.size == (750, 1500) and picture.getpixel((5, 5)) == 200
