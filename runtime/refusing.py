"""Errors in the words of a refusal."""

from __future__ import annotations

from runtime.errors import InputError, ReaderUnavailableError, UnreadableImageError
from runtime.findings import Refusal, RefusalCode
from runtime.photograph import PhotographError

ENGINE_ADVICE = (
    "Try again. If it happens again, have a clinician read the radiograph and call the technician."
)


def refusal_of(error: Exception) -> Refusal:
    """Of a file that reading raised `error` over."""
    if isinstance(error, PhotographError):
        return error.refusal
    if not isinstance(error, InputError):
        return Refusal(RefusalCode.DAMAGED, "The file could not be read.", "Export or copy it again.")
    message = str(error)
    return Refusal(
        _code_of(error),
        message[:1].upper() + message[1:] + ("" if message.endswith(".") else "."),
        error.hint or "Have a clinician read the radiograph.",
    )


def _code_of(error: InputError) -> RefusalCode:
    if isinstance(error, ReaderUnavailableError):
        return RefusalCode.ENGINE  # this machine's fault, not the file's
    return RefusalCode.DAMAGED if isinstance(error, UnreadableImageError) else RefusalCode.UNSUPPORTED
