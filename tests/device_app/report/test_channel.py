"""The pipe between the kiosk and the child that makes PDFs."""

from __future__ import annotations

import pytest

from device_app.report.channel import Job, Made, pack, unpack

JOB = Job(("<p>a", "<p>ä\n"), {"/a.css": b"p{}", "/b.png": bytes(range(256))}, "é", 1 << 20, 7)


def test_a_job_comes_out_as_it_went_in() -> None:
    assert unpack(pack(JOB)) == JOB


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[7:]])
def test_a_job_that_is_not_whole_is_none(spoil) -> None:
    with pytest.raises(ValueError):
        unpack(spoil(pack(JOB)))


def test_a_pdf_comes_out_with_its_place_and_half_a_one_is_none() -> None:
    made = Made(b"%PDF-1.7\n...\n%%EOF\n", 3)
    assert Made.of_bytes(made.to_bytes()) == made
    for spoilt in (b"", made.pdf, made.to_bytes()[:-7], b"x\n" + made.pdf):
        with pytest.raises(ValueError):
            Made.of_bytes(spoilt)
