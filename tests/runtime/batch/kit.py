"""A small clinic for batches: a signed bundle, radiographs, and the command run as a person runs it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import typer
from click.testing import Result
from onnx import helper, numpy_helper
from typer.testing import CliRunner

from runtime.backends.base import INPUT_NAME, LOGIT_NAME
from runtime.batch.task import Answer, Place
from runtime.cli_detect import detect
from runtime.findings import Findings, Provenance, Refusal, Verdict
from runtime.trust import public_pem
from tests.bundles import radiograph_png
from tests.loops import idle_body
from tests.runtime import kit
from tests.runtime.models import onnx_bytes

ENGINE = "onnxruntime-fp32"
ROOT = Path(__file__).parents[3]
_WAIT_S = 120.0
_HANGING_MEAN = 0.148
"""Of a `hanging_png` as the network sees it; other plates and the golden cases lie well beside it."""
app = typer.Typer()
app.command()(detect)


def make_clinic(folder: Path) -> Path:
    """A folder with `bundle` and `key.pem`; its network never answers for a `hanging_png`."""
    contents = kit.Contents(files={kit.ORT.main: _hanging_model()})
    kit.make(folder / "bundle", contents)
    (folder / "key.pem").write_bytes(public_pem(kit.KEY.public_key()))
    return folder


def fill(folder: Path, number: int, first_seed: int = 0) -> Path:
    """So many different radiographs."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first_seed, first_seed + number):
        (folder / f"{seed:03d}.png").write_bytes(radiograph_png(seed % 2 == 0, seed))
    return folder


def hanging_png() -> bytes:
    """A plate as bright on the whole as no other here."""
    y, x = np.mgrid[0:320, 0:256].astype(np.float32)
    bright = 300 + 3000 * np.exp(-(((x - 128) / 256 / 0.4) ** 8)) + 300 * np.sin(y / 15)
    noisy = bright + np.random.default_rng(0).normal(0, 18, bright.shape)
    return bytes(cv2.imencode(".png", np.clip(noisy, 0, 4095).astype(np.uint16))[1].tobytes())


def arguments(clinic: Path, *words: object) -> list[str]:
    trusted = ["--bundle", clinic / "bundle", "--trust", clinic / "key.pem"]
    return [*map(str, words), *map(str, trusted)]


def run(clinic: Path, *words: object) -> Result:
    """Here, with the engine named and one process unless the words say otherwise."""
    chosen = [] if "--processes" in words or "--scheduler" in words else ["--processes", "1"]
    return CliRunner().invoke(app, arguments(clinic, *words, "--engine", ENGINE, *chosen))


def start(clinic: Path, *words: object) -> subprocess.Popen[str]:
    """In a process of its own, in a session of its own."""
    command = [sys.executable, "-m", "runtime.main", "detect", *arguments(clinic, *words, "--engine", ENGINE)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        start_new_session=True,
    )


def wait_until(true: Callable[[], Any]) -> Any:
    """What it gives as soon as that is something."""
    end_s = time.monotonic() + _WAIT_S
    while time.monotonic() < end_s:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def answers(out: Path) -> list[dict[str, Any]]:
    path = out / "findings.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def record(place: Place, refusal: Refusal | None = None) -> dict[str, Any]:
    """A line of findings.jsonl; without a refusal one of no fracture."""
    source = Provenance("0" * 64, "1" * 64, "brightness", "1.2.3", engine="onnxruntime", precision="fp32")
    found = Findings(Verdict.NONE, source, probability=0.1, operating_points=kit.POINTS)
    if refusal is not None:
        found = Findings(Verdict.UNREADABLE, source, refusal=refusal)
    return Answer(place, found.to_json()).to_json()


def names(out: Path) -> list[str]:
    """Of files and members, sorted: the part below the last slash."""
    return sorted(f"{Path(one['file']).name}:{one['member']}".rstrip(":") for one in answers(out))


def summary(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "summary.json").read_bytes()))


def zip_of(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def tar_of(path: Path, contents: dict[str, bytes], kind: str = "") -> Path:
    """kind: "", "gz", "bz2" or "xz"."""
    with tarfile.open(path, f"w:{kind}") as archive:  # type: ignore[call-overload]
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _hanging_model() -> bytes:
    """tests.runtime.models' network, whose logit passes through a loop that one brightness never leaves."""
    model = onnx.load_from_string(onnx_bytes())
    graph = model.graph
    next(node for node in graph.node if LOGIT_NAME in node.output).output[0] = "plain"
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(1 << 62, np.int64), "trips"),
            numpy_helper.from_array(np.array(_HANGING_MEAN, np.float32), "hanging_mean"),
            numpy_helper.from_array(np.array(0.05, np.float32), "near"),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("ReduceMean", [INPUT_NAME], ["brightness"], keepdims=0),
            helper.make_node("Sub", ["brightness", "hanging_mean"], ["difference"]),
            helper.make_node("Abs", ["difference"], ["distance"]),
            helper.make_node("Less", ["distance", "near"], ["hangs"]),
            helper.make_node("Loop", ["trips", "hangs", "plain"], [LOGIT_NAME], body=idle_body()),
        ]
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
