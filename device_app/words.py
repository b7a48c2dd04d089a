"""Everything a screen says about a picture, marked for translation. Short sentences, one order each.

Codes come from the runtime and the store; what a nurse reads is only here and in the templates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from device_app.access.roles import Role
from device_app.agreement import Figures, Share
from device_app.answers import BAD_RECORD, Answer, ScreenState
from device_app.first_run import Step
from device_app.language import LazyText, decimal, gettext, lazy_gettext
from device_app.listed import listed
from device_app.readings import Judgement, Kind
from device_app.status import Phase, ReaderStatus
from device_app.store.log import BOX, KIOSK, Action
from device_app.store.queue import FailureCode
from device_app.store.records import ExaminationRecord
from device_app.store.sources import RECOVERED, TAKEN_IN
from runtime.findings import RefusalCode
from runtime.metadata import JOINT, FactsUsed

_ = lazy_gettext
LEAST_SHOWN = 0.1
NEAR_LIMIT = 0.03
"""A probability this near to an operating point is called close."""


@dataclass(frozen=True)
class StateWords:
    """A state's name, what it means, and what to do next, first thing first."""

    headline: LazyText
    meaning: LazyText
    steps: tuple[LazyText, ...]


@dataclass(frozen=True)
class ReasonWords:
    """Why a picture was not read, and what to do about it."""

    what: LazyText
    step: LazyText


STATES = {
    ScreenState.FRACTURE: StateWords(
        _("Fracture suspected"),
        _("The picture shows signs of a broken bone."),
        (
            _("Keep the injured part still. Splint it. No weight on it."),
            _("Check feeling, warmth and movement beyond the injury. If one is missing or the skin is open, "
              "refer at once."),
            _("Show the picture to a clinician, or refer the patient."),
        ),
    ),
    ScreenState.DOUBT: StateWords(
        _("Doubt: fracture possible"),
        _("There are weak signs. A broken bone cannot be ruled out."),
        (
            _("Treat the injury as broken for now. Splint it. No weight on it."),
            _("Take a second picture of the same part from another angle and have it read here."),
            _("Show both pictures to a clinician, or refer the patient."),
        ),
    ),
    ScreenState.NONE: StateWords(
        _("No fracture found"),
        _("No sign of a broken bone was found in this picture. Some breaks are missed."),
        (
            _("Examine the patient. The patient counts more than the picture."),
            _("Tender over a bone, or cannot use the limb? Treat the limb as broken and refer the patient."),
            _("If pain persists, take a new picture after 7 to 10 days, or refer."),
        ),
    ),
    ScreenState.UNREADABLE: StateWords(
        _("Cannot read this picture"),
        _("This is not a result. Nothing is known about a fracture."),
        (_("Until there is a result, decide by examining the patient. If in doubt, refer."),),
    ),
    ScreenState.WORKING: StateWords(
        _("Still working"),
        _("There is no result yet. The picture is stored safely, even if the power goes."),
        (_("Wait here, or come back later: the result will be in the history."),),
    ),
}  # fmt: skip

HELD = StateWords(
    _("Waiting: the box cannot answer"),
    _("There is no result. The picture is stored safely and will be read when the box is mended."),
    (
        _("Do not wait for the box. Decide by examining the patient. If in doubt, refer."),
        _("Tell whoever looks after the box."),
    ),
)
"""A picture that waits while nothing is being read."""

_TRY_AGAIN = _("Press “Try again”. If it fails again, have the picture read by a clinician.")
_REASONS = {
    RefusalCode.DAMAGED: ReasonWords(
        _("The file is damaged or is not a picture."),
        _("Export the picture again from the X-ray machine and send the new file."),
    ),
    RefusalCode.UNSUPPORTED: ReasonWords(
        _("This kind of file cannot be read here."),
        _("Save the picture as JPEG, PNG, TIFF or DICOM and send it again."),
    ),
    RefusalCode.NOT_A_RADIOGRAPH: ReasonWords(
        _("This does not look like an X-ray picture."),
        _("Check that the right file was chosen, and send the X-ray picture itself."),
    ),
    RefusalCode.TOO_SMALL: ReasonWords(
        _("The picture is too small to show a fine break."),
        _("Export the picture in its full size and send it again."),
    ),
    RefusalCode.NO_CONTRAST: ReasonWords(
        _("The picture is too dark, too bright or empty."),
        _("Check the exposure, take the picture again and send the new one."),
    ),
    RefusalCode.BODY_PART: ReasonWords(
        _("The picture shows a part of the body that this box was not made for."),
        _("Have it read by a clinician, or refer the patient."),
    ),
    RefusalCode.AGE: ReasonWords(
        _("The patient's age is one that this box was not made for."),
        _("Have it read by a clinician, or refer the patient."),
    ),
    RefusalCode.VIEW: ReasonWords(
        _("The picture shows a view that this box was not made for."),
        _("Take the usual view, or have it read by a clinician."),
    ),
    RefusalCode.UNFAMILIAR: ReasonWords(
        _("This picture is unlike the X-ray pictures that this box has learned from."),
        _("Check that the right picture was chosen. Take it again, or have it read by a clinician."),
    ),
    RefusalCode.FILM_NOT_FOUND: ReasonWords(
        _("No film was found in the photograph, or not all of its edges."),
        _(
            "Lay the film flat on the light box. Take the photograph again: the whole film in the picture, "
            "no lamp or window reflected in it, the tablet straight in front."
        ),
    ),
    RefusalCode.FILM_SEVERAL: ReasonWords(
        _("There is more than one film, or another dark thing, in the photograph."),
        _("Leave only one film on the light box and take the photograph again."),
    ),
    RefusalCode.FILM_OBLIQUE: ReasonWords(
        _("The film was photographed at a slant."),
        _("Hold the tablet straight in front of the film and take the photograph again."),
    ),
    RefusalCode.FILM_SMALL: ReasonWords(
        _("The film is too small in the photograph."),
        _("Go nearer, until the film fills most of the picture, and take the photograph again."),
    ),
    RefusalCode.FILM_BLURRED: ReasonWords(
        _("The photograph is blurred or shaken."),
        _(
            "Hold the tablet still with both hands. Touch the film on the screen, wait until it is sharp, "
            "and take the photograph again."
        ),
    ),
    RefusalCode.FILM_GLARE: ReasonWords(
        _("A light is reflected in the film, or the photograph is too bright."),
        _(
            "Switch off the lamps in the room and see that no window is reflected in the film. Take the "
            "photograph again."
        ),
    ),
    RefusalCode.FILM_LIGHT: ReasonWords(
        _("One side of the film has far more light behind it than the other."),
        _("Lay the whole film on the bright part of the light box and take the photograph again."),
    ),
    RefusalCode.ENGINE: ReasonWords(_("The box could not finish reading this picture."), _TRY_AGAIN),
    FailureCode.DIED: ReasonWords(
        _("Reading this picture stopped the reading program more than once."), _TRY_AGAIN
    ),
    FailureCode.TIMEOUT: ReasonWords(_("Reading this picture took too long."), _TRY_AGAIN),
    FailureCode.INTERRUPTED: ReasonWords(
        _("Reading this picture was interrupted too often, for example by power cuts."), _TRY_AGAIN
    ),
    FailureCode.FILE_LOST: ReasonWords(
        _("The stored picture was damaged on the box's disk."),
        _("Send the picture again, then press “Try again” here."),
    ),
    BAD_RECORD: ReasonWords(
        _("The stored result is damaged and is not shown."),
        _("Have the picture read by a clinician. Tell whoever looks after the box."),
    ),
}
_UNKNOWN_REASON = ReasonWords(_("The box could not read this picture."), _TRY_AGAIN)

PARTS = {
    "shoulder": _("shoulder"),
    "upper arm": _("upper arm"),
    "elbow": _("elbow"),
    "forearm": _("forearm"),
    "wrist": _("wrist"),
    "hand": _("hand"),
    "finger": _("finger"),
    "hip": _("hip"),
    "thigh": _("thigh"),
    "knee": _("knee"),
    "lower leg": _("lower leg"),
    "ankle": _("ankle"),
    "foot": _("foot"),
    "toe": _("toe"),
    "head": _("head"),
    "neck": _("neck"),
    "chest": _("chest"),
    "spine": _("spine"),
}
"""The words of device_app.facts' body picture."""

FACT_LABELS = {"sex": _("Sex"), "body_part": _("Body part"), "view": _("View (of a single picture)")}
_FACT_WORDS = {
    **PARTS,
    "leg": _("leg"),
    "female": _("female"),
    "male": _("male"),
    "other": _("other"),
    "frontal": _("frontal"),
    "lateral": _("lateral"),
    "oblique": _("oblique"),
}

PHASES = {
    Phase.STARTING: _("Starting"),
    Phase.READY: _("Ready"),
    Phase.RESTARTING: _("Restarting"),
    Phase.CANNOT_ANSWER: _("Cannot answer"),
    Phase.STOPPED: _("Cannot answer"),
}


def state_words(answer: Answer, box: ReaderStatus) -> StateWords:
    """What to say in this state, on a box in that state."""
    return HELD if is_held(answer, box) else STATES[answer.state]


def is_held(answer: Answer, box: ReaderStatus) -> bool:
    """Whether a picture waits for a box that cannot read."""
    return answer.state is ScreenState.WORKING and box.cannot_answer


def stored_words(box: ReaderStatus) -> str:
    """Of a picture that was just taken in."""
    if box.cannot_answer:
        return gettext("Stored. The box cannot answer now: the picture will be read when the box is mended.")
    return gettext("Stored. It is being read.")


def views_words(whole: Answer) -> list[str]:
    """What an answer for several views rests on; nothing as long as there is none."""
    if whole.state is ScreenState.WORKING:
        return []
    said = [gettext("This is the answer for all %(count)s views together.", count=whole.views)]
    if whole.graver is not None:
        alone = STATES[whole.graver].headline
        said.append(gettext("One view by itself says: %(answer)s. Look at it with extra care.", answer=alone))
    if whole.state is ScreenState.UNREADABLE:
        said.append(gettext("At least one view could not be read."))
    return said


def graver_words(whole: Answer) -> str:
    """What one view by itself says where that is graver than the answer for all of them; "" where not."""
    if whole.graver is None:
        return ""
    return gettext("One view by itself: %(answer)s", answer=STATES[whole.graver].headline)


def whose_words(examination: ExaminationRecord) -> str:
    """That files name another patient than the examination does, and which; "" where none does."""
    images = examination.images
    numbers = [str(number) for number, image in enumerate(images, start=1) if image.names_other]
    if not numbers:
        return ""
    text = gettext("The file names another patient. Check whose picture this is.")
    if len(numbers) == len(images):
        return text
    return gettext("View %(numbers)s: %(text)s", numbers=listed(numbers), text=text)


LOST = {
    RECOVERED: _(
        "The box's records were damaged and mended; of this picture they were lost. Compare it with the "
        "X-ray machine before you use the answer."
    ),
    TAKEN_IN: _(
        "The box had no record of this picture, and it was taken in again. Compare it with the X-ray machine "
        "before you use the answer. If it is a photograph of a film, photograph the film again."
    ),
}
"""Of pictures of which the box knows nothing but what is in their files, by the way they came in."""


def lost_words(examination: ExaminationRecord) -> str:
    """The same in short, for lists and paper; "" for every other picture."""
    if examination.source not in LOST:
        return ""
    return gettext("The box had no record of this picture. Check whose picture this is.")


def may_be_corrected(answer: Answer) -> bool:
    """Whether it was refused for what is said of it."""
    return answer.state is ScreenState.UNREADABLE and answer.reason in _OF_FACTS


_OF_FACTS = (RefusalCode.BODY_PART, RefusalCode.AGE, RefusalCode.VIEW)


def place_marked(answer: Answer) -> str:
    """Whether there is a place to look at; empty where none is looked for."""
    if answer.state not in (ScreenState.FRACTURE, ScreenState.DOUBT):
        return ""
    if answer.boxes:
        return gettext("See the marked place.")
    return gettext("The place could not be marked: look at the whole picture.")


def reason_words(answer: Answer) -> ReasonWords | None:
    """Why a picture was not read; None for every other state."""
    if answer.state is not ScreenState.UNREADABLE:
        return None
    return _REASONS.get(answer.reason, _UNKNOWN_REASON)


def steps(answer: Answer, box: ReaderStatus) -> list[str]:
    """What to do next, first thing first."""
    reason = reason_words(answer)
    first = [str(reason.step)] if reason else []
    return first + [str(step) for step in state_words(answer, box).steps]


APART = {
    "full": _("This picture stands by itself: the other examination takes no more views."),
    "gone": _("This picture stands by itself: the other examination was not found."),
    "label": _(
        "This picture stands by itself: the other examination has another patient number or name, or none."
    ),
    "known": _("It was not added to the examination that it was sent for."),
    "parted": _("This picture was not put together with the one that was already here."),
}
"""Why a picture is not where it was to be, by the word in the address of its page."""


def already_here(patient_label: str, other_given: bool, facts_given: bool = False) -> str:
    """A picture sent a second time; `other_given`: under another patient than the first time.

    facts_given: with facts of the patient.
    """
    said = [gettext("This picture was already here. It is shown with the result it got.")]
    if other_given:
        said.append(_filed_under(patient_label))
    if facts_given:
        said.append(gettext("What was said of the patient now was not taken."))
    return " ".join(said)


def _filed_under(patient_label: str) -> str:
    if not patient_label:
        return gettext("It was stored without a patient; the one given now was not taken.")
    return gettext(
        "Take care: it is stored under the patient “%(label)s”; the one given now was not taken.",
        label=patient_label,
    )


def fact_word(word: str) -> str:
    """A word of the model's, translated where it is one that every model uses."""
    return str(_FACT_WORDS.get(word, word))


def told_words(told: FactsUsed) -> str:
    """What the answer rests on beside the picture. What was not used stands in its notes (notices)."""
    said = told.facts
    words = [fact_word(word) for text in (said.sex, said.body_part, said.view) for word in _parts(text)]
    age = [gettext("%(age)s years", age=said.age)] if said.age else []
    if not age + words:
        return gettext("The box was told nothing of the patient. It went by the picture alone.")
    return gettext("The box was told: %(facts)s.", facts=listed(age + words))


def shows_words(answer: Answer) -> str:
    """What a picture is said to show; "" where nothing is."""
    words = [fact_word(word) for text in answer.shows for word in _parts(text)]
    return gettext("The picture is said to show: %(facts)s.", facts=listed(words)) if words else ""


def _parts(text: str) -> list[str]:
    return [part for part in text.split(JOINT) if part]


def place_words(answer: Answer) -> str:
    """Where a waiting picture is."""
    if answer.being_read:
        return gettext("This picture is being read now.")
    if answer.ahead == 0:
        return gettext("This picture is next.")
    if answer.ahead == 1:
        return gettext("One picture is read before this one.")
    return gettext("%(count)s pictures are read before this one.", count=answer.ahead)


def score(probability: float) -> str:
    """A probability as a figure from 0 to 100 that never rounds to certainty."""
    percent = 100 * probability
    if percent < LEAST_SHOWN:
        return gettext("less than %(figure)s", figure=decimal(LEAST_SHOWN))
    if percent > 100 - LEAST_SHOWN:
        return gettext("more than %(figure)s", figure=decimal(100 - LEAST_SHOWN))
    return decimal(percent)


def score_words(answer: Answer) -> list[str]:
    """The probability explained; nothing without one."""
    if answer.probability is None or answer.points is None:
        return []
    low, high = answer.points.high_sensitivity, answer.points.high_specificity
    said = [
        gettext("The score is %(score)s of 100.", score=score(answer.probability)),
        {
            ScreenState.FRACTURE: gettext(
                "From %(high)s upward the box says “fracture suspected”.", high=score(high)
            ),
            ScreenState.DOUBT: gettext(
                "From %(low)s up to %(high)s the box says “doubt”.", low=score(low), high=score(high)
            ),
            ScreenState.NONE: gettext("Below %(low)s the box says “no fracture found”.", low=score(low)),
        }[answer.state],
    ]
    if min(abs(answer.probability - low), abs(answer.probability - high)) < NEAR_LIMIT:
        said.append(gettext("That is close to the limit: look at this picture with extra care."))
    said.append(
        gettext(
            "The score says how much the picture resembles pictures of broken bones. "
            "It is not the chance that this patient has one."
        )
    )
    return said


STEPS = {
    Step.LANGUAGE: _("Language"),
    Step.CLINIC: _("Name of the clinic"),
    Step.ADMINISTRATOR: _("Who looks after this box?"),
    Step.DATE: _("Date and time"),
    Step.ENGINES: _("Engines and their self-test"),
    Step.SOURCES: _("Where pictures come from"),
    Step.TEST: _("A test picture"),
}

ROLES = {
    Role.USER: _("Sends pictures, sees answers"),
    Role.READER: _("Judges pictures too"),
    Role.ADMINISTRATOR: _("Looks after the box"),
}
_REFUSED = {
    "digits": _("A PIN has 6 to 12 digits. Nothing was stored."),
    "too easy": _("This PIN is too easy to guess. Choose one without a pattern. Nothing was stored."),
    "name is missing": _("Write a name first. Nothing was stored."),
    "is called": _("Somebody here has this name already. Add an initial. Nothing was stored."),
    "last administrator": _("This is the last one who looks after the box. Nothing was changed."),
    "has an administrator": _("Somebody looks after this box already. Sign in."),
}


def weak_pin_words(error: str) -> str:
    """What was wrong with a name or a PIN, by the words of the error."""
    said = next((text for part, text in _REFUSED.items() if part in error), None)
    return str(said or _("This was not stored. Look at what was written and try again."))


def wait_words(wait: timedelta) -> str:
    """That nobody looks at another PIN yet."""
    minutes = max(1, -(-int(wait.total_seconds()) // 60))
    return gettext("Too many wrong PINs. Wait %(minutes)s min, then try again.", minutes=minutes)


def no_anchor_words() -> str:
    """That a text is no anchor of the log."""
    return gettext("This is no anchor. It is a number, a colon and 64 letters and digits.")


ACTIONS = {
    Action.RECEIVED: _("Picture stored"),
    Action.ANSWERED: _("Picture read"),
    Action.FAILED: _("Picture could not be read"),
    Action.RETRIED: _("Another try asked for"),
    Action.READ: _("Read by a person"),
    Action.CORRECTED: _("Body part or patient corrected, read again"),
    Action.JOINED: _("Views joined into one examination"),
    Action.PARTED: _("View taken out of an examination"),
    Action.SIGNED_IN: _("Signed in"),
    Action.REFUSED: _("Wrong PIN"),
    Action.SIGNED_OUT: _("Signed out"),
    Action.PERSON_ADDED: _("Person added"),
    Action.PERSON_CHANGED: _("Person changed"),
    Action.PIN_CHANGED: _("PIN changed"),
    Action.SETTING_CHANGED: _("Setting changed"),
    Action.EXPORTED: _("Log exported"),
    Action.CONSENT_GIVEN: _("Patient agrees to an export without her name"),
    Action.CONSENT_WITHDRAWN: _("Patient agrees to an export no longer"),
    Action.CASE_EXPORTED: _("Picture left the box without a name"),
    Action.CASES_EXPORTED: _("Export of pictures ended"),
    Action.CASES_FETCHED: _("File with exported pictures fetched"),
    Action.POINTS_CHANGED: _("Limits of the box's answers changed"),
    Action.REPORTED: _("Report made as PDF"),
    Action.MENDED: _("Database mended"),
    Action.REMOVED: _("Pictures removed because their time was over"),
    Action.SET_ASIDE: _("Pictures without a record were set aside"),
    Action.TAKEN_IN: _("Pictures that were set aside taken in again"),
}


_ANSWERS = ("verdict", "box")


def actor_words(actor: str, names: dict[str, str]) -> str:
    """Who did it, by name."""
    known = {KIOSK: _("Somebody at the kiosk"), BOX: _("The box itself")}
    return str(known.get(actor) or names.get(actor, actor))


def detail_words(detail: dict[str, Any], hide_answers: bool = False) -> str:
    """The rest of an entry, for a technician: names and values, digests cut to twelve digits.

    hide_answers: where people say their own before they see the box's, the log is no way round.
    """
    shown = {name: value for name, value in detail.items() if not hide_answers or name not in _ANSWERS}
    short = {name: str(value)[:12] if name.endswith("sha256") else value for name, value in shown.items()}
    return ", ".join(f"{name} {value}" for name, value in short.items())


JUDGEMENTS = {
    Judgement.FRACTURE: _("Fracture"),
    Judgement.DOUBT: _("Not sure"),
    Judgement.NONE: _("No fracture"),
    Judgement.UNREADABLE: _("Cannot tell from this picture"),
}
KINDS = {
    Kind.OWN: _("Before the box's answer"),
    Kind.SECOND: _("Second reading"),
    Kind.OUTCOME: _("In the end"),
}


def share_words(share: Share) -> str:
    """Counts, percentage and interval, or that there is nothing yet."""
    if share.value is None:
        return gettext("nothing yet")
    low, high = share.interval
    return gettext(
        "%(count)s of %(total)s: %(percent)s %% (%(low)s to %(high)s %%)",
        count=share.count,
        total=share.total,
        percent=round(100 * share.value),
        low=math.floor(100 * low),
        high=math.ceil(100 * high),
    )


def figure_words(figures: Figures) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """The page's tables: a title, and rows of a name and a share in words."""
    tables: tuple[tuple[LazyText, tuple[tuple[LazyText, Share], ...]], ...] = (
        (
            _("Before and after the box's answer"),
            (
                (_("Own reading as the box"), figures.agreement),
                (_("Mind changed after the box's answer"), figures.changed),
                (_("of these, to what the box said"), figures.towards_box),
            ),
        ),
        (
            _("People's own readings against what it was in the end"),
            (
                (_("Fractures that people suspected, or were in doubt of"), figures.sensitivity),
                (_("Cases without a fracture that people called so"), figures.specificity),
            ),
        ),
    )
    return tuple(
        (str(title), tuple((str(name), share_words(share)) for name, share in rows)) for title, rows in tables
    )
