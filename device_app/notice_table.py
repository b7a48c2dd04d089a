"""What runtime can say beside an answer, and what a nurse is told instead, with what to do about it.

The English is exactly runtime's; {names} stand for what a file, a person or a bundle puts in. The
message below it is marked for translation and uses the same names. The last is a short name for a list of
counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from device_app.language import LazyText, lazy_gettext

_ = lazy_gettext


@dataclass(frozen=True)
class Known:
    """english: runtime's sentence with {names}. says: with %(names)s. kind: of warnings, in a few words."""

    english: str
    says: LazyText
    kind: LazyText | None = None


_BRIGHT = _("Very bright")

OF_THE_PICTURE = (
    Known(
        "Under-exposed: noise hides detail. Repeat the picture with more exposure.",
        _("The picture is grainy: it got too little exposure, and thin breaks may be hidden. Repeat it with "
          "more exposure."),
        _("Grainy"),
    ),
    Known(
        "Compressed too strongly: blocks of 8 pixels hide fine lines. Send the original file, or save it at "
        "a higher quality.",
        _("The file was compressed too strongly: coarse squares may hide thin breaks. Send the original "
          "file, or save it at a higher quality."),
        _("Saved at too low a quality"),
    ),
    Known(
        "The image is blurred, by motion or focus; fine fracture lines may be lost. Steady the limb and "
        "repeat the picture.",
        _("The picture is blurred; thin breaks may not be seen. Keep the limb still and repeat the picture."),
        _("Blurred"),
    ),
    Known(
        "The image may be inverted (bone dark instead of bright).",
        _("Dark and bright may be exchanged in this picture. If bone is dark in it, send it again with bone "
          "bright."),
        _("Dark and bright perhaps exchanged"),
    ),
    Known(
        "The image is very bright: {share}% of it is one white; bone may be burnt out. Send it again with a "
        "wider window; if the original is the same, repeat it with more exposure.",
        _("The picture is very bright: %(share)s %% of it is nothing but white, and bone may not show there. "
          "Send it again with a wider range of grays (window). If the original is the same, repeat it with "
          "more exposure."),
        _BRIGHT,
    ),
    Known(
        "The image is very bright: even the air beside the limb is gray; detail may be lost. Send it again "
        "with a wider window; if the original is the same, repeat it with more exposure.",
        _("The picture is very bright: even the air beside the limb is gray, and detail may be lost. Send it "
          "again with a wider range of grays (window). If the original is the same, repeat it with more "
          "exposure."),
        _BRIGHT,
    ),
    Known(
        "The image is very dark: {share}% of it is black; skin and soft tissue may be lost. Send it again "
        "with a wider window; if the original is the same, repeat it with less exposure.",
        _("The picture is very dark: %(share)s %% of it is black, and skin and soft tissue may not show. "
          "Send it again with a wider range of grays (window). If the original is the same, repeat it with "
          "less exposure."),
        _("Very dark"),
    ),
    Known(
        "The image is very dark or faint: {levels} of 256 grays; detail may be lost. Send it again with a "
        "narrower window, or repeat it with the exposure corrected.",
        _("The picture is very dark or faint: it has only %(levels)s of 256 grays, and detail may be lost. "
          "Send it again with a narrower range of grays (window), or repeat it with the exposure corrected."),
        _("Very dark or faint"),
    ),
    Known(
        "The image is small ({size} pixels); fine fracture lines may be lost. Send the original instead of a "
        "preview.",
        _("The picture is small (%(size)s pixels); thin breaks may not be seen. Send the original instead of "
          "a preview."),
        _("Small"),
    ),
    Known(
        "The image is tinted, as a photograph of a film is. Send the original file if there is one.",
        _("The picture is tinted, as a photograph of a film is. Send the original file if there is one."),
        _("Tinted"),
    ),
    Known(
        "Two exposures or two limbs lie side by side in this image. Send each view by itself, or read the "
        "answer as one for both.",
        _("Two pictures or two limbs lie side by side here. Send each by itself, or take the answer as one "
          "for both."),
        _("Two side by side"),
    ),
    Known(
        "Dark and bright were exchanged in this picture (bone dark); it was read the right way round.",
        _("Dark and bright were exchanged in this picture: bone is dark. The box has read it the right way "
          "round."),
        _("Dark and bright exchanged"),
    ),
    Known(
        "The picture is unlike most that the model has learned from; rely less on its answer.",
        _("This picture is unlike most that the box has learned from. Rely less on its answer and show the "
          "picture to a clinician."),
        _("Unlike what the box has learned from"),
    ),
)  # fmt: skip
"""runtime.faults and runtime.detector."""

OF_THE_FILE = (
    Known(
        "Read from a photograph of a film, which shows less than the X-ray machine's own file. Send that "
        "file if it can be had.",
        _("This was read from a photograph of a film, which shows less than the X-ray machine's own file. "
          "Send that file if you can get it."),
        _("Photograph of a film"),
    ),
    Known(
        "The image has writing burned into it; it may name the patient.",
        _("There is writing in the picture. It may name the patient: take care whom you give it to."),
        _("Writing in the picture"),
    ),
    Known(
        "Pixels are not square: {size} mm.",
        _("The points of this picture are not square (%(size)s mm): other programs may show it stretched."),
        _("Pixels that are not square"),
    ),
    Known(
        "Pixel values need {bits} bits, the file declares {declared}.",
        _("The file contradicts itself: its grays need %(bits)s bits, it says %(declared)s. If the picture "
          "looks wrong, send it again from the X-ray machine."),
        _("File that contradicts itself"),
    ),
    Known(
        "This is a secondary capture, not the original image: detail may be lost.",
        _("This is a copy (secondary capture), not the original picture: detail may be lost. Send the "
          "original if you can get it."),
        _("Copy instead of the original"),
    ),
    Known(
        "Transparent areas of the image were read as black.",
        _("See-through areas of the picture were read as black. If they hide bone, send the original file."),
        _("See-through areas"),
    ),
)  # fmt: skip
"""runtime.readers and runtime.photograph."""

OF_THE_USE = (
    Known(
        "The age of the patient is not known; this model was made for patients of {youngest} to {oldest} "
        "years.",
        _("The age of the patient is not known. The box was made for patients of %(youngest)s to %(oldest)s "
          "years: do not rely on its answer for others."),
        _("Age not known"),
    ),
    Known(
        "The view is called {said}; this model was made for: {words}.",
        _("The view is called “%(said)s”. The box was made for: %(words)s. Do not rely on its answer for "
          "others."),
        _("View that the box does not know"),
    ),
    Known(
        "The view is not known; this model was made for: {words}.",
        _("It is not known which view this is. The box was made for: %(words)s. Do not rely on its answer "
          "for others."),
        _("View not known"),
    ),
    Known(
        "The file calls the body part {said}; this model reads: {words}.",
        _("The file calls the body part “%(said)s”. The box reads: %(words)s. Do not rely on its answer for "
          "others."),
        _("Body part that the box does not know"),
    ),
    Known(
        "The file does not say which body part it shows; this model reads: {words}.",
        _("It is not said which body part this is. The box reads: %(words)s. Do not rely on its answer for "
          "others."),
        _("Body part not known"),
    ),
)  # fmt: skip
"""runtime.intended and runtime.quality."""

OF_THE_PATIENT = (
    Known(
        "age: age must be 0 to {oldest} years, got {said}; it was not used",
        _("The age “%(said)s” was not used: it must be 0 to %(oldest)s years."),
    ),
    Known(
        "sex: sex must be male, female, other or empty, got {said}; it was not used",
        _("The sex “%(said)s” was not used: it must be male, female or other, or left out."),
    ),
    Known(
        "sex: the model does not know {said}, it knows {words}; not used",
        _("The sex “%(said)s” was not used. The box knows: %(words)s."),
    ),
    Known(
        "body part: the model does not know {said}, it knows {words}; not used",
        _("The body part “%(said)s” was not used. The box knows: %(words)s."),
    ),
    Known(
        "view: the model does not know {said}, it knows {words}; not used",
        _("The view “%(said)s” was not used. The box knows: %(words)s."),
    ),
    Known(
        "age: this model does not use it",
        _("The age was not used: this box goes by the picture without it."),
    ),
    Known(
        "sex: this model does not use it",
        _("The sex was not used: this box goes by the picture without it."),
    ),
)
"""runtime.metadata: what stands beside the facts that were told."""

TABLE = (*OF_THE_PICTURE, *OF_THE_FILE, *OF_THE_USE, *OF_THE_PATIENT)
