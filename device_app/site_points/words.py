"""What the administrator's pages say of limits, marked for translation.

Counts stand at the end of a phrase, so that no language needs a plural for them.
"""

from __future__ import annotations

import math

from device_app.agreement import Share
from device_app.language import LazyText, gettext, lazy_gettext
from device_app.site_points.advice import Advice, Judgement, is_lopsided
from device_app.site_points.cases import ALARMS, Evidence, Figures, Source
from device_app.site_points.changes import Changes
from device_app.site_points.how_sure import rounded
from device_app.site_points.limits import WIDEST, Promise, widened
from runtime.findings import Verdict

_ = lazy_gettext
VERDICTS = {
    Verdict.FRACTURE: _("fracture suspected"),
    Verdict.DOUBT: _("doubt"),
    Verdict.NONE: _("no fracture found"),
}
_ADVICE: dict[Advice, tuple[LazyText, LazyText]] = {
    Advice.NO_PROMISE: (
        _("Change nothing."),
        _("This model does not say how often it is right, so nothing can be compared with it."),
    ),
    Advice.FEW: (
        _("Change nothing. Too little is known yet."),
        _("State what it was in the end, above all of pictures in which the box found no fracture."),
    ),
    Advice.LOPSIDED: (
        _("Change nothing. What was followed up gives a wrong picture."),
        _(
            "Fractures that the box missed are seldom found by chance. For one month, state of every picture "
            "what it was in the end, whatever the box said."
        ),
    ),
    Advice.KEEP: (
        _("Change nothing. The box does here what its maker's test says."),
        _("Go on stating what it was in the end."),
    ),
    Advice.MISSES: (
        _("The box misses more fractures here than in its maker's test."),
        _("Lower where “doubt” begins, and ask the maker. Until then examine every patient with care."),
    ),
    Advice.FALSE_ALARMS: (
        _("The box raises more false alarms here than in its maker's test."),
        _("They cost time; missed fractures cost more. Raise a limit only where no fracture is lost."),
    ),
    Advice.FALSE_SUSPICIONS: (
        _("The box says “fracture suspected” too often here."),
        _("It should say “doubt” of some of these. No patient is sent home by that."),
    ),
}


def advice_words(judgement: Judgement) -> tuple[str, str]:
    """What there is to say of the limits in force, and what to do."""
    what, step = _ADVICE[judgement.advice]
    return str(what), str(step)


def no_proposal_words(judgement: Judgement) -> str:
    """Why nothing is proposed; "" where something is, or where nothing is wrong."""
    if judgement.proposal is not None:
        return ""
    if judgement.advice is Advice.MISSES:
        return gettext("No limit that may be chosen here finds as many fractures as promised. Ask the maker.")
    if judgement.advice in (Advice.FALSE_ALARMS, Advice.FALSE_SUSPICIONS):
        return gettext("No other limit is better for certain: a higher one may lose fractures.")
    return ""


def needed_words(judgement: Judgement, figures: Figures) -> str:
    """How much must be known before anything is proposed; "" where that cannot be said."""
    if not judgement.needed_fractures:
        return ""
    return gettext(
        "Needed before anything is proposed, so that shares are known to within %(reach)s in 100 either way: "
        "confirmed fractures %(least)s (now %(count)s), confirmed cases without one %(others)s "
        "(now %(now)s).",
        reach=round(50 * WIDEST),
        least=judgement.needed_fractures,
        count=figures.sensitivity.total,
        others=judgement.needed_others,
        now=figures.specificity.total,
    )


def estimate_words(value: float) -> str:
    """A share alone."""
    return gettext("%(percent)s%%", percent=rounded(value, 1))


def source_words(evidence: Evidence) -> list[str]:
    """Where what is known comes from, and what to think of it."""
    outcomes, seconds = evidence.known_from(Source.OUTCOME), evidence.known_from(Source.SECOND)
    said = [
        gettext(
            "Known from the end of it: %(outcomes)s. Known from a second reading alone: %(seconds)s.",
            outcomes=outcomes,
            seconds=seconds,
        )
    ]
    if seconds:
        said.append(
            gettext(
                "A second reading is given by somebody who has seen the box's answer, so it agrees with the "
                "box too often. What it was in the end counts for more: state it where you can."
            )
        )
    if evidence.other:
        said.append(
            gettext(
                "Followed up, but not counted here (another model, several views with limits of their own, "
                "or a view that was not read): %(count)s.",
                count=evidence.other,
            )
        )
    return said


def bias_words(evidence: Evidence) -> str:
    """That those without a finding were followed up less often; "" where that is not seen."""
    quiet, alarmed = evidence.followed_up(Verdict.NONE), evidence.followed_up(*ALARMS)
    if not quiet.total or quiet.count == 0:
        return gettext(
            "Nobody has followed up a picture in which the box found no fracture. So nobody knows how many "
            "it misses, and the figures below say nothing about that."
        )
    if is_lopsided(evidence):
        return gettext(
            "Of pictures in which the box found no fracture, %(few)s were followed up; of the others, "
            "%(many)s. So the box seems to find more fractures than it does.",
            few=followed_up_words(quiet),
            many=followed_up_words(alarmed),
        )
    return ""


def followed_up_words(share: Share) -> str:
    """Of pictures with one answer."""
    return gettext("%(count)s of %(total)s", count=share.count, total=share.total)


def lost_words(changes: Changes) -> str:
    """What comes first: fractures that would no longer be found."""
    if not changes.fractures:
        return gettext("Nobody knows how many fractures would be missed: none is confirmed here yet.")
    if not changes.lost:
        return gettext(
            "No confirmed fracture would become “no fracture found”. Confirmed fractures: %(count)s.",
            count=changes.fractures,
        )
    return gettext(
        "Confirmed fractures that would become “no fracture found”: %(lost)s of %(count)s.",
        lost=changes.lost,
        count=changes.fractures,
    )


def change_words(changes: Changes) -> list[str]:
    """The rest of what would have been."""
    return [
        gettext("Confirmed fractures that would be found in addition: %(count)s.", count=changes.gained),
        gettext("False alarms less: %(count)s.", count=changes.relieved),
        gettext("False alarms more: %(count)s.", count=changes.alarmed),
        gettext(
            "Answers that would be others: %(count)s of %(total)s.",
            count=changes.different,
            total=changes.examinations,
        ),
    ]


def moved_words(before: Verdict, after: Verdict) -> str:
    """From one answer to another."""
    return gettext("from “%(before)s” to “%(after)s”", before=VERDICTS[before], after=VERDICTS[after])


def floor_words(figures: Figures, promise: Promise | None) -> str:
    """What the administrator confirms expressly."""
    low = math.floor(100 * widened(figures.sensitivity)[0])
    if promise is None or promise.sensitivity.value is None:
        return gettext("The model promises nothing that these limits could be compared with.")
    return gettext(
        "By what is known here, these limits may find as few as %(low)s in 100 fractures. The maker's test "
        "found %(promised)s in 100. So it is not shown that they find as many.",
        low=low,
        promised=rounded(promise.sensitivity.value, 1),
    )
