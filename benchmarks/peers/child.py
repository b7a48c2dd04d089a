"""The child: a question on standard input, one tool asked, the answer as a file. Both sides of it.

What the tool prints stands between two marks in the child's output. A child that ends without an answer, or
runs too long, while the tool is at work is the tool's own end; before that it is ours, and raises.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers import nncf_tools, olive_tools, ort_tools
from benchmarks.peers.cell import Answer
from benchmarks.peers.placement import NNCF, NNCF_CONTROL, OLIVE, ORT
from benchmarks.peers.question import HandedOver, Images, Question, images_of, question_from
from benchmarks.peers.scoring import figures
from runtime.errors import StepError

_START, _END = "=== the tool starts ===", "=== the tool ends ==="
_TIMEOUT_S = 900.0
_LOG, _ANSWER, _ASKED = "log.txt", "answer.json", "asked.json"
_ROOT = Path(__file__).parents[2]
_NICE = 5
_WORDS = 200

TOOLS: dict[str, Callable[[Question], HandedOver]] = {
    NNCF: nncf_tools.quantize,
    NNCF_CONTROL: nncf_tools.quantize_with_control,
    ORT: ort_tools.quantize,
    OLIVE: olive_tools.quantize,
}


def ask(
    question: Question,
    python: str,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Answer:
    """The tool's answer. python: the interpreter that has it. Raises StepError where it cannot be asked."""
    folder = Path(question.folder)
    folder.mkdir(parents=True, exist_ok=True)
    asked = _asked(question, python, environment or {})
    known = _known(folder, asked)
    if known is not None:
        return known
    (folder / _ANSWER).unlink(missing_ok=True)
    (folder / _ASKED).write_text(asked, encoding="utf-8")
    started, ended = time.monotonic(), ""
    with (folder / _LOG).open("w", encoding="utf-8") as log:
        try:
            code = subprocess.run(
                [python, "-P", "-m", "benchmarks.peers.child"],
                input=json.dumps(asdict(question)),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout_s,
                check=False,
                env=_environment(environment or {}),
            ).returncode
            ended = f"the tool's process ended with code {code}"
        except subprocess.TimeoutExpired:
            ended = f"the tool did not end within {timeout_s:g} s"
    text = (folder / _LOG).read_text(encoding="utf-8", errors="replace")
    return _answer(folder, text, ended, round(time.monotonic() - started, 1))


def _asked(question: Question, python: str, environment: Mapping[str, str]) -> str:
    """The question with what its files hold."""
    files = [Path(value) for value in asdict(question).values() if isinstance(value, str) and value]
    held = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
    return json.dumps([asdict(question), held, python, dict(environment)], sort_keys=True)


def _known(folder: Path, asked: str) -> Answer | None:
    """What an earlier run was answered to the very question; one that gave no answer is asked again."""
    try:
        same = (folder / _ASKED).read_text(encoding="utf-8") == asked
        text = (folder / _LOG).read_text(encoding="utf-8", errors="replace")
        return _answer(folder, text, "", 0.0) if same and (folder / _ANSWER).is_file() else None
    except OSError:
        return None


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """No GPU, and nothing told to the tools' makers."""
    own = {"PYTHONPATH": str(_ROOT), "CUDA_VISIBLE_DEVICES": "", "OLIVE_DISABLE_TELEMETRY": "1"}
    return {**os.environ, **own, "PYTHONUNBUFFERED": "1", **more}


def _answer(folder: Path, text: str, ended: str, seconds: float) -> Answer:
    lines = spoken(text)
    path = folder / _ANSWER
    if path.is_file():
        table = {"seconds": seconds, **json.loads(path.read_bytes())}
        path.write_text(json.dumps(table), encoding="utf-8")
        return Answer(**table, spoken=lines)
    if _START not in text or _END in text:
        last = (text.strip().splitlines() or ["no message"])[-1]
        raise StepError(f"{folder.name}: the tool could not be asked: {last}", f"see {folder}/{_LOG}")
    return Answer(error=ended, spoken=lines, seconds=seconds)


def spoken(text: str) -> tuple[str, ...]:
    """The lines between the marks; a bar that is drawn over and over counts as many."""
    inside = text.partition(_START)[2].partition(_END)[0]
    return tuple(line for line in inside.replace("\r", "\n").splitlines() if line.strip())


def main() -> None:
    """Ask the tool, then measure what it has handed over."""
    os.nice(max(0, _NICE - os.nice(0)))
    question = question_from(json.loads(sys.stdin.read()))
    images = images_of(question)
    logging.captureWarnings(True)
    _say(_START)
    error, given = "", HandedOver(None)
    try:
        given = TOOLS[question.peer](question)
    except Exception as raised:  # whatever a tool raises is its answer
        error = f"{type(raised).__name__}: {' '.join(str(raised).split())}"
    _say(_END)
    answer: dict[str, object] = {"error": error, "handed_over": given.path is not None}
    if given.path is not None:
        answer |= {"noticed": given.noticed, "quantizers": given.quantizers}
        answer |= _measured(given.path, images, question.threshold)
    (Path(question.folder) / _ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def _measured(path: Path, images: Images, threshold: float) -> dict[str, object]:
    """A model that its own engine does not run is handed over all the same."""
    try:
        auroc, sensitivity = figures(path, images.validation, images.labels, threshold)
    except Exception as raised:  # engines raise classes of their own
        return {"unusable": " ".join(str(raised).split())[-_WORDS:]}
    return {"auroc": auroc, "sensitivity": sensitivity}


def _say(mark: str) -> None:
    sys.stderr.flush()
    print(mark, flush=True)


if __name__ == "__main__":
    main()
