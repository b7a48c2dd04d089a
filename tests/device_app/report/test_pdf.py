"""The child that makes PDFs: one page or nothing, however it ends."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from device_app.report.channel import Job
from device_app.report.pdf import PdfError, PdfLimits, PdfMaker, Trouble
from device_app.report.samples import SAMPLES, sample

pypdf = pytest.importorskip("pypdf")
pytest.importorskip("weasyprint")

PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title><p>Fracture suspected'
LIMITS = PdfLimits()
NO_SUCH_LETTER = "\U0010fffd"


def job(*pages: str, letters: str = "") -> Job:
    return Job(pages, {}, letters)


def trouble(made: Job, limits: PdfLimits = LIMITS) -> Trouble:
    with pytest.raises(PdfError) as caught:
        PdfMaker(limits).make(made)
    return caught.value.trouble


def test_a_page_becomes_a_pdf_of_one_page_with_its_text() -> None:
    pdf = pypdf.PdfReader(io.BytesIO(PdfMaker().make(job(PAGE)).pdf))
    assert len(pdf.pages) == 1 and "Fracture suspected" in pdf.pages[0].extract_text()


def test_the_first_page_that_fits_is_taken() -> None:
    long = PAGE + "<p>much" * 500
    made = PdfMaker().make(job(long, PAGE + " short", PAGE))
    pdf = pypdf.PdfReader(io.BytesIO(made.pdf))
    assert made.place == 1 and len(pdf.pages) == 1 and "short" in pdf.pages[0].extract_text()


def test_a_page_that_never_fits_is_no_pdf_rather_than_two_pages() -> None:
    assert trouble(job(PAGE + "<p>much" * 500)) is Trouble.FAILED


@pytest.mark.parametrize(
    "address",
    ["file:///etc/hostname", "http://127.0.0.1:9/a.png", "/not/handed/over.png", "../../etc/hostname"],
)
def test_an_address_that_was_not_handed_over_is_no_pdf(address: str) -> None:
    assert trouble(job(f'{PAGE}<img src="{address}">')) is Trouble.FAILED
    assert trouble(job(f'{PAGE}<svg viewBox="0 0 9 9"><image href="{address}"/></svg>')) is Trouble.FAILED


@pytest.mark.parametrize(
    "limits", [PdfLimits(memory_bytes=1 << 20), PdfLimits(wall_s=0.05)], ids=["memory", "wall clock"]
)
def test_a_child_over_its_limits_is_no_pdf(limits: PdfLimits) -> None:
    assert trouble(job(PAGE + "<p>much" * 300), limits) is Trouble.FAILED


def test_a_child_that_computes_for_too_long_is_ended() -> None:
    endless = PAGE + "<p>" + "much " * 2_000_000
    assert trouble(job(endless), PdfLimits(cpu_s=2, wall_s=60)) is Trouble.FAILED


@pytest.mark.parametrize("job", [job(PAGE + NO_SUCH_LETTER), job(PAGE, letters=NO_SUCH_LETTER)])
def test_a_letter_that_no_font_has_is_no_pdf(job: Job) -> None:
    assert trouble(job) is Trouble.NO_FONT


@pytest.mark.parametrize("error", ["OSError", "ImportError"])
def test_without_weasyprint_or_its_libraries_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str
) -> None:
    (tmp_path / "weasyprint").mkdir()
    (tmp_path / "weasyprint" / "__init__.py").write_text(f"raise {error}('cannot load library libpango')")
    monkeypatch.syspath_prepend(tmp_path)
    assert trouble(job(PAGE)) is Trouble.NO_PROGRAM


def test_a_child_that_gives_something_else_is_no_pdf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weasyprint").mkdir()
    (tmp_path / "weasyprint" / "__init__.py").write_text("import os; os.write(1, b'no PDF'); os._exit(0)")
    monkeypatch.syspath_prepend(tmp_path)
    assert trouble(job(PAGE)) is Trouble.FAILED


def test_more_at_once_than_there_are_turns_are_told_to_come_again() -> None:
    maker = PdfMaker(PdfLimits(at_once=1, waiting=1, wait_s=0.05))
    inside, leave = threading.Event(), threading.Event()

    def occupy() -> None:
        with maker._turn():
            inside.set()
            leave.wait(60)

    taken = threading.Thread(target=occupy)
    taken.start()
    assert inside.wait(60)
    with pytest.raises(PdfError) as caught:
        maker.make(job(PAGE))
    assert caught.value.trouble is Trouble.BUSY
    leave.set()
    taken.join()
    assert maker.make(job(PAGE)).pdf


def test_every_language_has_one_sample_however_it_is_written() -> None:
    assert sample("pt_BR") == sample("pt-PT") == SAMPLES["pt"] and sample("xx") == ""
    assert all(text.strip() for text in SAMPLES.values())
