"""Numbers the reasons for which cells are empty: the same words, said of several cells, are one reason."""

from __future__ import annotations

from compress.matrix.record import MatrixRecord
from compress.targets import TARGETS


class Reasons:
    """All of one record, in the order of its rows and cells."""

    def __init__(self, record: MatrixRecord) -> None:
        self._places: dict[str, list[str]] = {}
        for row in record.rows:
            if row.reason:
                self._places.setdefault(row.reason, []).append(row.name)
                continue
            for cell in row.cells:
                if cell.reason:
                    place = f"{row.name} on {column_title(cell.engine, cell.precision)}"
                    self._places.setdefault(cell.reason, []).append(place)

    def number(self, reason: str) -> int:
        """From 1."""
        return list(self._places).index(reason) + 1

    def lines(self) -> list[str]:
        """ "1. vit on OpenVINO INT8: …", the line breaks of the engines taken out."""
        return [
            f"{number}. {', '.join(places)}: {' '.join(reason.split())}"
            for number, (reason, places) in enumerate(self._places.items(), 1)
        ]


def column_title(engine: str, precision: str) -> str:
    """ "OpenVINO INT8"."""
    return f"{TARGETS[engine].title} {precision.upper()}"
