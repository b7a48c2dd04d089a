"""The child that makes a PDF: `python -m device_app.report.child`, started by device_app.report.pdf.

It gets HTML, a style sheet and pictures over a pipe. It has no network, no files but the fonts and its own
program, no other programs, and no more memory and time than it is given; what it gives back is a PDF of one
page or nothing.
"""

from __future__ import annotations

import logging
import os
import sys
from html.parser import HTMLParser
from pathlib import Path

from device_app.report.channel import Ending, Job, Made, unpack
from device_app.report.glyphs import unknown_letters
from runtime.confine import Allowance, confine, limit, mapped_bytes

_NICENESS = 10  # the screens come first
_NO_FILE_BYTES = 0
_FONTS = ("/usr/share", "/usr/local/share", "/etc/fonts", "/var/cache/fontconfig", "/usr/lib", "/lib")


def main() -> None:
    """Read a job, write a PDF; see Ending for what else may come of it."""
    os.nice(_NICENESS)
    output = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no PDF
    made = _confined(unpack(sys.stdin.buffer.read()))
    if isinstance(made, Ending):
        os._exit(made)
    with os.fdopen(output, "wb") as stream:
        stream.write(made.to_bytes())
    os._exit(Ending.DONE)


def render(job: Job) -> Made | Ending:
    """The PDF of the first page that fits, or why there is none."""
    from weasyprint import HTML

    from device_app.report.fetcher import BASE, HandedOver

    if unknown_letters(f"{job.sample} {_text_of(job.pages[0])}"):
        return Ending.NO_FONT
    complaints = _listen()
    for place, page in enumerate(job.pages):
        document = HTML(string=page, base_url=f"{BASE}/", url_fetcher=HandedOver(job.files)).render()
        if len(document.pages) == 1:
            made = Made(bytes(document.write_pdf()), place)
            return Ending.INCOMPLETE if complaints.heard else made
    return Ending.TOO_LONG


def _confined(job: Job) -> Made | Ending:
    try:
        # What these load must be here before the files are gone. Without Pango: an OSError.
        from PIL import PngImagePlugin  # noqa: F401

        from device_app.report import fetcher  # noqa: F401
    except (ImportError, OSError):
        return Ending.NO_PROGRAM
    limit(Allowance(job.memory_bytes, job.cpu_s, _NO_FILE_BYTES), mapped_bytes())
    confine([*map(Path, _FONTS), *_own_fonts(), *map(Path, {sys.prefix, sys.base_prefix, *sys.path})])
    return render(job)


def _own_fonts() -> list[Path]:
    """Where fontconfig looks for fonts of the user who runs the kiosk."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111
    return [Path(data) / "fonts", Path(os.path.expanduser("~/.fonts"))]  # noqa: PTH111


class _Complaints(logging.Handler):
    """WeasyPrint leaves out a drawing that it cannot make, and only logs that; here that ends the PDF."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard = False

    def emit(self, record: logging.LogRecord) -> None:
        """Nothing of it is written anywhere: it quotes the page."""
        self.heard = True


def _listen() -> _Complaints:
    logger, complaints = logging.getLogger("weasyprint"), _Complaints()
    logger.handlers, logger.propagate = [complaints], False
    return complaints


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def _text_of(page: str) -> str:
    parser = _Text()
    parser.feed(page)
    parser.close()
    return " ".join(" ".join(parser.found).split())


if __name__ == "__main__":
    main()
