"""Every string a person reads is marked, and the catalogue that translators get is of today."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import device_app
from device_app.language import DEFAULT, LANGUAGES

PACKAGE = Path(device_app.__file__).parent
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}
COMMAND = (
    "pybabel extract -F device_app/translations/babel.cfg -k lazy_gettext --no-location --sort-output "
    "--omit-header -o device_app/translations/messages.pot device_app"
)
RENEW = "then: pybabel update --no-fuzzy-matching and pybabel compile, both with -d device_app/translations"
NOT_WORDS = {"Ulna", "px", "ms", "GB", "·", "—"}


def marked():
    return {row[2] for row in extract_from_dir(PACKAGE, METHODS, keywords=KEYWORDS)}


def test_the_catalogue_holds_what_the_screens_say():
    with (PACKAGE / "translations" / "messages.pot").open("rb") as file:
        known = {message.id for message in read_po(file) if message.id}
    assert known == {text for text in marked() if text}, f"make it anew: {COMMAND}; {RENEW}"


def test_no_template_says_anything_unmarked():
    for path in (PACKAGE / "templates").glob("*.html"):
        bare = re.sub(
            r"\{% block body_class %\}.*?\{% endblock %\}|\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>",
            " ",
            path.read_text(),
            flags=re.DOTALL,
        )
        unmarked = {word for word in bare.split() if re.search(r"[^\W\d_]{2}", word)} - NOT_WORDS
        assert not unmarked, f"{path.name}: {sorted(unmarked)}"


def catalogue(language):
    with (PACKAGE / "translations" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return {message.id: message for message in read_po(file, locale=language) if message.id}


OTHERS = [language for language in LANGUAGES if language != DEFAULT]


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_every_string_and_none_is_a_guess(language):
    known = catalogue(language)
    assert set(known) == {text for text in marked() if text}, RENEW
    for message in known.values():
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(forms) and not message.fuzzy, message.id


@pytest.mark.parametrize("language", OTHERS)
def test_every_translation_keeps_what_is_filled_in(language):
    """A name that is missing would hide a figure; one that is wrong would break the page."""
    for message in catalogue(language).values():
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = names(ids[-1])
        for form in forms:
            got = names(form)
            assert got <= wanted if len(forms) > 1 else got == wanted, (language, message.id, form)
            assert "%" not in re.sub(r"%\(\w+\)s|%%", "", form) or "%(" not in form, (language, form)


def names(text):
    return set(re.findall(r"%\((\w+)\)s|\{(\w+)\}", text))


@pytest.mark.parametrize("language", OTHERS)
def test_what_the_screens_read_is_what_translators_wrote(language):
    with (PACKAGE / "translations" / language / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        compiled = {whole(message.id): whole(message.string) for message in read_mo(file) if message.id}
    assert compiled == {text: message.string for text, message in catalogue(language).items()}, RENEW


def whole(text):
    return tuple(text) if isinstance(text, list) else text
