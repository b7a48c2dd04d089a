"""What a bundle says about itself: plain values that cannot contradict one another."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runtime import strict
from runtime.anomaly import AnomalyLimits
from runtime.errors import BundleFormatError
from runtime.examination import ExaminationSpec
from runtime.expected import ExpectedAnswers
from runtime.findings import OperatingPoints, Verdict
from runtime.map_grid import Grid
from runtime.metadata import NOTHING_SAID, OLDEST_YEARS, MetadataSpec, PatientFacts
from runtime.preprocess import PreprocessSpec
from runtime.words import as_words, view_word

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
SCHEMA_VERSION = 1
STATUS_OK = "ok"
STATUS_DEFERRED = "deferred to the device"
REFERENCE = "reference"

ENGINE_NAMES = ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx")
PRECISIONS = ("fp32", "int8", "fp16")
_STATUSES = (STATUS_OK, STATUS_DEFERRED)
_GOLDEN_VERDICTS = (Verdict.FRACTURE, Verdict.DOUBT, Verdict.NONE)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_MAX_FILE_NAME_LENGTH = 200


def is_file_name(name: str) -> bool:
    """Whether `name` is a plain relative path: letters, digits, '.', '_', '-', parts joined by '/'."""
    return len(name) <= _MAX_FILE_NAME_LENGTH and _FILE_NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class IntendedUse:
    """What the model is for. body_parts, views: lower-case words; empty means that the maker does not say.

    ages_years: (youngest, oldest), both included; None where the maker does not say.
    """

    statement: str
    body_parts: tuple[str, ...] = ()
    ages_years: tuple[float, float] | None = None
    views: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(all(self.body_parts), "body_parts holds an empty word")
        if self.ages_years is not None:
            _require_ages(self.ages_years)
        for view in self.views:
            known = as_words(view) == view and view_word(view) == view
            _require(known, f'views must be plain words, "frontal" for AP and PA, got {view!r}')


@dataclass(frozen=True)
class EngineEntry:
    """One model for one engine.

    main, weights: names of files of the bundle. status: "ok", or "deferred to the device" for a model that
    the device itself must still compile; that one carries no promise and is never chosen.
    logit_tolerance: largest |logit - expected logit| on a golden case. map_tolerance: the same of a cell of
    its evidence map, None where the golden cases hold no maps of it. operating_points: by which this model
    decides, None for the bundle's. examination_points: the same for examinations of several views, where the
    bundle has thresholds for these.
    """

    engine: str
    precision: str
    main: str
    weights: str = ""
    status: str = STATUS_OK
    note: str = ""
    logit_tolerance: float = 0.05
    map_tolerance: float | None = None
    operating_points: OperatingPoints | None = None
    examination_points: OperatingPoints | None = None

    def __post_init__(self) -> None:
        _require_one_of("engine", self.engine, ENGINE_NAMES)
        _require_one_of("precision", self.precision, PRECISIONS)
        _require_one_of("status", self.status, _STATUSES)
        _require_positive("logit_tolerance", self.logit_tolerance)
        if self.map_tolerance is not None:
            _require_positive("map_tolerance", self.map_tolerance)
        _require(
            self.examination_points is None or self.operating_points is not None,
            "examination_points stand beside operating_points of the same engine",
        )
        for name in self.files:
            _require_file_name(name)

    @property
    def key(self) -> str:
        """What the entry is called everywhere: "onnxruntime-int8"."""
        return f"{self.engine}-{self.precision}"

    @property
    def files(self) -> tuple[str, ...]:
        """Its file names: main, and weights where there are any."""
        return (self.main, self.weights) if self.weights else (self.main,)

    @property
    def runs(self) -> bool:
        """Whether the entry promises to run."""
        return self.status == STATUS_OK


@dataclass(frozen=True)
class GoldenCase:
    """An image with a known answer.

    verdict: fracture, doubt or none. logits: expected fracture logit per engine key; "reference" is the
    original checkpoint's. facts: what the model is told beside the picture. strange: the statistics of
    features refuse the picture, and every engine must find it as strange; the logits count all the same.
    maps: expected evidence map per engine key, as means (logits) over equal parts of its area, row by row.
    """

    name: str
    file: str
    verdict: str
    logits: dict[str, float]
    facts: PatientFacts = NOTHING_SAID
    strange: bool = False
    maps: dict[str, Grid] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(bool(self.name), "a golden case needs a name")
        _require_file_name(self.file)
        _require_one_of("verdict", self.verdict, tuple(map(str, _GOLDEN_VERDICTS)))
        for key, logit in self.logits.items():
            _require(math.isfinite(logit), f"golden case {self.name}: logit of {key} is {logit}")
        for key, grid in self.maps.items():
            _require_grid(f"golden case {self.name}: map of {key}", grid)


@dataclass(frozen=True)
class FileEntry:
    """SHA-256 (lower-case hex) and length of a file."""

    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        _require(_SHA256.fullmatch(self.sha256) is not None, f"sha256 must be 64 hex digits: {self.sha256!r}")
        _require(self.size_bytes >= 0, f"size_bytes must not be negative, got {self.size_bytes}")


@dataclass(frozen=True)
class Manifest:
    """Everything a bundle says about itself; `write_bundle` fills in `files`.

    created_utc: ISO 8601 with a time zone. labels: names of the model's outputs. gates: verdict summaries,
    as the gates wrote them. provenance: recipe, data set digest, versions. anomaly: from which distance
    on a picture is too strange to answer for. examination: how several views become one answer; a bundle that
    says nothing means ExaminationSpec's own. metadata: which facts of a patient the models take as a second
    input; None for models that look at the picture alone. expected: the answers of the reference on the gate
    patients, for a site to compare its own with; None where the maker does not say. files: every file of the
    bundle but the manifest and its signature.

    Raises ValueError for values that contradict one another.
    """

    name: str
    version: str
    created_utc: str
    labels: tuple[str, ...]
    intended_use: IntendedUse
    preprocess: PreprocessSpec
    operating_points: OperatingPoints
    engines: tuple[EngineEntry, ...]
    gates: tuple[dict[str, Any], ...] = ()
    golden: tuple[GoldenCase, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    anomaly: AnomalyLimits | None = None
    examination: ExaminationSpec = field(default_factory=ExaminationSpec)
    metadata: MetadataSpec | None = None
    expected: ExpectedAnswers | None = None
    files: dict[str, FileEntry] = field(default_factory=dict)
    schema: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _require(
            self.schema == SCHEMA_VERSION, f"schema {self.schema} is not known, expected {SCHEMA_VERSION}"
        )
        for what, word in (("name", self.name), ("version", self.version)):
            _require(_WORD.fullmatch(word) is not None, f"{what} must be one plain word, got {word!r}")
        _require_time(self.created_utc)
        _require(bool(self.labels) and all(self.labels), "labels must name every output")
        _require(bool(self.engines), "a bundle needs at least one engine")
        _require_unique("engine", (entry.key for entry in self.engines))
        for entry in self.engines:
            _require_own_points(entry, self.examination)
            _require_maps(entry, self.golden)
        _require_unique("golden case", (case.name for case in self.golden))
        strange = [case.name for case in self.golden if case.strange]
        _require(not strange or self.anomaly is not None, f"no statistics find {strange} strange")
        for case in self.golden:
            _require_facts(case, self.metadata)
        if self.anomaly is not None:
            _require_file_name(self.anomaly.file)
        for name in self.files:
            _require_file_name(name)
            _require(name not in (MANIFEST_NAME, SIGNATURE_NAME), f"files must not list {name}")

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the files that engines, golden cases and anomaly limits refer to."""
        models = (name for entry in self.engines for name in entry.files)
        statistics = () if self.anomaly is None else (self.anomaly.file,)
        return tuple(dict.fromkeys((*models, *(case.file for case in self.golden), *statistics)))

    def points_of(self, entry: EngineEntry) -> OperatingPoints:
        """By which one of its engines decides: its own thresholds, where it has some, else the bundle's."""
        return entry.operating_points or self.operating_points

    def examination_of(self, entry: EngineEntry) -> ExaminationSpec:
        """How the views that one of its engines has read become one answer."""
        if entry.examination_points is None:
            return self.examination
        return dataclasses.replace(self.examination, operating_points=entry.examination_points)

    def to_json(self) -> bytes:
        """The exact bytes that are signed: UTF-8, sorted keys, two-space indents, one line feed at the end.

        Raises BundleFormatError for a value that JSON cannot hold (NaN, infinities, objects).
        """
        try:
            text = json.dumps(self._table(), sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise BundleFormatError(f"the manifest cannot be written as JSON: {error}") from error
        return f"{text}\n".encode()

    def _table(self) -> dict[str, Any]:
        """What is not there is not mentioned: runtimes from before it open such a bundle too."""
        table = dataclasses.asdict(self)
        _drop_empty(table["intended_use"], "ages_years", "views")
        for entry in table["engines"]:
            _drop_empty(entry, "map_tolerance", "operating_points", "examination_points")
        for case in table["golden"]:
            _drop_empty(case, "strange", "maps")
        _drop_empty(table, "expected")
        if self.metadata is None:
            del table["metadata"]
            for case in table["golden"]:
                del case["facts"]
        return table

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Bytes -> Manifest. Raises BundleFormatError naming the key that is unknown, missing or wrong."""
        return strict.build(cls, strict.loads(data, MANIFEST_NAME), "manifest")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _drop_empty(table: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if not table[key]:
            del table[key]


def _require_positive(what: str, value: float) -> None:
    _require(math.isfinite(value) and value > 0, f"{what} must be positive, got {value}")


def _require_grid(what: str, grid: Grid) -> None:
    _require(
        bool(grid) and bool(grid[0]) and len({len(row) for row in grid}) == 1,
        f"{what} must have rows of one length, got lengths {[len(row) for row in grid]}",
    )
    wrong = [cell for row in grid for cell in row if not math.isfinite(cell)]
    _require(not wrong, f"{what} must hold finite numbers, got {wrong[:1]}")


def _require_ages(ages_years: tuple[float, ...]) -> None:
    # A file may hold any number of numbers where the type says two.
    _require(
        len(ages_years) == 2 and 0 <= ages_years[0] <= ages_years[-1] <= OLDEST_YEARS,
        f"ages_years must be youngest and oldest, within 0 to {OLDEST_YEARS:g}, got {list(ages_years)}",
    )


def _require_one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    _require(value in known, f"{what} must be one of {', '.join(known)}, got {value!r}")


def _require_own_points(entry: EngineEntry, examination: ExaminationSpec) -> None:
    """Thresholds of images and of examinations are an engine's own together, or neither is."""
    if entry.operating_points is None:
        return
    wanted = examination.operating_points is not None
    _require(
        (entry.examination_points is not None) is wanted,
        f"engine {entry.key} decides by operating points of its own and the bundle "
        f"{'has' if wanted else 'has none'} for examinations, so it must have {'' if wanted else 'no '}"
        "examination_points",
    )


def _require_maps(entry: EngineEntry, golden: tuple[GoldenCase, ...]) -> None:
    """Of all golden cases or of none: half of a check would be taken for a whole one."""
    wanted = entry.map_tolerance is not None
    wrong = [case.name for case in golden if (entry.key in case.maps) is not wanted]
    _require(
        not wrong,
        f"engine {entry.key} has {'a' if wanted else 'no'} map_tolerance, so golden case "
        f"{', '.join(wrong[:1])} must hold {'a' if wanted else 'no'} map of it",
    )


def _require_facts(case: GoldenCase, spec: MetadataSpec | None) -> None:
    told = NOTHING_SAID if spec is None else spec.understand(case.facts).facts
    _require(told == case.facts, f"golden case {case.name} states facts that no model of the bundle takes")


def _require_file_name(name: str) -> None:
    _require(
        is_file_name(name),
        f"file name {name!r} must be a relative path of letters, digits, '.', '_', '-' and '/'",
    )


def _require_unique(what: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        _require(count == 1, f"{what} {name!r} appears {count} times")


def _require_time(text: str) -> None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    _require(
        moment is not None and moment.tzinfo is not None,
        f"created_utc must be ISO 8601 with a time zone, got {text!r}",
    )
