"""Whether the fonts of this machine have all letters of a text; asked of Pango, which will draw it.

Pango draws a letter that no font has as an empty frame with a number in it. On a report that would be a word
that cannot be read, so it is looked for before.
"""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_int, c_void_p

FONTS = '"Noto Sans", "Noto Sans Arabic", "Noto Naskh Arabic", "Noto Sans Devanagari", sans-serif'
"""As static/report.css names them; Pango looks further by itself, in all that is installed."""
_PANGO, _FOR_FREETYPE, _OBJECTS = "libpango-1.0.so.0", "libpangoft2-1.0.so.0", "libgobject-2.0.so.0"
_FAMILIES = FONTS.replace('"', "").replace(", ", ",") + " 10"


def unknown_letters(text: str) -> int:
    """How many letters of the text no font has. Raises OSError where Pango is not installed."""
    pango, for_freetype, objects = map(ctypes.CDLL, (_PANGO, _FOR_FREETYPE, _OBJECTS))
    fonts = _made(for_freetype.pango_ft2_font_map_new)()
    context = _made(pango.pango_font_map_create_context, c_void_p)(fonts)
    layout = _made(pango.pango_layout_new, c_void_p)(context)
    description = _made(pango.pango_font_description_from_string, c_char_p)(_FAMILIES.encode())
    try:
        _done(pango.pango_layout_set_font_description, c_void_p, c_void_p)(layout, description)
        data = text.encode("utf-8", "replace")
        _done(pango.pango_layout_set_text, c_void_p, c_char_p, c_int)(layout, data, len(data))
        count = pango.pango_layout_get_unknown_glyphs_count
        count.argtypes, count.restype = [c_void_p], c_int
        return int(count(layout))
    finally:
        _done(pango.pango_font_description_free, c_void_p)(description)
        for one in (layout, context, fonts):
            _done(objects.g_object_unref, c_void_p)(one)


def _made(function: ctypes._NamedFuncPointer, *takes: type) -> ctypes._NamedFuncPointer:
    function.argtypes, function.restype = list(takes), c_void_p
    return function


def _done(function: ctypes._NamedFuncPointer, *takes: type) -> ctypes._NamedFuncPointer:
    function.argtypes, function.restype = list(takes), None
    return function
