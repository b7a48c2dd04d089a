"""The only addresses that a report's PDF is made of: those of the bytes that were handed over."""

from __future__ import annotations

import io
from collections.abc import Mapping

from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

BASE = "https://report.invalid"
"""Before every address of the page; RFC 6761 keeps this name from ever being one."""
_KINDS = {"png": "image/png", "css": "text/css"}
_MOST_PX = 1500
"""Long side of a picture on paper: 300 dots an inch at 127 mm, the largest that is drawn."""


class HandedOver(URLFetcher):  # type: ignore[misc]
    """Never opens anything. An address that was not handed over ends the PDF: no page with a hole in it."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(allowed_protocols=(), allow_redirects=False, fail_on_errors=True)
        self._files = files

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> URLFetcherResponse:
        """The bytes of an address. Raises FatalURLFetchingError for every other."""
        path = url.removeprefix(BASE)
        data = self._files.get(path) if path != url else None
        if data is None:
            raise FatalURLFetchingError("an address was asked for that was not handed over")
        kind = path.partition("?")[0].rpartition(".")[2]
        whole = reduced(data) if kind == "png" else data
        return URLFetcherResponse(url, whole, {"Content-Type": _KINDS.get(kind, "text/plain")})


def reduced(data: bytes) -> bytes:
    """A picture no larger than paper shows: the PDF would otherwise hold ten times what can be seen."""
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        if max(picture.size) <= _MOST_PX:
            return data
        picture.thumbnail((_MOST_PX, _MOST_PX), Image.Resampling.LANCZOS, reducing_gap=None)
        made = io.BytesIO()
        picture.save(made, "PNG", compress_level=3)
        return made.getvalue()
