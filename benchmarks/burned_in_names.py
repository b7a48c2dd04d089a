"""Names written onto radiographs as machines and people write them, with every letter's pixels known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

OWN_FONTS = ("sans:300", "sans:400", "sans:700", "italic:400")
"""OpenCV's, with a weight."""
FIT_TEXTS = (
    "RAHMAN ABDUL", "Doe^Jane", "MEYER, ANNA M", "ID 4711-0815", "12/03/1961", "Okonkwo Ada", "NGUYEN VAN AN",
    "P. Fernandez", "KHATUN", "Li Wei", "F 034Y", "Smith John A", "SHEIKH H.", "Mrs Begum", "B-2203/7",
)  # fmt: skip
OTHER_TEXTS = (
    "CHOWDHURY RINA", "Ivanova^Olga", "M. Haddad", "SILVA JOAO P", "PID 90-33127", "DOB 1958.11.30",
    "Osei Kwame", "BAUER, L.", "Tran Thi Hoa", "Mr Kamau", "F/67", "X17-4409", "HASAN MD.",
    "Yilmaz Ece", "ADEYEMI",
)  # fmt: skip
"""Those that figures are reported on."""
INKS = ("white", "gray", "black", "outlined", "plate")
"""plate: black on a white rectangle, as a label that lay on the cassette."""
_DRAWN_PX = 96
_INK_FROM = 96
_LETTER_LEFT = 0.3
"""A letter of which more than this share of its ink is left can be read."""


@dataclass(frozen=True)
class Name:
    """How a name is written. height_px: of a capital. turn_deg: against the horizontal. contrast: of the
    picture's range. worn: blurred and stored as JPEG afterwards, as an export does.
    """

    text: str
    font: str
    height_px: int
    ink: str
    turn_deg: float
    contrast: float
    worn: bool


@dataclass(frozen=True, eq=False)
class Written:
    """pixels: (H, W) uint8 with the name. letters: (H, W) uint8, a letter's number where its ink lies."""

    name: Name
    pixels: NDArray[np.uint8]
    letters: NDArray[np.uint8]

    def left(self, covered: NDArray[np.bool_]) -> int:
        """How many letters can still be read where `covered` (H, W) is blanked."""
        inked = np.bincount(self.letters.ravel(), minlength=256)[1:]
        kept = np.bincount(self.letters[~covered], minlength=256)[1:]
        return int(np.sum((inked > 0) & (kept > _LETTER_LEFT * inked)))


def any_name(
    random: np.random.Generator, side_px: int, fonts: tuple[str, ...] = (), texts: tuple[str, ...] = FIT_TEXTS
) -> Name:
    """A name in one of the fonts, between 1.6 and 7 hundredths of the picture's long side high, 8 px at
    least.

    fonts: font files; () for OpenCV's own.
    """
    known = fonts or OWN_FONTS
    turn = random.choice([0.0, 90.0, 270.0, random.uniform(-12, 12)], p=[0.6, 0.1, 0.1, 0.2])
    return Name(
        text=str(random.choice(texts)),
        font=str(random.choice(known)),
        height_px=max(8, round(side_px * float(np.exp(random.uniform(np.log(0.016), np.log(0.07)))))),
        ink=str(random.choice(INKS, p=[0.4, 0.15, 0.15, 0.15, 0.15])),
        turn_deg=float(turn),
        contrast=float(random.uniform(0.2, 1.0)),
        worn=bool(random.random() < 0.5),
    )


def write(plane: NDArray[np.uint8], name: Name, center: tuple[int, int]) -> Written | None:
    """The name with its middle at `center` (x, y); None where it does not fit."""
    ink, letters = _drawn(name)
    ink, letters = _placed(ink, letters, name, center, plane.shape)
    inside = int((letters > 0).sum())
    if inside < 0.999 * _area_of(name) or inside == 0:
        return None
    pixels = _inked(plane.astype(np.float32), ink, name)
    return Written(name, _worn(pixels, name), letters)


def _drawn(name: Name) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Large and level: ink in 0 to 1, and which letter each inked pixel belongs to."""
    canvas = np.zeros((3 * _DRAWN_PX, _DRAWN_PX * (len(name.text) + 2) * 2), np.uint8)
    ends = [_draw(canvas, name.text[: count + 1], name.font) for count in range(len(name.text))]
    ends[-1] = _draw(canvas, name.text, name.font, keep=True)
    columns = np.zeros(canvas.shape[1], np.uint8)
    start = 0
    for number, end in enumerate(ends, start=1):
        columns[start:end] = number
        start = max(start, end)
    ink = canvas / np.float32(255)
    return np.asarray(ink, np.float32), np.where(canvas >= _INK_FROM, columns[None, :], 0).astype(np.uint8)


def _draw(canvas: NDArray[np.uint8], text: str, font: str, keep: bool = False) -> int:
    """Write, and the column where it ends; `keep`: on this canvas, else on one thrown away."""
    target = canvas if keep else np.zeros_like(canvas)
    at = (_DRAWN_PX, 2 * _DRAWN_PX)
    face, _, weight = font.rpartition(":")
    size_px = round(_DRAWN_PX * 1.38)  # of a font whose capitals are _DRAWN_PX high
    cv2.putText(target, text, at, (255, 255, 255), cv2.FontFace(face), size_px, int(weight))
    inked = np.flatnonzero(target.max(axis=0))
    return int(inked[-1]) + 1 if inked.size else at[0]


def _placed(
    ink: NDArray[np.float32],
    letters: NDArray[np.uint8],
    name: Name,
    center: tuple[int, int],
    shape: tuple[int, ...],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Both at their size, turned and moved onto a picture of that shape."""
    rows, columns = np.nonzero(letters)
    middle = ((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2)
    scale = name.height_px / _DRAWN_PX
    matrix = cv2.getRotationMatrix2D(middle, name.turn_deg, scale)
    matrix[:, 2] += np.array(center) - np.array(middle)
    size = (shape[1], shape[0])
    # Blurred first by what the reduction would alias away.
    soft = cv2.GaussianBlur(ink, (0, 0), max(0.1, 0.42 / scale))
    placed = cv2.warpAffine(soft, matrix, size, flags=cv2.INTER_LINEAR)
    owner = cv2.warpAffine(letters, matrix, size, flags=cv2.INTER_NEAREST)
    return np.asarray(placed, np.float32), np.asarray(owner, np.uint8)


def _area_of(name: Name) -> float:
    _, letters = _drawn(name)
    return float((letters > 0).sum()) * (name.height_px / _DRAWN_PX) ** 2 * 0.97


def _inked(plane: NDArray[np.float32], ink: NDArray[np.float32], name: Name) -> NDArray[np.float32]:
    """Written over the picture, `contrast` of its range away from what lies below."""
    low, high = np.percentile(plane, (1, 99))
    span = name.contrast * max(float(high - low), 40.0)
    ink = np.clip(ink, 0, 1)
    if name.ink == "plate":
        reach = 2 * round(name.height_px * 0.35) + 1
        ground = cv2.dilate((ink > 0.3).astype(np.float32), np.ones((reach, reach), np.uint8))
        ground = cv2.morphologyEx(ground, cv2.MORPH_CLOSE, np.ones((3 * reach, 3 * reach), np.uint8))
        plane = plane * (1 - ground) + 235 * ground
        return plane * (1 - ink) + (235 - max(span, 90)) * ink
    if name.ink == "outlined":
        around = cv2.dilate(ink, np.ones((3, 3), np.uint8))
        plane = plane * (1 - around)
    beneath = float(np.median(plane[ink > 0.3])) if (ink > 0.3).any() else 0.0
    value = {"black": max(0.0, beneath - span), "gray": beneath + span / 2}.get(name.ink, beneath + span)
    value = min(value, 255.0)
    if abs(value - beneath) < 20:  # nobody would write what cannot be seen: the other way round
        value = beneath + 60 if beneath < 128 else beneath - 60
    return plane * (1 - ink) + value * ink


def _worn(pixels: NDArray[np.float32], name: Name) -> NDArray[np.uint8]:
    plane = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    if not name.worn:
        return plane
    plane = np.asarray(cv2.GaussianBlur(plane, (0, 0), 0.6), np.uint8)
    _, data = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
