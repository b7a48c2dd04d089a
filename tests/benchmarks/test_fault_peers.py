from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.fault_peers import ULNA, read_suite, rows_of, tables, without_folders
from benchmarks.peers.cell import (
    CAUGHT,
    CRASHED,
    OUTSIDE,
    REPAIRED,
    SILENT,
    WARNED,
    Answer,
    Cell,
    judge,
    news,
)
from benchmarks.peers.child import ask, spoken
from benchmarks.peers.olive_tools import workflow
from benchmarks.peers.placement import NNCF, NNCF_CONTROL, OLIVE, ORT, PEERS, place_of
from benchmarks.peers.question import Question
from benchmarks.results import Result, load, save
from compress.faults.catalogue import FAULTS
from compress.faults.catch import Catch
from compress.faults.outcome import CAUGHT as ULNA_CAUGHT
from compress.faults.outcome import Outcome
from runtime.errors import InputError, StepError

CLEAN = Answer(
    handed_over=True, quantizers=17, auroc=0.95, spoken=("INFO: drop 0.001", "WARNING: 96 of 300 samples")
)
SIDE = 16


def test_a_tool_that_raises_has_caught_it() -> None:
    cell = judge(Answer(error="ValueError: Input contains NaN."), CLEAN, "here")
    assert (cell.verdict, cell.words, cell.where) == (CAUGHT, ("ValueError: Input contains NaN.",), "here")


def test_an_error_of_a_program_is_no_catch() -> None:
    assert judge(Answer(error="TypeError: must be real number, not dict"), CLEAN, "").verdict == CRASHED


def test_a_tool_that_hands_over_nothing_has_caught_it_in_its_own_words() -> None:
    cell = judge(Answer(spoken=("INFO: drop 0.5", "No candidates")), CLEAN, "")
    assert (cell.verdict, cell.words) == (CAUGHT, ("No candidates",))


def test_the_same_words_with_other_numbers_are_silence() -> None:
    said = ("INFO: drop -0.231", "WARNING: 12 of 300 samples")
    assert judge(Answer(handed_over=True, quantizers=17, spoken=said), CLEAN, "").verdict == SILENT


def test_words_that_are_not_said_without_the_fault_are_a_warning() -> None:
    cell = judge(Answer(handed_over=True, quantizers=17, spoken=("the range is empty",)), CLEAN, "")
    assert (cell.verdict, cell.words) == (WARNED, ("the range is empty",))


@pytest.mark.parametrize(("auroc", "verdict"), [(0.945, REPAIRED), (0.8, WARNED), (None, WARNED)])
def test_layers_put_back_to_float_repair_only_where_the_metric_holds(
    auroc: float | None, verdict: str
) -> None:
    answer = Answer(handed_over=True, quantizers=9, auroc=auroc, spoken=("Reverted 3 operations",))
    assert judge(answer, CLEAN, "").verdict == verdict


def test_bars_and_repetitions_are_no_news() -> None:
    said = ("Collecting ━━━━ 40%", "at 1: odd", "at 2: odd", " ")
    assert news(said, ()) == ["at 1: odd"]


def test_only_what_stands_between_the_marks_is_the_tools() -> None:
    text = "import\n=== the tool starts ===\none\rtwo\n\n=== the tool ends ===\nmeasured\n"
    assert spoken(text) == ("one", "two")
    assert spoken("no mark") == ()


@pytest.mark.parametrize("peer", PEERS)
def test_every_fault_has_its_place_or_a_reason_in_every_tool(peer: str) -> None:
    places = {fault.name: place_of(fault.name, peer) for fault in FAULTS}
    assert all(place.where and "nobody has said" not in place.where for place in places.values())
    assert sum(bool(place.kind) for place in places.values()) >= 12


def test_the_table_joins_ulna_with_every_tool(tmp_path: Path) -> None:
    catch = Catch("onnxruntime/fp32", "parity", "logits differ")
    outcome = Outcome("label-order", "labels in the other order", "", ULNA_CAUGHT, (catch,))
    cells = {peer: Cell(OUTSIDE, "no cache") for peer in PEERS} | {ORT: Cell(WARNED, "graph", ("a [b]",))}
    rows = list(rows_of(outcome, cells))
    assert [row["tool"] for row in rows] == [ULNA, *PEERS]
    assert (rows[0]["verdict"], rows[0]["by"], rows[0]["words"]) == ("caught", "parity", "logits differ")
    joined, words = tables(rows)
    assert joined.row_count == 1
    assert words.row_count == len(rows)
    result = Result("fault peers", tuple(rows))
    save(result, tmp_path / "peers.json")
    assert load(tmp_path / "peers.json") == result


@pytest.mark.parametrize("text", ["", "{}", '{"faults": [{"name": "x"}]}'])
def test_a_folder_that_is_no_suite_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "faults.json").write_text(text)
    with pytest.raises(InputError, match="not a suite's result"):
        read_suite(tmp_path)


def test_olives_goals_refer_to_the_sound_model_when_a_step_makes_the_mistake(tmp_path: Path) -> None:
    table = workflow(_question(OLIVE, tmp_path, "graph", model="spoiled.onnx", reference="sound.onnx"))
    assert table["input_model"]["model_path"] == "sound.onnx"
    assert list(table["passes"]) == ["exchange", "quantization"]
    assert table["passes"]["exchange"]["graph"] == "spoiled.onnx"


@pytest.mark.parametrize("peer", [NNCF, NNCF_CONTROL, ORT])
def test_a_tool_hands_over_a_model_that_is_then_measured(tmp_path: Path, peer: str) -> None:
    answer = ask(_case(tmp_path, peer), sys.executable)
    assert answer.error == ""
    assert answer.handed_over
    assert answer.auroc is not None and answer.auroc > 0.9
    assert answer.spoken or peer == ORT


def test_words_name_files_and_not_where_they_lay() -> None:
    said = "[x.py:2] /srv/a/runs/labels.csv: 12 of 300 at 1/2; see /tmp/b-1/log.txt and AUROC/ECE"
    assert without_folders(said) == "[x.py:2] labels.csv: 12 of 300 at 1/2; see log.txt and AUROC/ECE"


def test_a_question_is_asked_once_and_again_when_its_files_change(tmp_path: Path) -> None:
    question = _case(tmp_path, ORT)
    first = ask(question, sys.executable)
    kept = Path(question.folder) / "answer.json"
    kept.write_text(kept.read_text().replace('"seconds": ', '"seconds": 1000'))
    assert ask(question, sys.executable).seconds >= 1000
    model = onnx.load(question.model)
    model.producer_name = "another"
    onnx.save(model, question.model)
    again = ask(question, sys.executable)
    assert again.seconds < 1000
    assert again.auroc == first.auroc


def test_a_model_that_cannot_be_run_was_handed_over_in_silence() -> None:
    answer = Answer(handed_over=True, unusable="object is not initialized", quantizers=17)
    cell = judge(answer, CLEAN, "")
    assert cell.verdict == SILENT
    assert "cannot be run: object is not initialized" in cell.words[0]


def test_a_tool_that_cannot_read_its_graph_is_said_to_have_caught_it(tmp_path: Path) -> None:
    question = _case(tmp_path, ORT)
    Path(question.model).write_bytes(b"no graph")
    answer = ask(question, sys.executable)
    assert answer.error
    assert judge(answer, CLEAN, "").verdict == CAUGHT


def test_a_tool_that_hangs_is_ended_and_its_hanging_is_the_answer(tmp_path: Path) -> None:
    question = _case(tmp_path, ORT)
    waiting = tmp_path / "sitecustomize.py"
    waiting.write_text(
        "import time, onnxruntime.quantization as q\nq.quantize_static = lambda *a, **k: time.sleep(600)\n"
    )
    answer = ask(
        question, sys.executable, {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}, timeout_s=12
    )
    assert "did not end" in answer.error


def test_a_child_that_never_reaches_its_tool_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="could not be asked"):
        ask(_question(ORT, tmp_path, data="nowhere.npz"), sys.executable)


def test_olive_hands_over_a_model_that_meets_its_goals(tmp_path: Path) -> None:
    python = os.environ.get("ULNA_OLIVE_PYTHON", "")
    if not python:
        pytest.skip("ULNA_OLIVE_PYTHON names no interpreter with olive-ai")
    answer = ask(_case(tmp_path, OLIVE), python)
    assert answer.error == ""
    assert answer.handed_over


def _question(peer: str, folder: Path, kind: str = "", **changes: str) -> Question:
    table = {"model": "", "reference": "", "former": "", "data": ""} | changes
    return Question(peer=peer, fault="x", kind=kind, threshold=0.5, folder=str(folder / "tool"), **table)


def _case(folder: Path, peer: str) -> Question:
    """Images whose brightness tells the label, and a convolution that sees it."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = rng.normal(0, 0.2, (40, 1, SIDE, SIDE)) + (2 * labels - 1)[:, None, None, None]
    images = images.astype(np.float32)
    np.savez(folder / "data.npz", calibration=images, validation=images, labels=labels)
    path = str(folder / "sound.onnx")
    onnx.save(_graph(one_number=peer == OLIVE), path)
    return _question(peer, folder, model=path, reference=path, data=str(folder / "data.npz"))


def _graph(one_number: bool) -> onnx.ModelProto:
    weights = np.full((4, 1, 3, 3), 1 / 9, np.float32)
    name, shape = ("score", ["batch"]) if one_number else ("logit", ["batch", 1])
    target_shape = np.array([-1] if one_number else [-1, 1])
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(target_shape, "shape")]
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], name="conv"),
        helper.make_node("ReduceMean", ["c"], ["m"], axes=[1, 2, 3], keepdims=0, name="mean"),
        helper.make_node("Reshape", ["m", "shape"], [name], name="shape"),
    ]
    source = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])
    target = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "g", [source], [target], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
