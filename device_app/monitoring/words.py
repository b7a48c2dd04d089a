"""Everything that the page on the box's trustworthiness says, marked for translation."""

from __future__ import annotations

from dataclasses import dataclass

from device_app.agreement import Share
from device_app.answers import Answer, ScreenState
from device_app.intake import words as source_words
from device_app.language import decimal, gettext, lazy_gettext, ngettext
from device_app.monitoring.book import OPTIONS, Expectation, SiteWatch
from device_app.monitoring.state import Level, Reason, Why
from device_app.notices import Notice, kind_words
from device_app.words import ReasonWords, StateWords, reason_words

_ = lazy_gettext
WEEKS_A_YEAR = 52

VERDICTS = {
    Level.TRUST: StateWords(
        _("The box can be trusted now."),
        _("It passed its own test, and nothing that it can see of itself has changed."),
        (_("It still misses fractures and suspects some that are not there. Examine the patient."),),
    ),
    Level.LOOK: StateWords(
        _("Look at this."),
        _("The box answers, but something is not as it should be."),
        (_("Do soon what stands here, or tell whoever looks after the box."),),
    ),
    Level.STOP: StateWords(
        _("Do not rely on the box now."),
        _("It does not answer, or its answers are no longer what they were."),
        (_("Decide by examining the patient. If in doubt, refer. Tell whoever looks after the box."),),
    ),
}
ICONS = {Level.TRUST: "ready", Level.LOOK: "doubt", Level.STOP: "unreadable"}

_DETECTOR = _(
    "Look for dirt or damage on the detector, a new grid, another exposure or other processing of the "
    "pictures. Have a clinician look at the latest pictures and answers."
)
_COMPARE = _(
    "Have a clinician read about fifty pictures from here and compare, before relying on the box."
    " If their answers and those of the box agree, whoever looks after the box begins the watch anew."
)
_REASONS = {
    Why.CANNOT_ANSWER: ReasonWords(_("No pictures are being read."), _("See “This box” for the reason.")),
    Why.NOT_READY: ReasonWords(_("The reading program is starting."), _("Wait a few minutes.")),
    Why.SCORES_UP: ReasonWords(
        _("Scores of pictures without a finding have risen. The box may suspect what is not there."),
        _DETECTOR,
    ),
    Why.SCORES_DOWN: ReasonWords(
        _("Scores of pictures without a finding have fallen. The box may miss fractures."), _DETECTOR
    ),
    Why.UNLIKE_UP: ReasonWords(
        _("Pictures from here score higher than those that the model was proven on."), _COMPARE
    ),
    Why.UNLIKE_DOWN: ReasonWords(
        _("Pictures from here score lower than those that the model was proven on."), _COMPARE
    ),
    Why.REFUSALS: ReasonWords(
        _("More pictures are refused than before."),
        _("See below for what reasons. Ask those who take the pictures what is new."),
    ),
    Why.UNLIKE_REFUSALS: ReasonWords(
        _("More pictures from here are unfamiliar to the model than of those that it was proven on."),
        _("Check that only X-ray pictures of the parts that the box was made for are sent."),
    ),
    Why.FAILURES: ReasonWords(
        _("Several pictures could not be read to the end."),
        _("Try them again from their pages. If it goes on, tell whoever looks after the box."),
    ),
    Why.CLOCK: ReasonWords(
        _("The box's clock is wrong, or was wrong not long ago: dates and weeks may be wrong."),
        _("Look at the box's clock, and set it if it is wrong."),
    ),
    Why.LOG: ReasonWords(
        _("The log was changed."), _("Check it on the page “Log”, and tell whoever looks after the box.")
    ),
    Why.PICTURES: ReasonWords(
        _("Stored pictures are not on the disk."),
        _(
            "Look whether a disk is not connected, or the folder “images” was moved, and put it back. What "
            "cannot be found is lost; the answers are kept."
        ),
    ),
    Why.RETIRED: ReasonWords(
        _("An engine that reads pictures has failed and is not used any more."),
        _("Tell whoever looks after the box."),
    ),
    Why.QUEUE: ReasonWords(
        _("So many pictures wait that no new ones are taken."),
        _("Keep new pictures on the X-ray machine, and send them when some have been read."),
    ),
    Why.FULL: ReasonWords(
        _("The disk is full: no new pictures are taken."), _("Tell whoever looks after the box.")
    ),
    Why.HOT: ReasonWords(
        _("The box is too hot."), _("Free its openings, clean the fan, and put it where it is cooler.")
    ),
    Why.THROTTLED: ReasonWords(
        _("The processor is being slowed down."),
        _("Cool the box, or give it the power supply that it came with."),
    ),
    Why.MEMORY: ReasonWords(
        _("Little memory is free."), _("Switch the box off and on when nobody waits for a picture.")
    ),
    Why.DISK: ReasonWords(_("The disk is nearly full."), _("Tell whoever looks after the box.")),
    Why.BUSY: ReasonWords(
        _("The processor has more to do than it can."), _("Answers take longer. Send fewer pictures at once.")
    ),
}
_FAILURES = {
    "died": _("the reading program stopped unexpectedly"),
    "timeout": _("took too long"),
    "engine": _("the engine gave no answer"),
    "interrupted": _("interrupted too often"),
    "file_lost": _("the stored picture was damaged"),
}


@dataclass(frozen=True)
class ReasonSaid:
    """A reason in the language of whoever looks."""

    what: str
    step: str


def reason_said(reason: Reason) -> ReasonSaid:
    """What it is and what to do."""
    if reason.source is not None:
        kind, trouble = reason.source.kind, reason.source.trouble
        what = f"{source_words.KINDS[kind]}: {source_words.TROUBLES[trouble]}"
        return ReasonSaid(what, gettext("See “This box” for the reason."))
    words = _REASONS[reason.why]
    if reason.why is Why.PICTURES:
        return ReasonSaid(_missing_words(reason.count), str(words.step))
    return ReasonSaid(str(words.what), str(words.step))


def _missing_words(count: int) -> str:
    return ngettext(
        "%(num)s stored picture is not on the disk.", "%(num)s stored pictures are not on the disk.", count
    )


def since(reason: Reason) -> str:
    """Since when and against what; empty for what is of now."""
    if not reason.week:
        return ""
    if reason.why is Why.FAILURES:
        return gettext("Week %(week)s: %(count)s pictures.", week=reason.week, count=reason.count)
    if reason.why is Why.CLOCK:
        return gettext("Week %(week)s.", week=reason.week)
    if not reason.weeks:
        return gettext("Noticed in week %(week)s, against the maker's pictures.", week=reason.week)
    return gettext(
        "Noticed in week %(week)s, against the first %(weeks)s weeks here.",
        week=reason.week,
        weeks=reason.weeks,
    )


def refusal_words(code: str) -> str:
    """Why pictures were refused."""
    found = reason_words(Answer(ScreenState.UNREADABLE, reason=code))
    assert found is not None
    return str(found.what)


def failure_words(code: str) -> str:
    """Why a try ended without any answer."""
    return str(_FAILURES.get(code, code))


def warning_words(kind: str) -> Notice:
    """A kind of warning in a few words; one that is not known, as the detector words it."""
    return kind_words(kind)


def share_text(share: Share) -> str:
    """A share; a dash where there was nothing to count."""
    return "—" if share.value is None else f"{decimal(100 * share.value)}%"


def interval_text(share: Share) -> str:
    """Where the true share lies."""
    low, high = share.interval
    return gettext("%(low)s to %(high)s", low=f"{100 * low:.0f}", high=f"{100 * high:.0f}")


def gigabytes(size_bytes: int | None) -> str:
    """A size; a dash for one that is not known."""
    return "—" if size_bytes is None else f"{decimal(size_bytes / 1e9)} GB"


def watch_words(watched: SiteWatch, expectation: Expectation | None) -> list[str]:
    """What the newest weeks are compared with, as it is now."""
    drift = watched.drift
    said = [_compared_words(watched, expectation)]
    if not drift.references:
        said.append(
            gettext(
                "Still learning what is usual here: %(weeks)s of %(all)s weeks, "
                "%(seen)s of %(least)s examinations.",
                weeks=min(drift.weeks, OPTIONS.first_weeks),
                all=OPTIONS.first_weeks,
                seen=min(drift.examinations, OPTIONS.least),
                least=OPTIONS.least,
            )
        )
    years = OPTIONS.weeks_between / WEEKS_A_YEAR
    said.append(
        gettext(
            "Where nothing changes, this raises at most one false alarm in %(years)s years on average.",
            years=f"{years:.0f}",
        )
    )
    return said


def _compared_words(watched: SiteWatch, expectation: Expectation | None) -> str:
    if watched.drift.references:
        return gettext(
            "New pictures are compared with those of the first %(weeks)s weeks here.",
            weeks=watched.drift.references[-1],
        )
    if watched.begun_anew:
        return gettext("The watch was begun anew: what comes now is taken as usual here.")
    if expectation is None:
        return gettext("What the model says is to be expected could not be read yet.")
    if expectation.answers is not None:
        return gettext("New pictures are compared with those that the model was proven on.")
    return gettext("This model does not say what to expect: the first weeks here will be compared with.")
