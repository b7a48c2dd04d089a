"""Which language somebody gets, and how it writes figures."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import Babel, force_locale

from device_app.language import decimal, isolated, wanted
from device_app.safe_mode import SafeBox, Trouble
from device_app.safe_mode_pages import build_safe_app


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        (["fr"], "fr"),
        (["sw-KE", "en"], "sw"),
        (["fr_CA", "hi"], "fr"),
        (["pt-BR"], "pt"),
        (["de", "AR-eg"], "ar"),
        (["de", "*"], None),
        ([], None),
    ],
)
def test_a_region_is_served_by_its_language_and_the_best_wish_comes_first(asked, spoken) -> None:
    assert wanted(asked) == spoken


@pytest.mark.parametrize(
    ("header", "spoken"), [("sw-KE,en", "sw"), ("hi;q=0.5, fr-CA;q=0.9", "fr"), ("de", "en"), ("", "en")]
)
def test_the_kiosk_and_its_safe_mode_speak_what_the_browser_wants(
    client: FlaskClient, config, header, spoken
):
    box = SafeBox(config)
    box.begin(Trouble("kiosk.sqlite3 is damaged", "mend it"))
    for one in (client, build_safe_app(box).test_client()):
        assert f'<html lang="{spoken}"' in one.get("/", headers={"Accept-Language": header}).text


@pytest.mark.parametrize(("language", "said"), [("en", "6.2"), ("fr", "6,2"), ("pt", "6,2"), ("ar", "6.2")])
def test_figures_have_the_point_or_the_comma_of_their_language(language: str, said: str) -> None:
    app = Flask(__name__)
    Babel(app)
    with app.test_request_context(), force_locale(language):
        assert decimal(6.24) == said and decimal(41.6, 0) == "42" and decimal(0.0) == f"0{said[1]}0"


def test_what_is_isolated_ends_where_it_began() -> None:
    assert isolated("Bola") == "\N{FIRST STRONG ISOLATE}Bola\N{POP DIRECTIONAL ISOLATE}"


@pytest.mark.parametrize(
    ("sent", "back"),
    [("/log/check", "/log/"), ("/examinations/abc/own", "/examinations/abc/"), ("/pictures", "/")],
)
def test_whoever_cannot_read_the_answer_to_a_form_changes_the_language_and_goes_on(
    client: FlaskClient, sent: str, back: str
) -> None:
    page = client.post(sent, headers={"Accept": "text/html"}).text
    address = page.split('class="speaks" href="')[1].split('"')[0]
    assert address == f"/language/?next={back}"


def test_a_page_that_was_asked_for_is_come_back_to_with_all_it_was_asked(client: FlaskClient) -> None:
    assert 'href="/language/?next=/history?page%3D2"' in client.get("/history?page=2").text
