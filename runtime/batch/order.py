"""What every worker of a run is told, and the answer that is given in place of one that is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runtime.batch.pictures import draw, keep
from runtime.batch.task import Answer, Place
from runtime.bundle import Bundle
from runtime.findings import Findings, Provenance, Refusal, RefusalCode, Verdict
from runtime.metadata import NOTHING_SAID, PatientFacts

NOT_DRAWN = "No picture with the answer was written: the file could not be read a second time."
_ADVICE = "Have a clinician read the radiograph. `ulna detect` with --retry reads it again."


@dataclass(frozen=True)
class Order:
    """An engine of a bundle, which workers open by the digest that their parent checked, and what was said of
    every picture. nobody: the provenance of an answer that no worker gave.

    threads: of the engine, 0 for all cores. pictures: whether to draw them. pictures_to: the folder that the
    worker writes them to, "" to give them back with the answer.
    """

    root: str
    digest: str
    signed_by: str
    engine: str
    nobody: Provenance
    threads: int = 0
    facts: PatientFacts = NOTHING_SAID
    pictures: bool = False
    pictures_to: str = ""


@dataclass(frozen=True)
class Ready:
    """A worker's first words."""


@dataclass(frozen=True)
class Stop:
    """A worker that cannot do its work at all: an UlnaError's message and hint."""

    message: str
    hint: str


def order_of(bundle: Bundle, engine: str) -> Order:
    """For an engine of an opened bundle. Raises BundleError for a key that it does not hold."""
    entry, manifest = bundle.entry(engine), bundle.manifest
    model = manifest.files.get(entry.main)
    nobody = Provenance(
        image_sha256="",
        bundle_sha256=bundle.digest,
        bundle_name=manifest.name,
        bundle_version=manifest.version,
        engine=entry.engine,
        precision=entry.precision,
        model_sha256="" if model is None else model.sha256,
    )
    return Order(str(bundle.root), bundle.digest, bundle.signed_by, engine, nobody)


def answer_to(order: Order, place: Place, findings: Findings, data: bytes | None) -> Answer:
    """With its picture, if one was ordered and can be drawn. data: of the radiograph, None for none.

    Raises UlnaError where the picture cannot be written.
    """
    if not order.pictures:
        return Answer(place, findings.to_json())
    picture = draw(data, findings)
    if picture is None:
        findings = replace(findings, warnings=(*findings.warnings, NOT_DRAWN))
    if order.pictures_to:
        keep(order.pictures_to, place, picture)
        return Answer(place, findings.to_json())
    return Answer(place, findings.to_json(), picture)


def lost(order: Order, place: Place, what: str) -> Answer:
    """The answer for a picture whose worker ended or gave none."""
    message = f"The analysis failed ({what}). There is no result for this image."
    refusal = Refusal(RefusalCode.ENGINE, message, _ADVICE)
    return answer_to(order, place, Findings(Verdict.UNREADABLE, order.nobody, refusal=refusal), None)
