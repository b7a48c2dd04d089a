import importlib.util
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress.breakdown import Breakdown
from compress.evaluate import EvaluateOptions, EvaluationResult, evaluate_bundle
from compress.report.evaluation import render_evaluation, write_evaluation
from compress.report.gallery import Gallery, worst_errors
from runtime.backends.base import BackendOptions
from runtime.bundle import open_bundle
from runtime.errors import StepError
from runtime.trust import TrustStore, generate_key, public_pem
from tests.bundles import make_bundle
from tests.compress.clinic import write_data

_ENGINE = "onnxruntime-fp32"
_NASTY = "<script>alert('x')</script> {{ 7 * 7 }}"
_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluationResult, Gallery]:
    """Two plates carry the wrong label, so one is missed and one is a false alarm."""
    folder, key = tmp_path_factory.mktemp("evaluation"), generate_key()
    (folder / "maker.pem").write_bytes(public_pem(key.public_key()))
    bundle = open_bundle(make_bundle(folder / "bundle", key), TrustStore.from_paths(folder / "maker.pem"))
    (folder / "data").mkdir()
    dataset = write_data(folder / "data", damaged=True, mislabelled=(0, 2))
    options = EvaluateOptions(_ENGINE, breakdown=Breakdown(("hardware",), (("hardware", "1"),)))
    result = evaluate_bundle(bundle, dataset, options)
    return result, worst_errors(result, bundle, dataset, BackendOptions(threads=1))


@pytest.fixture(scope="module")
def html(evaluated: tuple[EvaluationResult, Gallery]) -> str:
    return render_evaluation(*evaluated)


def test_the_worst_errors_are_the_mislabelled_plates(evaluated: tuple[EvaluationResult, Gallery]) -> None:
    gallery = evaluated[1]
    assert [case.case_id for case in gallery.misses] == ["i2"]
    assert [case.case_id for case in gallery.false_alarms] == ["i0"]
    assert (gallery.misses_in_all, gallery.false_alarms_in_all) == (1, 1)
    assert gallery.misses[0].truth and not gallery.false_alarms[0].truth


def test_every_figure_plot_group_and_refusal_is_on_the_page(html: str) -> None:
    for words in (
        "AUROC", "average precision", "Brier score", "expected calibration error", "accuracy", "F1",
        "peak of the evidence in a fracture", "mean IoU with the true boxes", "box on a fracture",
        "false boxes per healthy image", "ROC curve", "Precision and recall",
        "Calibration", "Confusion, high-sensitivity point", "Confusion, high-specificity point",
        "By body part", "By view", "By hardware", "hardware=1", "noisy_or", "cut", "unreadable",
    ):  # fmt: skip
        assert words in html, words


def test_each_error_shows_two_pictures_with_the_true_box_and_its_score(html: str) -> None:
    misses, alarms = html.split("Worst misses")[1].split("Worst false alarms")
    assert misses.count("data:image/jpeg;base64,") == alarms.count("data:image/jpeg;base64,") == 2
    assert misses.count('class="truth under"') == 2
    assert 'class="truth under"' not in alarms
    for words in (
        "i2",
        "forearm, frontal, patient p1",
        "said: none",
        "operating points at 0.3000 and 0.7000",
    ):
        assert words in misses


def test_the_page_fetches_nothing_and_runs_nothing(html: str) -> None:
    assert not re.search(r"<(script|link|iframe|object|embed)\b", html)
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", html)
    assert "://" not in html and "@import" not in html and "url(" not in html
    assert "default-src 'none'" in html


def test_names_from_outside_are_escaped(evaluated: tuple[EvaluationResult, Gallery]) -> None:
    result, gallery = evaluated
    case = replace(gallery.misses[0], case_id=_NASTY, body_part=_NASTY, view=_NASTY, patient_id=_NASTY)
    page = render_evaluation(
        replace(
            result,
            data={**result.data, "name": _NASTY},
            by_tag={_NASTY: {_NASTY: result.report, "": result.report}},
            refused=(replace(result.refused[0], case_id=_NASTY, message=_NASTY),),
        ),
        replace(gallery, misses=(case,)),
    )
    assert "<script" not in page and "{{ 7" in page
    assert "&lt;script&gt;" in page


def test_a_file_that_is_gone_leaves_a_sentence_in_its_place(
    evaluated: tuple[EvaluationResult, Gallery],
) -> None:
    result, gallery = evaluated
    page = render_evaluation(
        result, replace(gallery, misses=(replace(gallery.misses[0], pictures=None),), false_alarms=())
    )
    assert "could not be read a second time" in page
    assert "No healthy image was called fracture or doubt." in page


def test_a_folder_that_is_gone_is_a_step_error(
    evaluated: tuple[EvaluationResult, Gallery], tmp_path: Path
) -> None:
    with pytest.raises(StepError, match="cannot write"):
        write_evaluation(tmp_path / "gone" / "evaluation.html", *evaluated)


@pytest.mark.browser
@pytest.mark.skipif(
    _CHROMIUM is None or importlib.util.find_spec("playwright") is None, reason="no Chromium on this machine"
)
def test_a_browser_shows_the_page_whole_in_light_dark_and_on_a_phone(
    evaluated: tuple[EvaluationResult, Gallery], tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    path = tmp_path / "evaluation.html"
    write_evaluation(path, *evaluated)
    troubles: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
            context: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
            page = browser.new_page(**context)
            page.on("console", lambda message: troubles.append(message.text))
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 300) == (scheme == "dark")
            shots = os.environ.get("ULNA_SCREENSHOTS")
            if shots:
                page.screenshot(path=f"{shots}/evaluation-{scheme}-{width}.png", full_page=True)
        browser.close()
    assert not troubles
