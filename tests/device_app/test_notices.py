"""What runtime says beside an answer is known here, sentence by sentence; what is not is shown as English."""

from __future__ import annotations

import dataclasses
import json
import re
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import flask_babel
import numpy as np
import pytest
from markupsafe import escape

import runtime
from device_app import create_app
from device_app.monitoring.tally import warning_kind
from device_app.notice_table import OF_THE_PATIENT, TABLE
from device_app.notices import Notice, kind_words, notice_words
from device_app.worker import read_picture
from runtime import detector as detecting
from runtime.appearance import Appearance
from runtime.batch.order import NOT_DRAWN
from runtime.errors import InputError
from runtime.faults import FaultKind, FaultLimits, find_faults
from runtime.intended import judge_use
from runtime.metadata import FIELDS, MetadataSpec, PatientFacts, Telling
from runtime.photograph import PHOTOGRAPHED
from runtime.picture_quality import PictureQuality
from runtime.quality import assess
from runtime.radiograph import AcquisitionFacts, Radiograph
from runtime.readers import read_bytes
from tests.device_app import sample
from tests.device_app.told_by_runtime import literals
from tests.runtime.readers.makers import dicom, encoded, plate

SPEC = MetadataSpec(FIELDS, ("hand", "leg"), ("frontal", "lateral"))
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
NOT_OF_A_KIOSK = {NOT_DRAWN}
"""Said by the command for folders, which no kiosk runs."""
STRANGE = 'It is <b>new</b>, and 7 is "odd".'
_TURNED = re.compile("[\u2066-\u2069]")


@pytest.fixture
def asked(config, store):
    with create_app(config).test_request_context("/"):
        yield


@pytest.fixture
def marked(asked, monkeypatch):
    """A language in which every message is its English in brackets."""
    monkeypatch.setattr(flask_babel, "gettext", lambda text, **of: f"[{text}]" % of if of else f"[{text}]")


def plain(text: str) -> str:
    return _TURNED.sub("", text)


def of_faults() -> dict[str, FaultKind]:
    """Every fault there is, of figures that are as bad as they can be in every way that fits together."""
    look = Appearance(**{one.name: 0.5 for one in fields(Appearance)})
    quality = PictureQuality(200, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1, 500)
    bad = dataclasses.replace(
        quality, noise=1.0, blocking=1.0, sharpness=0.0, fields=2, white_share=0.5, black_share=0.9
    )
    looks = [
        (look, bad),
        (dataclasses.replace(look, median=1.0, dark=0.0), quality),
        (dataclasses.replace(look, dark=0.0, mean=0.9), quality),
        (look, dataclasses.replace(quality, gray_levels=20, short_side_px=130)),
    ]
    tinted = Radiograph(np.zeros((200, 130), np.uint16), 8, "0" * 64, colour_spread=9.0)
    found = (fault for each in looks for fault in find_faults(tinted, *each, FaultLimits()))
    return {fault.warning: fault.kind for fault in found}


def of_use() -> set[str]:
    nobody, skyline = PatientFacts(), PatientFacts(view="o'skyline")
    use = [judge_use(said, (18.0, 95.5), ("frontal", "lateral")) for said in (nobody, skyline)]
    parts = [
        assess(
            Radiograph(sample.forearm(0.0), 12, "0" * 64, facts=AcquisitionFacts(body_part=part)),
            body_parts=("hand", "leg"),
        )
        for part in (None, "zebra")
    ]
    return {text for one in (*use, *parts) for text in one.warnings}


def of_readers() -> set[str]:
    gray, deep = plate(bits=8), plate(bits=16)
    seen_through = np.dstack([gray, gray, gray, gray // 2])
    files = [
        encoded(".png", seen_through),
        dicom(gray, BurnedInAnnotation="YES", PixelSpacing=[0.15, 0.3]),
        dicom(gray, SOPClassUID=SECONDARY_CAPTURE),
        dicom(deep, BitsStored=10, HighBit=9),
    ]
    return {text for data in files for text in read_bytes(data).warnings} | {PHOTOGRAPHED}


def of_facts() -> set[str]:
    said = [
        PatientFacts(age="old", sex="x", body_part="zebra", view="skyline"),
        PatientFacts(sex="other", view='frontal+it\'s "odd"'),
        PatientFacts(age="40", sex="male"),
    ]
    told = [Telling(one).to(spec) for one in said for spec in (SPEC, None)]
    return {note for one in told if one for note in one.notes}


def of_detector() -> set[str]:
    return {detecting._RIGHTED, detecting._UNUSUAL}


def warnings() -> set[str]:
    return set(of_faults()) | of_use() | of_readers() | of_detector()


def test_all_that_runtime_says_is_translated_and_nothing_is_lost(asked):
    said = {text: notice_words(text) for text in warnings() | of_facts()}
    assert len({plain(one.text) for one in said.values()}) >= len(TABLE)
    for text, notice in said.items():
        assert notice.is_translated, text
        assert "%" not in re.sub(r"\d %", "", notice.text) and "{" not in notice.text
        assert set(re.findall(r"\d+", text)) - {"8"} <= set(re.findall(r"\d+", notice.text)), text


@pytest.mark.real_data
def test_what_is_said_of_real_and_odd_files_is_known(asked, real_data):
    said: set[str] = set()
    for path in (*(real_data / "dicom").rglob("*.dcm"), *(real_data / "negatives").glob("*.jpg")):
        with suppress(InputError):
            said.update(assess(read_bytes(path.read_bytes()), body_parts=("hand", "leg")).warnings)
    assert len(said) > 8
    assert not {text for text in said if not notice_words(text).is_translated}


def test_every_fault_has_words(asked):
    faults = of_faults()
    assert set(faults.values()) == set(FaultKind)
    assert all(notice_words(text).is_translated for text in faults)


def test_every_literal_of_the_source_that_can_become_a_warning_is_known():
    """Sentences made of parts are known by their parts; single words are what stands in them. What begins
    with a bracket is a pattern by which an age is read.
    """
    known = " | ".join(re.sub(r"\{\w+\}", "{}", one.english) for one in TABLE)
    for module, texts in literals(Path(runtime.__file__).parent).items():
        parts = {part for text in texts for part in text.split("{}") if re.search(r"\w+\W+\w+", part)}
        missing = {part for part in parts - NOT_OF_A_KIOSK if part not in known and part[0] != "("}
        assert not missing, f"device_app.notice_table lacks {missing} of {module}"


def test_every_known_sentence_is_still_said_by_the_source():
    said = set().union(*literals(Path(runtime.__file__).parent).values())
    for one in TABLE:
        first = re.split(r"\{\w+\}", re.sub(r"^[a-z ]+: (?=\w)", "", one.english))[0][:24].strip()
        assert any(first in text or text.strip(" :") in first for text in said if len(text) > 8), one.english


@pytest.mark.parametrize(
    "source",
    [
        "def f(p): return Findings(1, warnings=('A new one.', *p.warnings))",
        "TEXT = 'A new one.'\ndef f(p): return replace(p, warnings=p.warnings + (TEXT,))",
        "def f():\n  found = []\n  found.append('A new one.')\n  return FactsUsed(notes=tuple(found))",
        "def g():\n  yield f'A new one.{1}'\ndef f(p): return Eligibility(None, tuple(g()))",
        "def f(p): return Fault(1, 'What.', 'A new one.' if p else '')",
        "from runtime.other import told\ndef f(p): return Eligibility(warnings=told())",
        "def g(p):\n  if p: raise ValueError('A new one.')\ndef h(p):\n  try:\n    g(p)\n"
        "  except ValueError as error:\n    return f'{error}; no'\ndef f(p): return FactsUsed(notes=(h(p),))",
        "def f(p):\n  said = ()\n  if p:\n    said += ('A new one.',)\n  return Eligibility(None, said)",
        "class D:\n  def g(self): return 1, ('A new one.',)\n"
        "  def f(self):\n    one, two = self.g()\n    return Findings(1, warnings=two)",
    ],
)
def test_a_new_sentence_in_runtime_is_seen_however_it_is_put_in(tmp_path, source):
    (tmp_path / "kinds.py").write_text(
        "class Eligibility:\n  refusal: str\n  warnings: tuple = ()\n"
        "class Fault:\n  kind: str\n  what: str\n  advice: str\n"
    )
    (tmp_path / "other.py").write_text("def told(): return ('A new one.',)")
    (tmp_path / "made.py").write_text(source)
    assert "A new one." in literals(tmp_path)["made.py"]


def test_what_a_message_names_its_english_names():
    for one in TABLE:
        with_names = set(re.findall(r"\{(\w+)\}", one.english))
        assert set(re.findall(r"%\((\w+)\)s", one.says._message)) == with_names, one.english


def test_words_of_body_parts_and_views_are_translated_within(marked):
    text = next(text for text in of_use() if "zebra" in text)
    assert plain(notice_words(text).text).count("“zebra”") == 1
    assert ": [hand], [leg]. Do not" in notice_words(text).text


def test_figures_and_foreign_words_keep_their_direction(asked):
    small = next(text for text in of_faults() if "pixels)" in text)
    assert "(\u2066130 \u00d7 200\u2069 pixels)" in notice_words(small).text
    skyline = next(text for text in of_use() if "skyline" in text)
    assert "“\u2068o'skyline\u2069”" in notice_words(skyline).text


@pytest.mark.parametrize("text", [STRANGE, "", "The image is small (%(size)s pixels).", "\n"])
def test_an_unknown_sentence_stays_and_is_marked_as_english(asked, text):
    notice = notice_words(text)
    assert notice == Notice(text, False) and notice.isolated == f"\u2066{text}\u2069"
    assert notice.__html__() == f'<span lang="en" dir="ltr">{escape(text)}</span>'


def test_every_kind_of_warning_that_is_counted_has_a_name(marked):
    for text in warnings():
        kind = kind_words(warning_kind(text))
        assert kind.is_translated and kind.text.startswith("["), text
    assert kind_words("It is new") == Notice("It is new …", False)
    assert all(one.kind is None for one in OF_THE_PATIENT)


def test_the_result_page_and_the_report_show_both_kinds(client, store, receive, detector):
    public_id = receive(sample.picture(sample.NONE)).public_id
    claim = store.queue.claim("here")
    read = read_picture(claim, store, detector)
    record = json.loads(read.findings_json) | {"warnings": [PHOTOGRAPHED, STRANGE]}
    assert store.queue.complete(claim, dataclasses.replace(read, findings_json=json.dumps(record)))
    page = client.get(f"/examinations/{public_id}/").text
    assert "<li>This was read from a photograph of a film" in page
    assert f'<li><span lang="en" dir="ltr">{escape(STRANGE)}</span></li>' in page
    paper = client.get(f"/examinations/{public_id}/report/").text
    assert "<li>This was read from a photograph of a film" in paper
    assert f"<li>\u2066{escape(STRANGE)}\u2069</li>" in paper
