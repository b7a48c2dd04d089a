"""Every string a person reads is marked, and the catalogue that translators get is of today."""

import re
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import device_app

PACKAGE = Path(device_app.__file__).parent
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}
COMMAND = (
    "pybabel extract -F device_app/translations/babel.cfg -k lazy_gettext --no-location --sort-output "
    "--omit-header -o device_app/translations/messages.pot device_app"
)
NOT_WORDS = {"Ulna", "px", "ms", "GB", "·", "—"}


def marked():
    return {row[2] for row in extract_from_dir(PACKAGE, METHODS, keywords=KEYWORDS)}


def test_the_catalogue_holds_what_the_screens_say():
    with (PACKAGE / "translations" / "messages.pot").open("rb") as file:
        known = {message.id for message in read_po(file) if message.id}
    assert known == {text for text in marked() if text}, f"make it anew: {COMMAND}"


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
