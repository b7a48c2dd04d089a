"""Photographs of films, computed from radiographs: what a tablet's camera would take of a film on a lightbox.

This is a simulation. It knows light boxes, print curves, perspective, reflections, focus, shake, noise, gamma
and JPEG as far as a few formulas go; real films have scratches, handwriting and bent edges, and real cameras
sharpen and remove noise. Light is added and multiplied as light is and becomes gray values at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float32]
"""(H, W): 1 is what the light box sends at its brightest place."""
Plane = NDArray[np.uint8]
FRAME = (2000, 1500)
"""Width and height in pixels: 3 of the 8 to 12 megapixels that tablets have, for the time it takes."""
_CLEAR = 0.63  # of light that a film without silver lets through, density 0.2
_FOCALS = (0.72, 1.0)  # of the long side


@dataclass(frozen=True)
class Scene:
    """What is photographed, and how.

    kind: "lightbox", "monitor", or "fills" for a film whose edges lie outside the picture. share: the film's
    long side over the frame's. density: of its black. print_power: of the printer's curve. margin: black (or
    clear) around the picture, as a share of its long side. fall: share of light lost in the box's corners.
    glare: light of a reflection over that of the box; glare_size: its radius over the frame's long side.
    blur, shake: sigma and length over the film's long side. exposure: of the box's light, 1 is white.
    """

    kind: str = "lightbox"
    tilt_deg: float = 0.0
    around_deg: float = 0.0
    roll_deg: float = 0.0
    share: float = 0.75
    off: tuple[float, float] = (0.0, 0.0)
    density: float = 2.6
    print_power: float = 2.2
    margin: float = 0.0
    clear_margin: bool = False
    corner: float = 0.0
    label: bool = False
    fall: float = 0.0
    glare: float = 0.0
    glare_size: float = 0.08
    veil: float = 0.002
    blur: float = 0.0005
    shake: float = 0.0
    noise: float = 0.01
    exposure: float = 0.9
    clutter: bool = False
    panel: float = 1.6
    films: int = 1
    quality: int = 88
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Photograph:
    """data: a JPEG. corners: (4, 2), of the film in pixels, from its upper left, clockwise; where several lie
    there, of the first. inner: of the picture on it.
    """

    data: bytes
    corners: NDArray[np.float64]
    inner: NDArray[np.float64]


def drawn(seed: int, **given: object) -> Scene:
    """A scene as a careful nurse would take it, by chance; `given` is as it is given."""
    random = np.random.default_rng(seed)
    margin = float(random.choice([0.0, 0.02, 0.05]))
    by_chance: dict[str, object] = {
        "tilt_deg": float(random.uniform(0, 20)),
        "around_deg": float(random.uniform(0, 360)),
        "roll_deg": float(random.normal(0, 4)),
        "share": float(random.uniform(0.6, 0.85)),
        "off": (float(random.normal(0, 0.02)), float(random.normal(0, 0.02))),
        "density": float(random.uniform(1.9, 3.0)),
        "print_power": float(random.uniform(1.9, 2.8)),
        "margin": margin,
        "clear_margin": bool(random.random() < 0.25),
        "corner": float(random.choice([0.0, 0.02, 0.035])),
        "label": bool(random.random() < 0.4),
        "fall": float(random.uniform(0, 0.35)),
        "veil": float(random.uniform(0, 0.008)),
        "blur": float(random.uniform(0.0004, 0.0011)),
        "noise": float(random.uniform(0.004, 0.02)),
        "exposure": float(random.uniform(0.6, 1.15)),
        "clutter": bool(random.random() < 0.5),
        "panel": float(random.uniform(1.25, 2.6)),
        "quality": int(random.integers(75, 95)),
        "seed": seed,
    }
    return Scene(**{**by_chance, **given})  # type: ignore[arg-type]


def take(radiograph: Plane, scene: Scene) -> Photograph:
    """The photograph of a film of it. radiograph: (H, W) uint8, bone bright."""
    random = np.random.default_rng(scene.seed)
    film = _monitor(radiograph) if scene.kind == "monitor" else _film(radiograph, scene)
    camera = _Camera(scene, random)
    corners = camera.corners(film.shape[1] / film.shape[0])
    light = _room(scene, random, camera)
    light = _laid(light, film, corners, scene)
    if scene.films > 1:
        light = _laid(light, film, _beside(corners), scene)
    light = light + np.float32(scene.veil) + _reflection(scene, random)
    light = _out_of_focus(light, scene, random)
    return Photograph(
        _developed(light, scene, random), corners, _inner(corners, radiograph.shape, film.shape)
    )


def _inner(
    corners: NDArray[np.float64], picture: tuple[int, ...], film: tuple[int, ...]
) -> NDArray[np.float64]:
    """Where the picture's own corners are, which has the same border on all sides of the film."""
    (high, wide), (height, width) = picture, film
    x, y = (width - wide) / 2, (height - high) / 2
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    own = np.array([[x, y], [width - x, y], [width - x, height - y], [x, height - y]], np.float32)
    turn = cv2.getPerspectiveTransform(flat, corners.astype(np.float32))
    return np.asarray(cv2.perspectiveTransform(own[None], turn)[0], np.float64)


class _Camera:
    """A pinhole before a plane."""

    def __init__(self, scene: Scene, random: np.random.Generator) -> None:
        self.focal_px = float(random.uniform(*_FOCALS)) * max(FRAME)
        self._scene = scene
        tilt, around, roll = (math.radians(x) for x in (scene.tilt_deg, scene.around_deg, scene.roll_deg))
        axis = np.array([math.cos(around), math.sin(around), 0.0])
        self._turn = cv2.Rodrigues(axis * tilt)[0] @ cv2.Rodrigues(np.array([0.0, 0.0, roll]))[0]

    def corners(self, aspect: float, scale: float = 1.0) -> NDArray[np.float64]:
        """Of a rectangle in the film's middle; one of scale 1 is the film and has its share of the frame."""
        width, height = (1.0, 1 / aspect) if aspect >= 1 else (aspect, 1.0)
        flat = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2 * scale
        points = np.column_stack([flat, np.zeros(4)]) @ self._turn.T
        room = (
            min(FRAME[0] / width, FRAME[1] / height)
            if self._scene.kind != "fills"
            else max(FRAME[0] / width, FRAME[1] / height)
        )
        far = self.focal_px / (room * self._scene.share)
        points[:, 2] += far
        seen = self.focal_px * points[:, :2] / points[:, 2:]
        return np.asarray(seen + np.array(FRAME) * (0.5 + np.array(self._scene.off)), np.float64)


def _film(radiograph: Plane, scene: Scene) -> Light:
    """Light that it lets through, without what is behind it."""
    gray = (_labelled(radiograph) if scene.label else radiograph).astype(np.float32) / 255
    border = round(scene.margin * max(gray.shape))
    fill = 1.0 if scene.clear_margin else 0.0
    gray = cv2.copyMakeBorder(gray, border, border, border, border, cv2.BORDER_CONSTANT, value=fill)
    black = 10 ** (-(scene.density - 0.2) / scene.print_power)
    return np.asarray(_CLEAR * (black + (1 - black) * gray) ** scene.print_power, np.float32)


def _labelled(radiograph: Plane) -> Plane:
    """With a white field with the patient's name, burnt into the lower left corner."""
    labelled = radiograph.copy()
    height, width = labelled.shape
    bottom, right = height - height // 50, width // 3
    labelled[bottom - height // 14 : bottom, width // 50 : right] = 255
    at = (width // 40, bottom - height // 40)
    cv2.putText(labelled, "A. PATIENT 1.1.70", at, cv2.FONT_HERSHEY_SIMPLEX, width / 1100, 0, 1, cv2.LINE_AA)
    return labelled


def _monitor(radiograph: Plane) -> Light:
    """A screen with its black frame."""
    gray = radiograph.astype(np.float32) / 255
    edge = round(0.04 * max(gray.shape))
    screen = 0.003 + 0.8 * gray**2.2
    return np.asarray(cv2.copyMakeBorder(screen, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=0.004))


def _room(scene: Scene, random: np.random.Generator, camera: _Camera) -> Light:
    """What is behind and around the film."""
    width, height = FRAME
    soft = cv2.resize(
        random.uniform(0.0, 1.0, (6, 8)).astype(np.float32), FRAME, interpolation=cv2.INTER_CUBIC
    )
    if scene.kind == "monitor":
        return np.asarray(0.12 + 0.25 * np.clip(soft, 0, 1), np.float32)
    room = np.asarray(0.01 + 0.05 * np.clip(soft, 0, 1), np.float32)
    if scene.clutter:
        _strew(room, random)
    panel = camera.corners(1.3, scene.panel * 1.1).astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros((height, width), np.float32), panel, 1.0, cv2.LINE_AA)
    return np.asarray(room * (1 - mask) + _backlight(scene, random) * mask, np.float32)


def _strew(room: Light, random: np.random.Generator) -> None:
    """Things on a table: their light is that of the room."""
    for _ in range(14):
        at = random.uniform(0, 1, 2) * FRAME
        size = random.uniform(40, 500, 2)
        box = cv2.boxPoints((tuple(at), tuple(size), float(random.uniform(0, 90))))
        cv2.fillConvexPoly(room, box.astype(np.int32), float(random.uniform(0.0, 0.25)))


def _backlight(scene: Scene, random: np.random.Generator) -> Light:
    """Less in the corners, and more on one side than on the other."""
    width, height = FRAME
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    way = random.uniform(0, 2 * np.pi)
    aside = 0.5 + 0.5 * (x * np.cos(way) + y * np.sin(way)) / np.sqrt(2)
    return np.asarray(1 - scene.fall * (0.5 * (x**2 + y**2) / 2 + 0.5 * aside), np.float32)


def _laid(light: Light, film: Light, corners: NDArray[np.float64], scene: Scene) -> Light:
    """The film before what is behind it; a monitor hides that and sends its own."""
    height, width = film.shape
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(flat, corners.astype(np.float32))
    shape = np.zeros((height * 2, width * 2), np.float32)
    _fill_rounded(shape, scene.corner)
    twice = turn @ np.diag([0.5, 0.5, 1.0])
    covered = cv2.warpPerspective(shape, twice, FRAME, flags=cv2.INTER_LINEAR)
    seen = cv2.warpPerspective(film, turn, FRAME, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    if scene.kind == "monitor":
        seen = seen * _grid(turn, width)
        return np.asarray(light * (1 - covered) + seen * covered, np.float32)
    return np.asarray(light * (1 - covered + np.maximum(seen, 0) * covered), np.float32)


def _grid(turn: NDArray[np.float64], width: int) -> Light:
    """A screen's pixels, 1600 across, as the camera's own pixels meet them: they beat against each other."""
    columns, rows = np.meshgrid(np.arange(FRAME[0], dtype=np.float64), np.arange(FRAME[1], dtype=np.float64))
    back = np.linalg.inv(turn)
    below = back[2, 0] * columns + back[2, 1] * rows + back[2, 2]
    u = (back[0, 0] * columns + back[0, 1] * rows + back[0, 2]) / below * (1600 / width)
    v = (back[1, 0] * columns + back[1, 1] * rows + back[1, 2]) / below * (1600 / width)
    return np.asarray(1 + 0.12 * np.cos(2 * np.pi * u) + 0.06 * np.cos(2 * np.pi * v), np.float32)


def _fill_rounded(shape: Light, corner: float) -> None:
    height, width = shape.shape
    r = round(corner * max(shape.shape))
    shape[r : height - r, :] = 1
    shape[:, r : width - r] = 1
    for x in (r, width - 1 - r):
        for y in (r, height - 1 - r):
            cv2.circle(shape, (x, y), r, 1.0, -1, cv2.LINE_AA)


def _beside(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(corners + (corners[1] - corners[0]) * 1.06, np.float64)


def _reflection(scene: Scene, random: np.random.Generator) -> Light:
    """Of a lamp, within the middle of the picture, where the film is."""
    width, height = FRAME
    if not scene.glare:
        return np.zeros((height, width), np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    at = np.array([width, height]) * random.uniform(0.38, 0.62, 2)
    size_px = scene.glare_size * width
    ratio = float(random.uniform(0.5, 1.0))
    far = ((x - at[0]) / size_px) ** 2 + ((y - at[1]) / (size_px * ratio)) ** 2
    return np.asarray(scene.glare * np.exp(-(far**1.5)), np.float32)


def _out_of_focus(light: Light, scene: Scene, random: np.random.Generator) -> Light:
    long_px = scene.share * min(FRAME) if scene.kind != "fills" else max(FRAME)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), max(0.3, scene.blur * long_px)), np.float32)
    if not scene.shake:
        return light
    half, way = scene.shake * long_px / 2, random.uniform(0, np.pi)
    reach = math.ceil(half) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for step in np.linspace(-half, half, 8 * reach):
        kernel[round(reach + step * np.sin(way)), round(reach + step * np.cos(way))] += 1
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum()), np.float32)


def _developed(light: Light, scene: Scene, random: np.random.Generator) -> bytes:
    exposed = light * scene.exposure
    spread = scene.noise * np.sqrt(np.maximum(exposed, 0.0) + 0.002)
    exposed = exposed + random.standard_normal(exposed.shape, np.float32) * spread
    tints = np.array([1.05, 1.0, 0.93], np.float32)  # light boxes and films are bluish
    colours = np.clip(exposed[..., None] * tints, 0, 1)
    gray = np.where(colours < 0.0031308, 12.92 * colours, 1.055 * colours ** (1 / 2.4) - 0.055)
    pixels = np.rint(255 * gray).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, scene.quality])[1].tobytes())
