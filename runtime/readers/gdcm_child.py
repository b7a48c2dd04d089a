"""GDCM in a process of its own, with limits: it aborts on some damaged files and takes its process along.

The parent calls `decode`; the module run as a script is the child. The child reads one line of JSON (a
Request) and the compressed frame from standard input, and writes the type of the values, a line feed and the
values to standard output. A child that dies or says anything else is a picture that cannot be decoded.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import UnreadableImageError
from runtime.readers.complaints import damage

_TIMEOUT_S = 60
_MEMORY_BYTES = 4 << 30
_TYPES = {b"|u1", b"|i1", b"<u2", b"<i2"}
_ADVICE = "The file was cut off or damaged on its way. Send it again from the X-ray system."


@dataclass(frozen=True)
class Request:
    """What the data set says about the frame; `signed` as PixelRepresentation, 0 or 1."""

    syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: int


def decode(request: Request, frame: bytes) -> NDArray[np.generic]:
    """Stored values (H, W). Raises UnreadableImageError where the child fails, crashes or takes too long."""
    # -P, and the parent's own module path instead: the current folder may be a stranger's USB stick.
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "runtime.readers.gdcm_child"],
            input=json.dumps(asdict(request)).encode() + b"\n" + frame,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableImageError(f"the picture was not decoded within {_TIMEOUT_S} s", _ADVICE) from error
    kind, _, values = done.stdout.partition(b"\n")
    size = request.rows * request.columns
    fits = kind in _TYPES and len(values) == size * np.dtype(kind.decode()).itemsize
    complaint = damage(done.stderr.decode("utf-8", "replace").splitlines())
    if done.returncode != 0 or not fits or complaint is not None:
        raise UnreadableImageError("the compressed picture is damaged and cannot be decoded", _ADVICE)
    return np.frombuffer(values, kind.decode()).reshape(request.rows, request.columns)


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_TIMEOUT_S, _TIMEOUT_S))
    answer = os.dup(1)
    os.dup2(2, 1)  # libraries print what they like; that is not the answer
    header, _, frame = sys.stdin.buffer.read().partition(b"\n")
    values = _decode_here(Request(**json.loads(header)), frame)
    with os.fdopen(answer, "wb") as stream:
        stream.write(values.dtype.str.encode() + b"\n" + values.tobytes())


def _decode_here(request: Request, frame: bytes) -> NDArray[np.generic]:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.pixels import pixel_array

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = request.syntax
    dataset.Rows, dataset.Columns = request.rows, request.columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = request.bits_allocated, request.bits_stored
    dataset.HighBit, dataset.PixelRepresentation = request.bits_stored - 1, request.signed
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    return np.ascontiguousarray(pixel_array(dataset, raw=True, decoding_plugin="gdcm"))


if __name__ == "__main__":
    _main()
