"""Every error that Ulna raises on purpose.

UlnaError(.hint)
|- InputError      UnreadableImageError (ReaderUnavailableError), UnsupportedImageError
|- BundleError     BundleFormatError, DigestMismatchError, SignatureError
|- BackendError    BackendMissingError, DeviceUnavailableError, InferenceError (InferenceTimeoutError)
|- StoreError      DiskFullError, MigrationError
`- CompressError   RecipeError, StepError, ExportMismatchError, GateError(.verdict)

A message is one line: what, expected, got. What to do next goes into ``hint``. The members of
CompressError live here too, so that one place draws the whole tree.
"""

from __future__ import annotations


class UlnaError(Exception):
    """The root; `str(error)` is one line, `error.hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(UlnaError):
    """Something is wrong with the image that was given."""


class UnreadableImageError(InputError):
    """The bytes are damaged, truncated or no image at all."""


class ReaderUnavailableError(UnreadableImageError):
    """The process that reads images gives no answer: nothing is known of the image."""


class UnsupportedImageError(InputError):
    """A sound file of a kind that Ulna does not read."""


class BundleError(UlnaError):
    """Something is wrong with a bundle."""


class BundleFormatError(BundleError):
    """The manifest is missing, unparsable or says something impossible."""


class DigestMismatchError(BundleError):
    """A file is missing, additional or differs from the manifest."""


class SignatureError(BundleError):
    """The manifest is not signed by a trusted key."""


class BackendError(UlnaError):
    """Something is wrong with an inference engine."""


class BackendMissingError(BackendError):
    """The engine's library is not installed."""


class DeviceUnavailableError(BackendError):
    """The engine is installed, the device it was asked to use is not there."""


class InferenceError(BackendError):
    """The engine failed or answered with something that is no answer (NaN, wrong shape)."""


class InferenceTimeoutError(InferenceError):
    """The engine gave no answer in time; it may still be computing."""


class StoreError(UlnaError):
    """Something is wrong with the kiosk's store."""


class DiskFullError(StoreError):
    """No room: nothing more is accepted until there is."""


class MigrationError(StoreError):
    """The database could not be brought to this version."""


class CompressError(UlnaError):
    """Something is wrong in the toolchain."""


class RecipeError(CompressError):
    """The recipe holds an unknown key or an impossible value."""


class StepError(CompressError):
    """A step of the pipeline could not be carried out."""


class ExportMismatchError(CompressError):
    """The exported graph does not compute what the network computes."""


class GateError(CompressError):
    """A gate did not pass; `verdict` holds every measured value."""

    exit_code = 3

    def __init__(self, message: str, verdict: object, hint: str = "") -> None:
        super().__init__(message, hint)
        self.verdict = verdict
