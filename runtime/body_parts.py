"""Do the words for a body part in a file fall within those a model was made for?

Files use DICOM's terms (PS3.16 CID 4031, PS3.3 annex L) and every spelling that a technician or a vendor has
invented; bundles use the words of their training data. Both are mapped onto regions and compared there.
"""

from __future__ import annotations

import re
from enum import Enum

_UPPER = frozenset({"finger", "hand", "wrist", "forearm", "elbow", "upper arm", "shoulder"})
_LOWER = frozenset({"toe", "foot", "ankle", "lower leg", "knee", "thigh", "hip"})
LIMBS = _UPPER | _LOWER

_SYNONYMS: dict[str, str] = {
    "finger": "finger fingers thumb digit digits phalanx",
    "hand": "hand hands metacarpus metacarpal metacarpals",
    "wrist": "wrist carpus carpal scaphoid radiocarpal wristjoint",
    "forearm": "forearm lowerarm radius ulna radiusulna ulnaradius radiusandulna",
    "elbow": "elbow elbowjoint olecranon radialhead",
    "upper arm": "upperarm humerus arm",
    "shoulder": "shoulder shoulderjoint clavicle clavicula scapula acjoint glenohumeral "
    "acromioclavicularjoint",
    "toe": "toe toes hallux greattoe",
    "foot": "foot feet calcaneus heel metatarsus metatarsal tarsus forefoot midfoot hindfoot subtalarjoint",
    "ankle": "ankle anklejoint malleolus talus",
    "lower leg": "leg lowerleg lowleg tibia fibula tibiafibula tibfib crus shin",
    "knee": "knee kneejoint patella",
    "thigh": "thigh femur upperleg femoralshaft",
    "hip": "hip hips hipjoint pelvis pelviship hippelvis femoralneck acetabulum",
    "chest": "chest thorax lung lungs rib ribs sternum heart bronchus",
    "head": "skull head face facialbones nose nasal orbit jaw mandible maxilla zygoma tmj teeth tooth dental "
    "panoramic sinus sinuses petrous mastoid brain ear eye",
    "neck": "neck larynx pharynx softtissueneck",
    "spine": "spine cspine tspine lspine sspine cervicalspine thoracicspine lumbarspine ctspine tlspine "
    "lsspine sacrum coccyx sacroiliacjoint wholespine",
    "abdomen": "abdomen kidney bladder stomach colon urinarytract kub abdomenpelvis",
    "breast": "breast mamma",
}
_BROAD: dict[str, frozenset[str]] = {
    "extremity": LIMBS,
    "extremities": LIMBS,
    "limb": LIMBS,
    "upperextremity": _UPPER,
    "upperlimb": _UPPER,
    "lowerextremity": _LOWER,
    "lowerlimb": _LOWER,
}
# FracAtlas sorts every image under one of four words, so a model trained on it has seen all of these.
_INTENDED: dict[str, frozenset[str]] = {
    "hand": frozenset({"finger", "hand", "wrist", "forearm", "elbow"}),
    "leg": _LOWER - {"hip"},
    "hip": frozenset({"hip", "thigh"}),
    "shoulder": frozenset({"shoulder", "upper arm"}),
}
_NOISE = frozenset(
    {
        "left",
        "right",
        "l",
        "r",
        "lt",
        "rt",
        "both",
        "bilateral",
        "joint",
        "ap",
        "pa",
        "lat",
        "lateral",
        "oblique",
    }
)
_SPLIT = re.compile(r"[^a-z0-9]+")
_REGION_OF = {
    word: frozenset({region}) for region, words in _SYNONYMS.items() for word in words.split()
} | _BROAD


class Fit(Enum):
    """How a stated body part relates to the intended ones."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    UNKNOWN = "unknown"


def fit(stated: str | None, intended: tuple[str, ...]) -> Fit:
    """INSIDE when any stated region is intended, OUTSIDE when all are known and none is, else UNKNOWN.

    Also UNKNOWN when nothing is stated. An empty `intended` means every limb.
    """
    regions = regions_of(stated or "")
    if not regions:
        return Fit.UNKNOWN
    return Fit.INSIDE if regions & _regions_intended(intended) else Fit.OUTSIDE


def regions_of(words: str) -> frozenset[str]:
    """The regions that words name ("RT HAND/WRIST" -> hand, wrist); empty where no word is known."""
    tokens = [token for token in _SPLIT.split(words.lower()) if token and token not in _NOISE]
    found: frozenset[str] = frozenset()
    position = 0
    while position < len(tokens):
        # "lower leg" before "leg": the longest run of words that is known.
        length = next((n for n in (3, 2, 1) if _joined(tokens, position, n) in _REGION_OF), 0)
        if length:
            found |= _REGION_OF[_joined(tokens, position, length)]
        position += max(length, 1)
    return found


def words_for(stated: str, vocabulary: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a model's vocabulary that a stated body part falls under, in its order; () for none.

    The very word goes first; then words for one of the same regions ("thumb" is a "finger"); then words that
    were used of more than they say ("wrist" where everything below the elbow is a "hand").
    """
    if stated in vocabulary:
        return (stated,)
    regions = regions_of(stated)
    own = tuple(word for word in vocabulary if regions & regions_of(word))
    return own or tuple(word for word in vocabulary if regions & _INTENDED.get(word, frozenset()))


def _joined(tokens: list[str], position: int, length: int) -> str:
    return "".join(tokens[position : position + length])


def _regions_intended(intended: tuple[str, ...]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for words in intended:
        for word in words.split("+"):
            key = word.strip().lower()
            found |= _INTENDED.get(key, frozenset()) | regions_of(key)
    return found if intended else LIMBS
