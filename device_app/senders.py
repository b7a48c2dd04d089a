"""Who may send DICOM pictures, as it is said on the command line."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from device_app.config import DicomOptions
from runtime.errors import InputError


def dicom_options(port: int | None, host: str, title: str, senders: Sequence[str]) -> DicomOptions | None:
    """None where no port was named. Raises InputError for a title or a sender that cannot be one.

    What holds a slash is meant as a network, though an AE title may hold one too.
    """
    if port is None:
        return None
    peers = tuple(filter(_is_network, senders))
    callers = tuple(sender for sender in senders if sender not in peers)
    try:
        return DicomOptions(port, title, host, callers, peers)
    except ValueError as error:
        raise InputError(str(error), "choose another --ae-title or --dicom-from") from error


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "/" in text
    return True
