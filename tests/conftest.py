"""What tests of every package share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

REAL_DATA_VARIABLE = "ULNA_TEST_DATA"

# A suite started in the background inherits that Ctrl-C is ignored; what it starts must not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says more about the machine than about the code.
settings.register_profile("ulna", deadline=None)
if "CI" not in os.environ:
    settings.load_profile("ulna")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Results of self-tests are kept there: none may be found, or left, where people keep their own."""
    os.environ["ULNA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real radiographs, named by ULNA_TEST_DATA; tests that need it skip without it.

    It holds fracatlas/ (labels.csv, images/), dicom/ and negatives/ (each with a manifest.csv whose column
    `expect` says what a reader should do with the file).
    """
    named = os.environ.get(REAL_DATA_VARIABLE, "")
    if not named:
        pytest.skip(f"{REAL_DATA_VARIABLE} does not name a folder of real radiographs")
    folder = Path(named)
    assert folder.is_dir(), f"{REAL_DATA_VARIABLE} names {folder}, which is no folder"
    return folder
