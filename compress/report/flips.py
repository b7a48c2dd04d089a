"""Every changed decision with its picture, as one page to leaf through. It holds radiographs and patient ids.

One file: pictures are inside, nothing is fetched, and the one script is the page's own, named by its digest
in the page's content security policy. Without a script it is a long page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from compress.datasets.base import Case
from compress.layers.parity import DIVERGES_BELOW_DB
from compress.record import NodeRecord, RunRecord
from compress.report import figures
from compress.report.flip_cases import Change, ChangedCase, Selection, changed_cases, select
from compress.report.flip_drawing import draw_chances
from compress.report.flip_evidence import (
    Divergence,
    Evidence,
    Missing,
    Sources,
    divergences_of,
    evidence_of,
    quantized_before,
)
from compress.report.gallery import LONG_SIDE_PX, in_pixels, jpeg
from runtime.errors import InputError
from runtime.overlay import TINT_FROM, draw_radiograph, tinted

PAGE = "flips.html"
MOST_LAYERS = 50
"""Cases of a quantized step that are compared layer by layer: seconds each for a large network."""
_LEAST_SCALE = 1e-3
"""Of evidence: below it there is nothing to tell apart."""


@dataclass(frozen=True)
class EvidenceMap:
    """title: whose. data: JPEG as base64; "" where there is none, then reason says why."""

    title: str
    data: str = ""
    reason: str = ""


@dataclass(frozen=True)
class FlipPictures:
    """The radiograph as JPEG in base64, the maps over it, and the evidence that has the strongest colour."""

    plain: str
    width_px: int
    height_px: int
    maps: tuple[EvidenceMap, ...]
    strongest: float


@dataclass(frozen=True)
class Decision:
    """Nodes that made the same change: at which point, from what to what."""

    point: str
    from_: str
    to: str
    against: str
    harmful: bool
    nodes: tuple[Change, ...]


@dataclass(frozen=True)
class Layer:
    """Where a quantized network first parts from the exported one in this case."""

    node: str
    words: str


@dataclass(frozen=True)
class Leaf:
    """One screen. pictures: None where the file could not be read, then trouble says why.

    truth: boxes in the pictures' pixels, (x, y, width, height).
    """

    number: int
    case: ChangedCase
    view: str
    study_id: str
    decisions: tuple[Decision, ...]
    drawing: Markup
    layers: tuple[Layer, ...]
    truth: tuple[tuple[float, float, float, float], ...] = ()
    pictures: FlipPictures | None = None
    trouble: str = ""

    @property
    def truth_words(self) -> str:
        """What is so."""
        return "fractured" if self.case.label else "healthy"


@dataclass(frozen=True)
class FlipPage:
    """Everything the template needs."""

    name: str
    points: dict[str, float]
    selection: Selection
    leaves: tuple[Leaf, ...]

    @property
    def engines(self) -> tuple[str, ...]:
        """To choose from."""
        return tuple(dict.fromkeys(name for leaf in self.leaves for name in leaf.case.engines))

    @property
    def body_parts(self) -> tuple[str, ...]:
        """To choose from, "" among them where somebody did not say."""
        return tuple(sorted({leaf.case.body_part for leaf in self.leaves}))


def write_flips(record: RunRecord, sources: Sources, path: Path) -> Selection:
    """Make the page, whole or not at all; without changed decisions none, and a former one goes.

    Maps and layers that cannot be made again are said on the page. Raises OSError where it cannot be written.
    """
    selection = select(changed_cases(record.nodes))
    if not selection.in_all:
        path.unlink(missing_ok=True)
        return selection
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(render_flips(flip_page(record, sources, selection)), encoding="utf-8")
    partial.replace(path)
    return selection


def render_flips(page: FlipPage) -> str:
    """The page as text. Every name and figure is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("compress.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = resources.files("compress.report").joinpath("templates/flips.js").read_text(encoding="utf-8")
    template = environment.get_template("flips.html.j2")
    return template.render(
        page=page,
        f=figures,
        script=Markup(script),  # noqa: S704  # our own, from the package
        script_digest=_script_digest(script),
        tint_from=TINT_FROM,
        colour_bar=colour_bar(),
    )


def flip_page(record: RunRecord, sources: Sources, selection: Selection) -> FlipPage:
    """Run the models on the cases shown, one model in memory at a time, and lay out what they say."""
    nodes = {node.name: node for node in record.nodes}
    original = figures.root(record)
    titles = [] if original is None else [original.name]
    wanted = {case.case_id: (*titles, *case.pictured) for case in selection.shown}
    maps = {
        name: evidence_of(sources, nodes[name], [key for key, names in wanted.items() if name in names])
        for name in dict.fromkeys(name for names in wanted.values() for name in names)
    }
    layers = dict(_layers(record.nodes, sources, selection.shown))
    leaves = []
    for number, case in enumerate(selection.shown, 1):
        own = {name: maps[name][case.case_id] for name in dict.fromkeys(wanted[case.case_id])}
        leaf = _leaf(number, case, sources.cases.get(case.case_id), record.operating_points)
        leaf = replace(leaf, layers=tuple(_layer_words(case, record.nodes, layers)))
        leaves.append(_with_pictures(leaf, sources, _titled(own, original)))
    name = str(record.recipe.get("name", "run"))
    return FlipPage(name, record.operating_points, selection, tuple(leaves))


def _layers(
    nodes: Sequence[NodeRecord], sources: Sources, cases: Sequence[ChangedCase]
) -> Iterator[tuple[str, dict[str, Divergence]]]:
    """(quantized node, where it diverges by case), over the cases that it or its compiled form changed."""
    by_name = {node.name: node for node in nodes}
    wanted: dict[str, dict[str, None]] = {}
    for case in cases:
        for change in case.changes:
            quantized = quantized_before(by_name[change.node], nodes)
            if quantized is not None:
                wanted.setdefault(quantized.name, {})[case.case_id] = None
    for name, own in wanted.items():
        case_ids = tuple(own)
        late = Missing(f"only the first {MOST_LAYERS} cases of a step were, since it takes long")
        found = divergences_of(sources, by_name[name], case_ids[:MOST_LAYERS])
        yield name, {**found, **dict.fromkeys(case_ids[MOST_LAYERS:], late)}


def _layer_words(
    case: ChangedCase, nodes: Sequence[NodeRecord], layers: dict[str, dict[str, Divergence]]
) -> Iterator[Layer]:
    for name, found in layers.items():
        if case.case_id in found:
            yield Layer(name, _divergence_text(found[case.case_id]))
    by_name = {node.name: node for node in nodes}
    plain = dict.fromkeys(change.node for change in case.changes)
    unrounded = [name for name in plain if quantized_before(by_name[name], nodes) is None]
    if unrounded:
        yield Layer(", ".join(unrounded), "not compared: nothing is rounded up to there")


def _divergence_text(found: Divergence) -> str:
    if isinstance(found, Missing):
        return f"not measured: {found.reason}"
    if found is None:
        return f"no layer below {DIVERGES_BELOW_DB:g} dB: the loss is spread over all"
    assert found.snr_db is not None
    return f"{found.name} ({found.operator}), {found.snr_db:.1f} dB signal to noise"


def _leaf(number: int, case: ChangedCase, known: Case | None, points: dict[str, float]) -> Leaf:
    return Leaf(
        number=number,
        case=case,
        view=known.view if known is not None else "",
        study_id=known.study_id if known is not None else "",
        decisions=tuple(_decisions(case)),
        drawing=draw_chances(case, points),
        layers=(),
    )


def _decisions(case: ChangedCase) -> Iterator[Decision]:
    """Grouped by what changed, in the order of the tree."""
    found: dict[tuple[str, str, str, str, bool], list[Change]] = {}
    for item in case.changes:
        found.setdefault((item.point, item.from_, item.to, item.against, item.harmful), []).append(item)
    for key, changes in found.items():
        yield Decision(*key, tuple(changes))


def _titled(maps: dict[str, Evidence], original: NodeRecord | None) -> dict[str, Evidence]:
    """Under the names that the page gives them."""
    first = "" if original is None else original.name
    return {"original checkpoint" if name == first else name: item for name, item in maps.items()}


def _with_pictures(leaf: Leaf, sources: Sources, maps: dict[str, Evidence]) -> Leaf:
    case = sources.cases.get(leaf.case.case_id)
    if case is None:
        return replace(leaf, trouble="the case is not among the gate patients")
    try:
        radiograph = sources.load(case)
    except InputError as error:
        return replace(leaf, trouble=str(error))
    pictures = _draw(draw_radiograph(radiograph, LONG_SIDE_PX), maps)
    return replace(leaf, pictures=pictures, truth=tuple(in_pixels(case.boxes, pictures)))


def _draw(picture: NDArray[np.uint8], maps: dict[str, Evidence]) -> FlipPictures:
    """All maps of a case in the same colours: the strongest evidence of any of them gets the last one."""
    peaks = [float(item.max()) for item in maps.values() if not isinstance(item, Missing)]
    strongest = max([_LEAST_SCALE, *peaks])
    drawn = tuple(_map(title, picture, item, strongest) for title, item in maps.items())
    return FlipPictures(jpeg(picture), picture.shape[1], picture.shape[0], drawn, strongest)


def _map(title: str, picture: NDArray[np.uint8], evidence: Evidence, strongest: float) -> EvidenceMap:
    if isinstance(evidence, Missing):
        return EvidenceMap(title, reason=evidence.reason)
    return EvidenceMap(title, jpeg(tinted(picture, (evidence / strongest).astype(np.float32))))


def colour_bar() -> str:
    """The colours of the maps from nothing to the strongest on a grey ground, as JPEG in base64."""
    ground = np.full((16, 256, 3), 96, np.uint8)
    values = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(16, axis=0)
    return jpeg(tinted(ground, values))


def _script_digest(script: str) -> str:
    """As a content security policy names it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
