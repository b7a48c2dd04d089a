"""An examination as a sheet, in the language of the request. What is missing is said, nothing is assumed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from device_app.answers import ANSWERED, Answer, ScreenState
from device_app.language import gettext, isolated
from device_app.listed import listed
from device_app.notices import notice_words
from device_app.plates import Plate
from device_app.readings import Said, outcome
from device_app.report.figures import Moment, Showing, facts_of, plain, view_of
from device_app.report.sheet import Row, Sheet, Spoken
from device_app.status import ReaderStatus
from device_app.store.records import ExaminationRecord
from device_app.words import (
    JUDGEMENTS,
    KINDS,
    actor_words,
    fact_word,
    is_held,
    lost_words,
    place_marked,
    reason_words,
    score,
    score_words,
    state_words,
    steps,
    views_words,
    whose_words,
)
from runtime.metadata import JOINT, PatientFacts

MOST_PICTURES = 4
_SHORT_DIGEST = 12
_SHOWN_FIRST = (
    ScreenState.FRACTURE,
    ScreenState.DOUBT,
    ScreenState.UNREADABLE,
    ScreenState.WORKING,
    ScreenState.NONE,
)


@dataclass(frozen=True)
class Material:
    """What a sheet is made of.

    summary: the one answer for the examination. given: what people said of the patient, by image.
    names: of people, by their random names. printed_by: as the log names who asks.
    """

    examination: ExaminationRecord
    plates: Sequence[Plate]
    summary: Answer
    box: ReaderStatus
    readings: Sequence[Said]
    names: Mapping[str, str]
    given: Mapping[int, PatientFacts]
    clinic: str
    printed_by: str
    printed_utc: datetime
    version: str


def sheet_of(material: Material, moment: Moment) -> Sheet:
    """All of it, at full length."""
    found, held = material.summary, is_held(material.summary, material.box)
    said = state_words(found, material.box)
    shown, how = _shown(material.plates), _how(material, moment)
    return Sheet(
        title=gettext("X-ray report"),
        clinic=plain(material.clinic),
        patient=plain(material.examination.patient_label),
        facts=_facts(material, moment),
        state=str(ScreenState.UNREADABLE) if held else str(found.state),
        sign=str(ScreenState.UNREADABLE) if held else str(found.state),
        headline=_headline(str(said.headline), material.plates),
        meaning=_meaning(material),
        stored=_stored(material),
        steps=tuple(steps(found, material.box)),
        sure=tuple(_sure(material)),
        views=tuple(view_of(number, plate, how) for number, plate in shown),
        more=_more(material, {number for number, _ in shown}),
        warnings=(*_of_the_patient(material.examination), *_warnings(material.plates)),
        said=_spoken(material, moment),
        technical=_technical(material),
        printed=gettext(
            "Printed %(when)s by %(who)s",
            when=moment(material.printed_utc),
            who=_name(material.printed_by, material),
        ),
        left_out=_without_picture(len(material.plates) - len(shown)),
    )


def _of_the_patient(examination: ExaminationRecord) -> Iterable[str]:
    return filter(None, (lost_words(examination), whose_words(examination)))


def _how(material: Material, moment: Moment) -> Showing:
    return Showing(material.box, material.given, moment, alone=len(material.plates) == 1)


def _headline(said: str, plates: Sequence[Plate]) -> str:
    """What the screen says; of several pictures also how many of them have no answer."""
    without = sum(plate.answer.state not in ANSWERED for plate in plates)
    if len(plates) == 1 or not without:
        return said
    if without == 1:
        return gettext("%(said)s. 1 of %(total)s views has no answer", said=said, total=len(plates))
    return gettext(
        "%(said)s. %(count)s of %(total)s views have no answer",
        said=said,
        count=without,
        total=len(plates),
    )


def _meaning(material: Material) -> tuple[str, ...]:
    """Below the headline. Of several views: what their one answer rests on, once all of them are there."""
    whole, said = material.summary, str(state_words(material.summary, material.box).meaning)
    if len(material.plates) == 1:
        reason = reason_words(whole)
        return tuple(filter(None, (str(reason.what) if reason else "", said, place_marked(whole))))
    if any(plate.answer.state is ScreenState.WORKING for plate in material.plates):
        return (said,)
    return (said, *views_words(whole))


def _sure(material: Material) -> list[str]:
    """The score in words. Of several views each has its own, below its picture."""
    if len(material.plates) == 1:
        return score_words(material.summary)
    explained = [said for plate in material.plates if (said := score_words(plate.answer))]
    if not explained:
        return []
    return [gettext("The score of each view stands below its picture."), explained[0][-1]]


def _stored(material: Material) -> str:
    """That this is an answer of before, where the box would give none now."""
    if not material.box.cannot_answer or material.summary.state not in ANSWERED:
        return ""
    return gettext("This answer was stored earlier. The box itself cannot answer now.")


def _shown(plates: Sequence[Plate]) -> list[tuple[int, Plate]]:
    """Those whose pictures are on the sheet, in their order: those that need attention go before others."""
    numbered = list(enumerate(plates, start=1))
    urgent = sorted(numbered, key=lambda one: (_SHOWN_FIRST.index(one[1].answer.state), one[0]))
    return sorted(urgent[:MOST_PICTURES], key=lambda one: one[0])


def _more(material: Material, shown: set[int]) -> tuple[str, ...]:
    """The answers of all others, those that are alike in one line."""
    alike: dict[str, list[str]] = {}
    for number, plate in enumerate(material.plates, start=1):
        if number not in shown:
            said = str(state_words(plate.answer, material.box).headline)
            alike.setdefault(said, []).append(str(number))
    return tuple(
        gettext("Views %(numbers)s: %(said)s", numbers=listed(numbers), said=said)
        for said, numbers in alike.items()
    )


def _without_picture(count: int) -> tuple[str, ...]:
    return (gettext("Pictures of %(count)s views, their answers are above", count=count),) if count else ()


def _facts(material: Material, moment: Moment) -> tuple[Row, ...]:
    known = [facts_of(plate, material.given) for plate in material.plates]
    rows = [
        Row(gettext("Taken in"), moment(material.examination.received_utc)),
        Row(gettext("Body part"), _different(facts.body_part for facts in known)),
        Row(gettext("Projection"), _different(facts.view for facts in known)),
        Row(gettext("Age in years"), _different(facts.age for facts in known)),
        Row(gettext("Sex"), _different(facts.sex for facts in known)),
        Row(gettext("Views"), str(len(material.plates)) if len(material.plates) > 1 else ""),
    ]
    return tuple(row for row in rows if row.value)


def _different(texts: Iterable[str]) -> str:
    parts = [part for text in texts for part in text.split(JOINT) if part]
    return plain(listed(dict.fromkeys(map(fact_word, parts))))


def _warnings(plates: Sequence[Plate]) -> tuple[str, ...]:
    """Each once; with the numbers of its pictures where it is not said of all of them."""
    of: dict[str, list[str]] = {}
    for number, plate in enumerate(plates, start=1):
        for text in plate.answer.warnings:
            of.setdefault(notice_words(plain(text)).isolated, []).append(str(number))
    return tuple(
        text
        if len(numbers) == len(plates)
        else gettext("View %(numbers)s: %(text)s", numbers=listed(numbers), text=text)
        for text, numbers in of.items()
    )


def _spoken(material: Material, moment: Moment) -> tuple[Spoken, ...]:
    final = outcome(material.readings)
    return tuple(
        Spoken(
            what=f"{KINDS[said.kind]}: {JUDGEMENTS[said.judgement]}",
            who=listed(
                filter(None, (isolated(_name(said.actor, material)), moment(said.at_utc), _places(said)))
            ),
            note=plain(said.note),
            final=said is final,
        )
        for said in material.readings
    )


def _name(actor: str, material: Material) -> str:
    return plain(actor_words(actor, dict(material.names)))


def _places(said: Said) -> str:
    """That somebody has marked places; the frames on the sheet are the box's."""
    if not said.places:
        return ""
    return gettext("marked places, to be seen on the screen: %(count)s", count=len(said.places))


def _technical(material: Material) -> tuple[Row, ...]:
    sources = [plate.answer.provenance for plate in material.plates if plate.answer.provenance]
    points = [plate.answer.points for plate in material.plates if plate.answer.points]
    digests = [plate.image.sha256[:_SHORT_DIGEST] for plate in material.plates]
    rows = (
        (gettext("Model"), [_joined(one, "bundle_name", "bundle_version") for one in sources]),
        (gettext("Engine"), [_joined(one, "engine", "precision", "device") for one in sources]),
        (gettext("Bundle digest"), [_joined(one, "bundle_sha256")[:_SHORT_DIGEST] for one in sources]),
        (
            gettext("Limits of doubt and fracture"),
            [f"{score(one.high_sensitivity)} / {score(one.high_specificity)}" for one in points],
        ),
        (gettext("Picture digest"), digests),
        (gettext("Examination"), [material.examination.public_id]),
        (gettext("Program"), [f"Ulna {material.version}"]),
    )
    named = (Row(name, listed(filter(None, dict.fromkeys(values)))) for name, values in rows)
    return tuple(row for row in named if row.value)


def _joined(source: Mapping[str, object], *names: str) -> str:
    return " ".join(str(source[name]) for name in names if source.get(name))
