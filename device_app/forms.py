"""Forms whose files have names of before UTF-8: old X-ray systems write them in Latin-1 or GBK."""

from __future__ import annotations

from werkzeug import formparser
from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import MultipartDecoder


class _Decoder(MultipartDecoder):
    """Replaces what is no UTF-8 in the head of a part: Werkzeug drops the form for it, token and all."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode(errors="replace").encode())


def take_any_file_name() -> None:
    """For every form of this process: the parser offers no other place for it. A name is only ever shown."""
    formparser.MultipartDecoder = _Decoder  # type: ignore[attr-defined]
