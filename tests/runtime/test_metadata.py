"""Facts of a patient: whatever is said, a vector comes out, and what was not used is told."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import golden
from runtime.backends.base import BackendOptions, ModelFiles
from runtime.backends.ort import OrtBackend
from runtime.detector import Detector, DetectorSpec, from_bundle
from runtime.errors import BundleFormatError, InferenceError
from runtime.findings import Provenance, Verdict
from runtime.latency import LatencyOptions
from runtime.manifest import GoldenCase, Manifest
from runtime.metadata import (
    FIELDS,
    NOTHING_SAID,
    MetadataSpec,
    PatientFacts,
    Telling,
    facts_of,
    parse_age,
)
from runtime.preprocess import preprocess
from runtime.radiograph import AcquisitionFacts, Radiograph
from runtime.readers import read_bytes
from tests.bundles import radiograph_pixels
from tests.facts import SPEC, STEP, informed_bundle, told
from tests.runtime import kit
from tests.runtime.models import onnx_bytes
from tests.runtime.schema import problems

QUIET = LatencyOptions(warmup=0, runs=1)
texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["41", "006M", "-3", "nan", "F", "other", "hand+leg", "RT HAND/WRIST", "AP", "+", "hand+x"]
    ),
)
anything = st.builds(PatientFacts, texts, texts, texts, texts)


@given(anything)
def test_whatever_is_said_becomes_a_finite_vector_of_the_same_width(said: PatientFacts) -> None:
    vector = SPEC.encode(said)
    assert vector.shape == (SPEC.width,) and vector.dtype == np.float32 and np.isfinite(vector).all()


@given(anything)
def test_what_was_used_says_the_same_again_and_leaves_nothing_to_note(said: PatientFacts) -> None:
    used = SPEC.understand(said).facts
    assert SPEC.understand(used) == dataclasses.replace(SPEC.understand(said), notes=())
    assert np.array_equal(SPEC.encode(used), SPEC.encode(said))


def test_nothing_said_is_zeros_and_no_note() -> None:
    assert not SPEC.encode(NOTHING_SAID).any()
    assert SPEC.understand(NOTHING_SAID).notes == ()
    assert not NOTHING_SAID and PatientFacts(view="ap")


def test_each_field_has_its_own_columns_and_they_are_the_whole_vector() -> None:
    assert SPEC.width == 8
    assert [columns.start for columns in SPEC.columns.values()] == [0, 2, 4, 6]
    vector = SPEC.encode(PatientFacts("20", "male", "hand+leg", "lateral"))
    assert vector.tolist() == [1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0]


def test_a_newborn_is_not_a_patient_of_unknown_age() -> None:
    assert SPEC.encode(PatientFacts(age="0"))[:2].tolist() == [1.0, 0.0]
    assert SPEC.encode(PatientFacts())[:2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("said", "used"),
    [
        (PatientFacts(age="018M"), PatientFacts(age="1.5")),
        (PatientFacts(age="0,5"), PatientFacts(age="0.5")),
        (PatientFacts(sex="F"), PatientFacts(sex="female")),
        (PatientFacts(body_part="RT WRIST"), PatientFacts(body_part="hand")),
        (PatientFacts(body_part="Ankle"), PatientFacts(body_part="leg")),
        (PatientFacts(view="PA"), PatientFacts(view="frontal")),
        (PatientFacts(view="frontal + lat"), PatientFacts(view="frontal+lateral")),
        (PatientFacts(sex="unknown"), PatientFacts()),
    ],
)
def test_the_words_of_files_and_people_become_the_models_own(said: PatientFacts, used: PatientFacts) -> None:
    assert SPEC.understand(said) == dataclasses.replace(SPEC.understand(used), notes=())


@pytest.mark.parametrize(
    ("said", "told_why"),
    [
        (PatientFacts(age="abc"), "age must be 0 to 120 years, got 'abc'"),
        (PatientFacts(age="130"), "age must be 0 to 120 years"),
        (PatientFacts(sex="other"), "does not know 'other', it knows female, male"),
        (PatientFacts(body_part="skull"), "does not know 'skull', it knows hand, leg"),
        (PatientFacts(body_part="***"), "does not know '***'"),
        (PatientFacts(view="skyline"), "does not know 'skyline', it knows frontal, lateral"),
    ],
)
def test_a_value_that_cannot_be_used_counts_as_not_known_and_is_told(
    said: PatientFacts, told_why: str
) -> None:
    found = SPEC.understand(said)
    assert found.facts == NOTHING_SAID and not SPEC.encode(said).any()
    assert len(found.notes) == 1 and told_why in found.notes[0] and "not used" in found.notes[0]


def test_of_several_words_the_known_ones_are_used_and_the_others_told() -> None:
    found = SPEC.understand(PatientFacts(body_part="hand+skull"))
    assert found.facts.body_part == "hand"
    assert "'skull'" in found.notes[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": ()},
        {"fields": ("weight",)},
        {"fields": ("sex", "age", "body_part", "view")},
        {"fields": ("age", "age", "body_part", "view")},
        {"fields": ("age",)},
        {"body_parts": ()},
        {"body_parts": ("hand", "hand")},
        {"body_parts": ("Hand",)},
        {"body_parts": ("hand+leg",)},
        {"body_parts": ("",)},
        {"views": tuple(f"view {number}" for number in range(65))},
        {"age_scale_years": 0.0},
        {"age_scale_years": float("inf")},
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        dataclasses.replace(SPEC, **changes)  # type: ignore[arg-type]


@given(st.floats(0, 120))
def test_an_age_from_a_file_is_read_back_to_a_ten_thousandth_of_a_year(years: float) -> None:
    said = facts_of(AcquisitionFacts(age_years=years))
    assert parse_age(said.age) == pytest.approx(years, abs=1e-4)


def test_what_a_person_says_goes_before_what_the_file_says() -> None:
    found = Telling(PatientFacts(age="7"), PatientFacts("40", "male", "leg", "")).to(SPEC)
    assert found is not None and found.facts == PatientFacts("7", "male", "leg", "")


def test_white_space_says_nothing_and_leaves_what_the_file_says() -> None:
    found = Telling(PatientFacts(" ", "\t", " leg ", ""), PatientFacts("40", "male", "hand", "ap")).to(SPEC)
    assert found is not None and found.facts == PatientFacts("40", "male", "leg", "frontal")


def test_what_a_model_does_not_take_is_told_only_where_a_person_said_it() -> None:
    only_age = MetadataSpec(("age",))
    said = PatientFacts("7", "male", "leg", "")
    given, own = Telling(given=said).to(only_age), Telling(own=said).to(only_age)
    assert given is not None and given.facts == PatientFacts("7")
    # The body part is held against the intended use, whatever a model takes.
    assert given.notes == ("sex: this model does not use it",)
    assert own is not None and own.notes == ()
    assert Telling(own=said).to(None) is None
    unused = Telling(given=PatientFacts(age="7", view="ap")).to(None)
    assert unused is not None and unused.notes == ("age: this model does not use it",)


def detector(spec: MetadataSpec | None = SPEC) -> Detector:
    model = onnx_bytes() if spec is None else told(onnx_bytes())
    provenance = Provenance("", "", "test", "1")
    return Detector(
        OrtBackend(ModelFiles(model)), DetectorSpec(kit.SPEC, kit.POINTS, (), provenance, metadata=spec)
    )


def radiograph(**facts: object) -> Radiograph:
    pixels = radiograph_pixels(fractured=False)
    return Radiograph(pixels, 12, "0" * 64, facts=AcquisitionFacts(**facts))  # type: ignore[arg-type]


def test_facts_move_the_answer_and_are_told_in_the_findings() -> None:
    with detector() as opened:
        alone = opened.detect(radiograph())
        informed = opened.detect(radiograph(sex="male", view="frontal"), PatientFacts(body_part="wrist"))
    assert alone.probability is not None and informed.probability is not None, alone.refusal
    logits = [np.log(p / (1 - p)) for p in (alone.probability, informed.probability)]
    assert logits[1] - logits[0] == pytest.approx(3 * STEP, abs=1e-3)
    table = informed.to_json()
    assert table["metadata"] == {
        "age_years": None,
        "sex": "male",
        "body_part": "hand",
        "view": "frontal",
        "notes": [],
    }
    assert problems(table) == []


def test_a_wrong_fact_never_stops_an_answer() -> None:
    with detector() as opened:
        alone = opened.detect(radiograph())
        wrong = opened.detect(radiograph(), PatientFacts("\ud800" * 300, "?", "", "x+y" * 10_000))
    assert wrong.verdict is alone.verdict is not Verdict.UNREADABLE
    assert wrong.probability == alone.probability
    assert wrong.metadata is not None and len(wrong.metadata.notes) == 3
    assert all(len(note) < 200 for note in wrong.metadata.notes)
    assert problems(wrong.to_json()) == []


def test_a_model_of_the_picture_alone_says_nothing_of_facts_unless_some_were_given() -> None:
    with detector(None) as opened:
        plain = opened.detect(radiograph(sex="male"))
        asked = opened.detect(radiograph(), PatientFacts(age="7"))
    assert "metadata" not in plain.to_json()
    assert asked.to_json()["metadata"]["notes"] == ["age: this model does not use it"]
    assert asked.probability == plain.probability


def test_a_graph_with_a_second_input_that_the_bundle_does_not_describe_gives_no_answer() -> None:
    spec = DetectorSpec(kit.SPEC, kit.POINTS, (), Provenance("", "", "test", "1"))
    tensor, _ = preprocess(read_bytes(kit.plate(0.5)), kit.SPEC)
    with Detector(OrtBackend(ModelFiles(told(onnx_bytes()))), spec) as opened:
        with pytest.raises(InferenceError, match="inputs must be image, metadata"):
            opened.score(tensor)
        assert opened.detect(radiograph()).verdict is Verdict.UNREADABLE


def test_golden_cases_are_asked_with_their_facts(tmp_path) -> None:
    bundle = informed_bundle(tmp_path / "bundle")
    result = golden.examine(bundle, kit.ORT, BackendOptions(), QUIET)
    assert result.passed and result.latency is not None, result.reason


def test_an_engine_that_hears_facts_wrongly_fails_its_golden_cases(tmp_path) -> None:
    result = golden.examine(
        informed_bundle(tmp_path / "bundle", step=-STEP), kit.ORT, BackendOptions(), QUIET
    )
    assert not result.passed and "logit off" in result.reason


def test_a_bundle_that_takes_facts_is_opened_and_answers_with_them(tmp_path) -> None:
    with from_bundle(informed_bundle(tmp_path / "bundle"), "onnxruntime-fp32") as opened:
        assert opened.spec.metadata == SPEC
        assert opened.detect(radiograph(), PatientFacts(view="ap")).to_json()["metadata"]["view"] == "frontal"


def test_a_manifest_without_facts_says_nothing_of_them() -> None:
    assert b"metadata" not in kit.manifest().to_json() and b"facts" not in kit.manifest().to_json()


def test_a_manifest_with_facts_comes_back_the_same() -> None:
    manifest = dataclasses.replace(kit.manifest(), metadata=SPEC)
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(
    "metadata",
    [
        {"fields": ["weight"]},
        {"fields": list(FIELDS), "body_parts": ["hand"], "views": ["frontal"], "age_scale_years": -1},
        {"fields": ["age"], "body_parts": [1]},
        {"fields": ["age"], "surprise": 1},
        {"fields": "age"},
        ["age"],
    ],
)
def test_a_manifest_with_impossible_facts_is_refused(metadata: object) -> None:
    table = json.loads(dataclasses.replace(kit.manifest(), metadata=SPEC).to_json())
    table["metadata"] = metadata
    with pytest.raises(BundleFormatError, match="metadata"):
        Manifest.from_json(json.dumps(table).encode())


@pytest.mark.parametrize("spec", [None, SPEC])
def test_a_golden_case_may_state_only_what_the_models_take(spec: MetadataSpec | None) -> None:
    case = GoldenCase("one", "golden/one.png", "none", {"reference": -1.0}, PatientFacts(body_part="skull"))
    with pytest.raises(ValueError, match="states facts that no model"):
        dataclasses.replace(kit.manifest(), golden=(case,), metadata=spec)
