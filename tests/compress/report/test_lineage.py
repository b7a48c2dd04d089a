"""The descent of an improved model, in the report and on its card."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from compress.gate import gate
from compress.improve.lineage import lineage
from compress.judgement import RELEASED, Court, Released, beside_released
from compress.options.gate import Margins
from compress.record import RunRecord
from compress.report import render
from compress.report.card import render_card
from runtime.detector import DetectorSpec
from runtime.findings import OperatingPoints, Provenance
from runtime.preprocess import PreprocessSpec
from tests.compress.cohort import CohortOptions, cohort, perturbed

from .runs import finished_run


@pytest.fixture(scope="module")
def record() -> RunRecord:
    rng = np.random.default_rng(8)
    released = cohort(rng, CohortOptions(patients=160))
    improved = perturbed(rng, released, 0.4)
    is_new = np.arange(len(released)) >= 200
    kinds = Released(released.subset(~is_new), released.subset(is_new))
    spec = DetectorSpec(PreprocessSpec(), OperatingPoints(0.3, 0.7), (), Provenance("", "", "m", "1"))
    court = Court(None, (), spec, improved, "", 0.95, kinds)  # type: ignore[arg-type]
    parent = {
        "name": "ulna-hand",
        "version": "1.2.0",
        "digest": "ab" * 32,
        "signed_by": "0123456789abcdef",
        "ancestors": ["cd" * 32],
    }
    facts = {"images": 64, "gate_images_found": 190, "gate_images_of_parent": 200}
    told = lineage(SimpleNamespace(identity=parent), SimpleNamespace(facts=facts), court)  # type: ignore[arg-type]
    run = finished_run()
    verdict = gate(improved, perturbed(rng, improved, 0.5), court.points, run_margins())
    verdict = beside_released(verdict, court, improved, run_margins())
    first = replace(run.nodes[0], verdict=verdict.to_json())
    command = {"from_run": False, "old": "hos+pital", "new": "added", "recipe": ""}
    return replace(run, lineage={**told, "command": command}, nodes=(first, *run.nodes[1:]))


def run_margins() -> Margins:
    return Margins(1.0, 1.0, 1.0)


def test_the_card_names_the_parent_its_ancestors_and_the_command(record: RunRecord) -> None:
    card = render_card(record)
    assert "ulna-hand 1.2.0" in card
    assert "`abababababababab`" in card and "`cdcdcdcdcdcdcdcd`" in card
    assert "Of its 200 gate images 190 were at hand" in card
    assert "--from path/to/ulna-hand-1.2.0 --data path/to/hos+pital --add path/to/added\n```" in card
    assert "ulna run" not in card
    assert "scale of the logits" in card


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"old": ""}, "--from path/to/ulna-hand-1.2.0 --add path/to/added\n```"),
        ({"recipe": "careful"}, "--add path/to/added --recipe careful\n```"),
        ({"from_run": True}, "--from path/to/run-of-ulna-hand-1.2.0 --data"),
    ],
)
def test_the_command_is_the_one_that_was_run(
    record: RunRecord, change: dict[str, object], words: str
) -> None:
    command = {**record.lineage["command"], **change}
    assert words in render_card(replace(record, lineage={**record.lineage, "command": command}))


def test_changed_decisions_say_what_they_are_compared_with(record: RunRecord) -> None:
    flips = record.nodes[0].verdict["flips"]
    counts = {against: sum(f["against"] == against for f in flips) for against in ("", RELEASED)}
    assert min(counts.values()) > 0
    page = render(record)
    start = page.index(f'<details id="step-{record.nodes[0].name}"')
    section = page[start:].split("</details>", maxsplit=1)[0]
    assert f"against {RELEASED}: {counts[RELEASED]} decisions changed" in section
    assert section.count(f"<td>{RELEASED}</td>") + section.count("<td>the original checkpoint</td>") == min(
        len(flips), 100
    )
    assert "compared with</th>" not in render(replace(record, lineage={}))


def test_both_tables_show_either_model_and_the_difference_with_its_bounds(record: RunRecord) -> None:
    card = render_card(record)
    for kind in ("old", "new"):
        check = record.lineage[kind]["differences"][0]
        row = next(line for line in card.splitlines() if f"{check['reference']:.3f} [" in line)
        assert row.startswith("| AUROC |") and f"{check['candidate']:.3f} [" in row
        assert f"{check['upper_bound']:+.3f}".replace("-", "\N{MINUS SIGN}") in row
    assert card.count("| figure | released | improved | difference |") == 2


def test_the_report_has_a_section_of_it_and_a_run_from_a_recipe_has_none(record: RunRecord) -> None:
    page = render(record)
    assert 'id="lineage"' in page and "ulna-hand 1.2.0" in page
    assert "On new patients" in page
    plain = replace(record, lineage={})
    assert 'id="lineage"' not in render(plain) and "## Lineage" not in render_card(plain)


def test_the_card_says_where_the_mirror_image_is_looked_at_too() -> None:
    run = finished_run()
    mirrored = replace(run, recipe={**run.recipe, "model": {**run.recipe["model"], "mirror": True}})
    first = replace(run.nodes[0], facts={**run.nodes[0].facts, "mirrors": True})
    of_members = replace(run, nodes=(first, *run.nodes[1:]))
    assert "looks at one radiograph, scaled" in render_card(run)
    for one in (mirrored, of_members):
        assert "looks at one radiograph and its mirror image, scaled" in render_card(one)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"history": {"loss": [], "trained_on": []}}, None),
        ({"trained_on": "the exporting machine", "history": {"loss": []}}, None),  # as an ensemble noted it
        ({"trained_on": "CPU, fp32, torch 2", "history": {"loss": [0.5]}}, "CPU, fp32, torch 2."),
        (
            {
                "trained_on": "x",
                "history": {"loss": [0.5] * 3, "trained_on": ["GPU, bf16", "GPU, bf16", "CPU"]},
            },
            "GPU, bf16; then on CPU.",
        ),
    ],
    ids=["no epoch", "no epoch of an older run", "an older run", "a training that moved"],
)
def test_the_card_says_where_weights_were_learned_and_nothing_where_none_were(
    facts: dict[str, object], sentence: str | None
) -> None:
    run = finished_run()
    card = render_card(replace(run, nodes=(replace(run.nodes[0], facts=facts), *run.nodes[1:])))
    words = "The weights were trained on: "
    assert f"{words}{sentence}" in card if sentence else words not in card


def test_the_card_names_the_machine_of_the_fine_tuning_too() -> None:
    run = finished_run()
    places = {"train": "GPU", "finetune": "CPU"}
    nodes = [
        replace(node, facts={"history": {"trained_on": [places[node.kind]]}}) if node.kind in places else node
        for node in run.nodes
    ]
    assert "trained on: GPU; then on CPU." in render_card(replace(run, nodes=tuple(nodes)))


def test_the_command_on_the_card_has_the_checkpoints_that_a_run_began_with() -> None:
    run = finished_run()
    first = replace(run.nodes[0], facts={**run.nodes[0].facts, "files": {"start": 1, "teachers": 2}})
    command = "--out runs/demo --from path/to/network.pt" + 2 * " --teacher path/to/network.pt" + "\n```"
    assert command in render_card(replace(run, nodes=(first, *run.nodes[1:])))
    assert "--out runs/demo\n```" in render_card(run)
